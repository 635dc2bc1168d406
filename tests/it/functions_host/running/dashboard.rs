//! The dashboard in a real browser, through the host.

use crate::support::browser::run;
use crate::support::host_harness::HostHarness;
use crate::support::service::{CLIENT, KEY};

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_works_through_the_host() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    let url = host.url();
    tokio::task::spawn_blocking(move || run("hosted.mjs", [&*url, CLIENT, KEY])).await.unwrap();
}
