//! The rules of the host for its handler, with handlers that break them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::client::http;
use crate::support::functions_host::{Host, HostOptions, Patience, Source};
use crate::support::host_harness::{HostHarness, PATIENCE, caller, until};
use crate::support::ports::fixed_port;

/// Makes an app with one HTTP function and this shell script as its handler.
fn app(script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
    let handler = json!({
        "version": "2.0",
        "customHandler": { "description": { "defaultExecutablePath": "handler" }, "enableProxyingHttpRequest": true },
    });
    write("host.json", &handler.to_string());
    fs::create_dir(folder.path().join("health")).unwrap();
    let bindings = json!([
        { "type": "httpTrigger", "direction": "in", "name": "request", "authLevel": "anonymous" },
        { "type": "http", "direction": "out", "name": "response" },
    ]);
    write("health/function.json", &json!({ "bindings": bindings }).to_string());
    write("handler", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(folder.path().join("handler"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn host(app: &Path) -> Host {
    let options = HostOptions {
        app: app.to_owned(),
        settings: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        port: 0,
        handler_port: fixed_port(),
        timer_period: None,
        knows_proxying: true,
        patience: Patience::default(),
    };
    Host::start(options).await
}

#[tokio::test]
async fn a_handler_that_fails_three_times_ends_the_host() {
    let app = app("echo starting; echo broken >&2; exit 3");
    let host = host(app.path()).await;
    until(&host, || host.has_stopped()).await;
    // The last lines may not be read yet.
    until(&host, || host.lines(Source::Stdout).len() + host.lines(Source::Stderr).len() == 6).await;
    assert_eq!((host.handler_starts(), host.lines(Source::Stderr)), (3, vec!["broken".to_owned(); 3]));
    // Its process has ended, and the platform starts another one.
    let refused = async || http().get(format!("{}/api/health", host.url())).send().await.is_err_and(|e| e.is_connect());
    let deadline = Instant::now() + PATIENCE;
    while !refused().await {
        assert!(Instant::now() < deadline, "the host still takes requests");
    }
}

#[tokio::test]
async fn a_handler_that_exits_with_200_is_restarted_and_one_that_exits_with_0_is_not() {
    let app = app("echo x >> starts; [ $(wc -l < starts) -lt 6 ] && exit 200; exit 0");
    let host = host(app.path()).await;
    until(&host, || host.lines(Source::Host).iter().any(|line| line.contains("ended with 0"))).await;
    assert_eq!((host.handler_starts(), host.has_stopped()), (6, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_killed_is_started_again_on_the_same_port() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    host.ready().await;
    for starts in 2..=3 {
        host.kill_handler();
        until(&host, || host.handler_starts() == starts).await;
        // A request during the restart waits.
        assert_eq!(caller(&host).get("/health").await.status, 200);
    }
    host.kill_handler();
    until(&host, || host.has_stopped()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_the_service_is_restarted_by_the_host() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    for starts in 2..=5 {
        host.ready().await;
        assert_eq!(caller(&host).get("/health").await.status, 200);
        host.terminate_handler();
        until(&host, || host.handler_starts() == starts).await;
    }
    assert!(!host.has_stopped() && host.lines(Source::Host).is_empty(), "{}", host.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_kills_the_handler_when_a_function_times_out() {
    let timeout = ("AzureFunctionsJobHost__functionTimeout", "00:00:01");
    let harness = HostHarness::new();
    let (host, receiver) = (
        harness.host_with(&[timeout]).await,
        crate::support::recording_receiver::Receiver::start(Duration::from_secs(4)).await,
    );
    let api = crate::support::host_harness::login(&host).await;
    api.schedule(Duration::ZERO, &receiver.endpoint).await;
    until(&host, || host.lines(Source::Host).iter().any(|line| line.contains("timeout has passed"))).await;
    until(&host, || host.handler_starts() == 2).await;
    assert!(!host.has_stopped());
}
