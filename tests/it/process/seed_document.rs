//! The integration tests of the document that this service was asked for, unchanged.

use std::path::Path;

use super::python::{ROOT, pytest};
use super::service::{CLIENT, CONFIGURED, KEY, Place};

const TESTS: &str = "tests/integration/test_scheduler_integration.py";

#[test]
fn its_tests_pass() {
    let place = Place::new();
    pytest(TESTS, &place.start(&CONFIGURED), (CLIENT, KEY), 3);
}

#[test]
fn they_are_as_the_document_has_them() {
    let bytes = std::fs::read(Path::new(ROOT).join(TESTS)).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    assert_eq!(format!("{digest:?}"), "SHA256:381d04e3ff56be53d3cb8bdca327d6198cf0501639fe0f9774ccf912061d4796");
}
