//! The pages of the service in a real browser, which scripts/chromium installs.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_scheduler::http::{Operation, operations};

use crate::support::service::{CONFIGURED, Place, text};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A script of tests/browser. The rest of its work it gets as arguments.
fn script(name: &str) -> Command {
    let packages = Path::new(ROOT).join("target/browser/node_modules");
    assert!(packages.exists(), "{} is missing: run scripts/test, which makes it", packages.display());
    let path: PathBuf = [ROOT, "tests/browser", name].iter().collect();
    let mut command = Command::new("node");
    command.arg(path);
    command
}

/// Runs a script to its end. It fails if a check fails.
#[track_caller]
fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn the_page_of_the_api_works_in_a_browser() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let names = operations().into_iter().filter_map(|Operation { name, description, .. }| description.map(|_| name));
    passes(script("docs.mjs").arg(service.url()).args(names));
}
