//! Runs the tests of the pipeline, the infrastructure and the scripts, which are in Python.

use crate::support::python::{passes, pytest};

#[test]
fn the_pipeline_tests_pass() {
    passes(pytest().arg("tests/pipeline"), " passed");
}
