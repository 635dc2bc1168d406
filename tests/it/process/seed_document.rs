//! The integration tests of the document that this service was asked for, unchanged.

use std::path::Path;
use std::process::Command;

use super::service::{CLIENT, CONFIGURED, KEY, Place, text};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TESTS: &str = "tests/integration/test_scheduler_integration.py";

#[test]
fn its_tests_pass() {
    let python = Path::new(ROOT).join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/test, which makes it", python.display());
    let service = Place::new();
    let service = service.start(&CONFIGURED);
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS])
        .current_dir(ROOT)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // They send a local time without saying which zone; the service takes it as UTC.
        .env("TZ", "UTC")
        .env("NO_PROXY", "*")
        .env("TEST_APP_URL", service.url())
        .env("TEST_CLIENT_ID", CLIENT)
        .env("TEST_API_KEY", KEY)
        .output()
        .unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("3 passed"), "{shown}{}", text(&output.stderr));
}

#[test]
fn they_are_as_the_document_has_them() {
    let bytes = std::fs::read(Path::new(ROOT).join(TESTS)).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    assert_eq!(format!("{digest:?}"), "SHA256:381d04e3ff56be53d3cb8bdca327d6198cf0501639fe0f9774ccf912061d4796");
}
