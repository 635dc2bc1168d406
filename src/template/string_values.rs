//! The strings of a JSON text that are values and not names of members.

use std::ops::Range;

/// Finds the strings that are values, in their order. The text must be JSON.
pub(super) struct StringValues<'a> {
    json: &'a str,
    at: usize,
    path: Vec<Step<'a>>,
}

/// One step from a value to a value inside of it.
enum Step<'a> {
    /// The name of the member, as it was written.
    Member(&'a str),
    Item(usize),
}

impl<'a> StringValues<'a> {
    pub(super) const fn of(json: &'a str) -> Self {
        Self { json, at: 0, path: Vec::new() }
    }

    /// The place of the next string, with its quotation marks.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        while let Some(byte) = self.json.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    let start = self.at;
                    self.at = self.end_of_string();
                    if !self.rest().trim_ascii_start().starts_with(':') {
                        return Some(start..self.at);
                    }
                    let name = self.json.get(start..self.at).unwrap_or_default();
                    if let Some(last) = self.path.last_mut() {
                        *last = Step::Member(name);
                    }
                    continue;
                }
                b'{' => self.path.push(Step::Member("")),
                b'[' => self.path.push(Step::Item(0)),
                b'}' | b']' => drop(self.path.pop()),
                b',' => {
                    if let Some(Step::Item(number)) = self.path.last_mut() {
                        *number += 1;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        None
    }

    /// The JSON pointer (RFC 6901) to the string that was found last.
    pub(super) fn pointer(&self) -> String {
        let step = |step: &Step<'_>| match step {
            Step::Item(number) => format!("/{number}"),
            Step::Member(name) => {
                let name: String = serde_json::from_str(name).unwrap_or_default();
                format!("/{}", name.replace('~', "~0").replace('/', "~1"))
            }
        };
        self.path.iter().map(step).collect()
    }

    fn rest(&self) -> &'a str {
        self.json.get(self.at..).unwrap_or_default()
    }

    /// The position behind the string that begins here.
    fn end_of_string(&self) -> usize {
        let mut escaped = false;
        for (offset, byte) in self.rest().bytes().enumerate().skip(1) {
            match byte {
                b'"' if !escaped => return self.at + offset + 1,
                b'\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        self.json.len()
    }
}
