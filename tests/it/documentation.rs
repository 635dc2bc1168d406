//! Runs the tests of the pages for readers, which are in Python: their commands and their links.

use crate::support::python::{passes, pytest};
use crate::support::service::BINARY;

#[test]
fn the_commands_of_the_documentation_run_as_they_stand() {
    passes(pytest().arg("tests/docs").env("PROGRAM", BINARY), " passed");
}
