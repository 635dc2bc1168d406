//! The integration tests: the seed tests, which came with the specification, and tests of the rest of the public contract.

use std::path::Path;

use crate::support::integration;
use crate::support::service::{CONFIGURED, Place};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TESTS: &str = "tests/integration/test_scheduler_integration.py";

#[test]
fn the_integration_tests_pass() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    integration::run(service.url());
    service.stop();
}

#[test]
fn the_seed_tests_are_unchanged() {
    let bytes = std::fs::read(Path::new(ROOT).join(TESTS)).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    assert_eq!(format!("{digest:?}"), "SHA256:381d04e3ff56be53d3cb8bdca327d6198cf0501639fe0f9774ccf912061d4796");
}
