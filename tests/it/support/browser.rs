//! The scripts of tests/browser, which open the pages of the service in a real browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::installed::{ROOT, installed};
use super::service::text;

/// Runs a script to its end, and returns its output. It fails if a check of the script fails.
#[track_caller]
pub fn run<'a>(script: &str, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let path: PathBuf = [ROOT, "tests/browser", script].iter().collect();
    node(&path, "target/browser", arguments)
}

/// Runs a program in Node that uses the packages in a directory.
#[track_caller]
pub fn node<'a>(program: &Path, packages: &str, arguments: impl IntoIterator<Item = &'a str>) -> String {
    installed(&format!("{packages}/node_modules"));
    let output = Command::new("node").arg(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
