//! The integration tests that the pipeline runs against a deployment.

use std::process::Command;

use crate::support::service::{CLIENT, KEY};

/// Runs all of them, with the seed tests, by the command of the pipeline.
pub fn run(url: &str) {
    let output = Command::new("scripts/integration")
        .arg("-q")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs([("TEST_APP_URL", url), ("TEST_CLIENT_ID", CLIENT), ("TEST_API_KEY", KEY), ("NO_PROXY", "*")])
        .env_remove("TEST_RECEIVER_URL")
        .env_remove("JUNIT")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && report.contains(" passed") && !report.contains(" skipped");
    assert!(passed, "{report}{}", String::from_utf8_lossy(&output.stderr));
}
