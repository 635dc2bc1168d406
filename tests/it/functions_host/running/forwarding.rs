//! The host in front of the service: which parts of requests and answers it passes on.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::support::client::{Answer, conversation};
use crate::support::discovery::list_by_links_alone;
use crate::support::functions_host::Host;
use crate::support::host_harness::{HostHarness, PATIENCE, caller, login};
use crate::support::recording_receiver::Receiver;
use crate::support::service::{CLIENT, KEY};
use crate::support::wire::{Wire, head};

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_through_the_host_as_without_it() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    let caller = caller(&host);
    // The client checks each answer against the contract, headers included.
    let id = caller.scheduled(json!({})).await;
    assert_eq!(caller.status(&id).await.json()["status"], "Scheduled");
    assert_eq!(caller.list("?limit=5&status=Scheduled").await.json()["conversations"].as_array().unwrap().len(), 1);
    assert_eq!(caller.cancel(&id).await.status, 200);
    for (path, status) in [("/health", 200), ("/health/ready", 200), ("/api/scheduler/status/none", 404)] {
        assert_eq!(caller.get(path).await.status, status, "{path}");
    }
    caller.schedule_raw("{").await.assert_problem(400, "malformed-json");
    assert_eq!(caller.login("nobody", "a wrong key, long enough").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_the_token_endpoint_through_the_host_by_links_alone() {
    let harness = HostHarness::new();
    let host = harness.host_with(&[("WEBSITE_HOSTNAME", "app.azurewebsites.net")]).await;
    let answer = list_by_links_alone(&caller(&host), (CLIENT, KEY), "https://app.azurewebsites.net").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_the_host_cannot_be_called_by_clients() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    host.ready().await;
    let caller = caller(&host);
    let paths = ["/deliverConversation", "/sweepDueConversations", "/api/deliverConversation", "/DELIVERCONVERSATION"];
    for path in paths.into_iter().chain(["/nowhere", "/api/scheduler/a/b", "//deliverConversation", "/."]) {
        for method in [Method::POST, Method::GET, Method::DELETE] {
            let request = caller.anonymous(method.clone(), path).header("content-type", "application/json").body("{}");
            let status = request.send().await.unwrap().status().as_u16();
            let expected = if path == "/." && method == Method::GET { 200 } else { 404 };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_length_is_streamed_through() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    let answer = chunked(&host).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_host_forwards_requests_that_have_a_length() {
    let harness = HostHarness::new();
    let mut options = harness.options();
    options.knows_proxying = false;
    let (host, receiver) = (Host::start(options).await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::from_secs(2), &receiver.endpoint).await;
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    api.completed(&id, PATIENCE).await;
    // An older host drops a body without a length, so the service refuses the request.
    let answer = chunked(&host).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

/// Schedules with a body of unknown length.
async fn chunked(host: &Host) -> Answer {
    let token = login(host).await.token().to_owned();
    let body = conversation(json!({})).to_string();
    let headers = [
        ("authorization", &*format!("Bearer {token}")),
        ("content-type", "application/json"),
        ("transfer-encoding", "chunked"),
    ];
    let mut wire = Wire::connect(host.address()).await;
    let request = head("POST", "/api/scheduler/schedule", &headers);
    wire.exchange(format!("{request}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await.unwrap()
}
