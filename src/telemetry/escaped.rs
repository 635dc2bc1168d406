//! Escapes what could change how a line is read.

use std::fmt::{self, Write};

use crate::text::is_invisible;

/// Appends text. Control characters, and characters that do not show or that change the direction of text, are written as
/// escapes of JSON, so that no value can begin a line, hide a part of itself or command a terminal.
pub(super) struct Escaped<'a> {
    pub(super) to: &'a mut String,
    /// Whether quotation marks and backslashes are escaped, too, as in a JSON string.
    pub(super) quoted: bool,
}

impl Escaped<'_> {
    fn is_kept(&self, c: char) -> bool {
        match c {
            '"' | '\\' => !self.quoted,
            ' '..='~' => true,
            _ => !is_invisible(c),
        }
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly every value has nothing to escape, and to test its bytes first is much faster.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~')) {
            self.to.push_str(text);
            return Ok(());
        }
        let mut kept = 0;
        for (at, c) in text.char_indices() {
            if !self.is_kept(c) {
                self.to.push_str(text.get(kept..at).unwrap_or_default());
                escape(c, self.to)?;
                kept = at + c.len_utf8();
            }
        }
        self.to.push_str(text.get(kept..).unwrap_or_default());
        Ok(())
    }
}

fn escape(c: char, to: &mut String) -> fmt::Result {
    match c {
        '"' => to.push_str("\\\""),
        '\\' => to.push_str("\\\\"),
        '\n' => to.push_str("\\n"),
        '\r' => to.push_str("\\r"),
        '\t' => to.push_str("\\t"),
        _ => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(to, "\\u{unit:04x}"))?,
    }
    Ok(())
}
