//! Runs the integration tests that the pipeline runs against a deployment, here against the app under the stand-in host.

use crate::support::host_harness::HostHarness;
use crate::support::integration;

#[tokio::test(flavor = "multi_thread")]
async fn the_integration_tests_pass_under_the_host() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    let url = host.url();
    tokio::task::spawn_blocking(move || integration::run(&url)).await.unwrap();
}
