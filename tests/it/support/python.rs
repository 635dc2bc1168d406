//! Runs tests in Python against the running binary.

use std::path::Path;
use std::process::Command;

use crate::support::service::{Service, text};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the tests of a file as this client, and asserts that exactly this number of tests passes.
#[track_caller]
pub fn pytest(file: &str, service: &Service, (client, key): (&str, &str), tests: usize) {
    let python = Path::new(ROOT).join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/test, which makes it", python.display());
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", file])
        .current_dir(ROOT)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Some tests send a local time without a zone, which the service reads as UTC.
        .env("TZ", "UTC")
        .env("NO_PROXY", "*")
        .env("TEST_APP_URL", service.url())
        .env("TEST_CLIENT_ID", client)
        .env("TEST_API_KEY", key)
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    let passed = shown.contains(&format!("{tests} passed in "));
    assert!(output.status.success() && passed, "{shown}{}", text(&output.stderr));
}
