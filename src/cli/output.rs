//! What the commands print. The macros of the standard library panic when nobody reads, or when the disk is full.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a text and a line end to stdout, in one write. So a program that reads the first line can read the rest at
/// once.
///
/// # Errors
/// A message that says why the text was not written.
pub(super) fn print(text: impl Display) -> Result<(), String> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| format!("cannot write to stdout: {error}"))
}

/// Prints why a command failed to stderr. Its exit code says the same, so a failure to print it is ignored.
pub(super) fn print_error(text: impl Display) {
    let _ = io::stderr().write_all(format!("mcp-scheduler: {text}\n").as_bytes());
}

/// Asks the person at the terminal for something, without a line end. What is asked for is no result, so it goes to stderr.
pub(super) fn ask(text: impl Display) {
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}
