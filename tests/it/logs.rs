//! The table of fields in docs/logs.md has every field that the program can log, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::log_lines::documented;

/// The fields that each line has.
const ALWAYS: [&str; 4] = ["time", "level", "message", "target"];

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The names of the fields in the code: those of events and spans, and those that are added to a span later.
fn fields_of(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("tracing::") {
        let rest = &code[at + "tracing::".len()..];
        if let Some((name, arguments)) = rest.split_once("!(")
            && ["trace", "debug", "info", "warn", "error"].contains(&name.trim_end_matches("_span"))
        {
            found.extend(named(&arguments_of(arguments), name.ends_with("_span")));
        }
    }
    let recorded = code.split(".record(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    found.extend(recorded);
    found
}

/// The arguments of a macro, of which `text` begins with the first.
fn arguments_of(text: &str) -> Vec<String> {
    let (mut arguments, mut depth, mut in_string, mut previous) = (vec![String::new()], 0, false, ' ');
    for c in text.chars() {
        match c {
            '"' if previous != '\\' => in_string = !in_string,
            '(' | '[' | '{' if !in_string => depth += 1,
            ')' | ']' | '}' if !in_string && depth == 0 => break,
            ')' | ']' | '}' if !in_string => depth -= 1,
            ',' if !in_string && depth == 0 => arguments.push(String::new()),
            _ => {}
        }
        if c != ',' || in_string || depth > 0 {
            arguments.last_mut().unwrap().push(c);
        }
        previous = c;
    }
    arguments.into_iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

/// The fields among the arguments of a macro. They end at the message; the name of a span is before them.
fn named(arguments: &[String], is_span: bool) -> Vec<String> {
    let fields = arguments.iter().skip(usize::from(is_span)).take_while(|argument| !argument.starts_with('"'));
    let name = |argument: &String| argument.split(" = ").next().unwrap().trim_start_matches(['%', '?']).to_owned();
    fields.map(name).collect()
}

#[test]
fn the_scanner_finds_each_form_of_a_field() {
    let code = r#"
        tracing::warn!(%error, rows = keys.len(), a.b = ?f(1, "x, y"), plain, "a message, with {} and (", more);
        tracing::error_span!("request", first = Empty, second.part = %id);
        span.record("third", 1).record("fourth", display(2));
        tracing::info!("nothing");
        tracing::field::display(x);
    "#;
    let expected = ["a.b", "error", "first", "fourth", "plain", "rows", "second.part", "third"];
    assert_eq!(fields_of(code).into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_table_of_fields_is_complete_and_has_no_field_that_nothing_logs() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut logged: BTreeSet<String> = ALWAYS.map(str::to_owned).into();
    for path in files(&src).into_iter().filter(|path| !path.to_str().unwrap().ends_with("tests.rs")) {
        let text = fs::read_to_string(path).unwrap();
        logged.extend(fields_of(text.split("#[cfg(test)]").next().unwrap()));
    }
    assert_eq!(logged, documented());
}

/// A field of these names would be left out of the lines.
#[test]
fn no_field_has_the_name_of_one_that_each_line_has() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in files(&src).into_iter().filter(|path| !path.to_str().unwrap().ends_with("tests.rs")) {
        let text = fs::read_to_string(&path).unwrap();
        let fields = fields_of(text.split("#[cfg(test)]").next().unwrap());
        assert!(ALWAYS.iter().all(|name| !fields.contains(*name)), "{}: {fields:?}", path.display());
    }
}
