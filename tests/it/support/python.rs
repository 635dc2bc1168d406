//! Runs tests in Python.

use std::process::Command;

use crate::support::installed::{ROOT, installed};
use crate::support::service::{Service, text};

/// A run of pytest in this checkout, which leaves no files behind.
#[track_caller]
pub fn pytest() -> Command {
    let mut command = Command::new(installed("target/venv/bin/python"));
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(ROOT);
    command
}

/// Asserts that all tests of a run pass, and that the run says so in these words.
#[track_caller]
pub fn passes(run: &mut Command, passed: &str) {
    let output = run.output().unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains(passed), "{shown}{}", text(&output.stderr));
}

/// Runs the tests of a file as this client, and asserts that exactly this number of tests passes.
#[track_caller]
pub fn passes_on(file: &str, service: &Service, (client, key): (&str, &str), tests: usize) {
    let mut run = pytest();
    // Some tests send a local time without a zone, which the service reads as UTC.
    run.arg(file).env("TZ", "UTC").env("NO_PROXY", "*");
    run.env("TEST_APP_URL", service.url()).env("TEST_CLIENT_ID", client).env("TEST_API_KEY", key);
    passes(&mut run, &format!("{tests} passed in "));
}
