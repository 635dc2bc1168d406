//! What works for a conversation in an inbox as for any other: moves, callbacks, quotas, export and runs.

use std::num::NonZeroU32;

use http::Method;
use serde_json::{Value, json};

use super::acknowledge_conversation::{acknowledge, received};
use super::receive_conversations::{for_inbox, receive};
use crate::support::app::{BareApi, TestApp};
use crate::support::client::{Answer, ApiClient, in_seconds};
use crate::support::receiver::Receiver;

async fn update(client: &ApiClient, id: &str, patch: Value) -> Answer {
    let request = client.request(Method::PATCH, &format!("/api/scheduler/{id}")).await;
    Answer::to(request.header("content-type", "application/json").body(patch.to_string())).await
}

/// The ids of what is received now.
async fn received_ids(client: &ApiClient) -> Vec<Value> {
    let received = receive(client, json!({ "max": 10 })).await.json();
    received["conversations"].as_array().unwrap().iter().map(|item| item["conversationId"].clone()).collect()
}

#[tokio::test]
async fn a_conversation_that_waits_is_moved_out_and_delivered_and_another_is_moved_in_and_received() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let waiting = client.scheduled(for_inbox(json!({}))).await;
    let moved = update(&client, &waiting, json!({ "deliver": null, "endpoint": receiver.url("/") })).await;
    assert_eq!((moved.status, moved.json().get("deliver")), (200, None));
    client.wait_for(&waiting, "Completed").await;
    assert_eq!(receiver.received().len(), 1);

    let sent = json!({ "scheduledTime": in_seconds(600), "endpoint": receiver.url("/") });
    let sent = client.scheduled(sent).await;
    let moved = update(&client, &sent, json!({ "deliver": "inbox", "endpoint": null, "delay": "0s" })).await;
    assert_eq!((moved.status, &moved.json()["deliver"]), (200, &json!("inbox")));
    assert_eq!(received_ids(&client).await, [json!(sent)]);
    assert_eq!(receiver.received().len(), 1, "its endpoint gets nothing");
}

#[tokio::test]
async fn a_conversation_that_is_leased_is_not_moved_and_after_a_failure_its_acknowledgement_can_be_repeated() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let (id, receipt) = received(&client).await;
    let out = || json!({ "deliver": null, "endpoint": receiver.url("/") });
    update(&client, &id, out()).await.assert_problem(409, "too-late");
    let failed = json!({ "receipt": receipt, "outcome": "failed" });
    assert_eq!(acknowledge(&client, &id, failed.clone()).await.status, 200);
    assert_eq!(update(&client, &id, out()).await.status, 200);
    let repeated = acknowledge(&client, &id, failed).await;
    assert_eq!((repeated.status, repeated.json()), (200, json!({ "conversationId": id, "acknowledged": true })));
    acknowledge(&client, &id, json!({ "receipt": receipt })).await.assert_problem(409, "receipt-over");
    assert!(receiver.received().is_empty(), "the pause after the failure goes on");
}

#[tokio::test]
async fn on_completed_follows_the_acknowledgement() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let id = client.scheduled(for_inbox(json!({ "onCompleted": { "endpoint": receiver.url("/done") } }))).await;
    let item = receive(&client, json!({})).await.json()["conversations"][0].clone();
    assert!(receiver.received().is_empty());
    assert_eq!(acknowledge(&client, &id, json!({ "receipt": item["receipt"] })).await.status, 200);
    let news = receiver.wait_for(1).await.remove(0);
    assert_eq!(news.path, "/done");
    assert!(String::from_utf8_lossy(&news.body).contains(&id));
}

#[tokio::test]
async fn it_counts_for_the_quota_until_it_is_acknowledged() {
    let api = BareApi { max_pending: NonZeroU32::new(1), ..BareApi::new() }.start().await;
    let client = api.client();
    let (id, receipt) = received(&client).await;
    client.schedule(for_inbox(json!({}))).await.assert_problem(429, "quota-exceeded");
    assert_eq!(acknowledge(&client, &id, json!({ "receipt": receipt })).await.status, 200);
    let listed = client.list("?status=Completed").await.json();
    assert_eq!(listed["conversations"][0]["conversationId"], id);
}

#[tokio::test]
async fn an_export_has_it_and_after_the_import_it_is_received() {
    let (from, to) = (TestApp::start().await, TestApp::start().await);
    let id = from.client().scheduled(for_inbox(json!({ "conversationText": "Look at CI." }))).await;
    let operator = from.client().with_scopes("operator").await;
    let exported = operator.get("/api/export?reveal=true").await.json();
    let operator = to.client().with_scopes("operator").await;
    let imported = operator.post_json("/api/import", &json!({ "lines": exported["lines"] })).await;
    assert_eq!(imported.json()["conversations"], 1);
    let received = receive(&to.client(), json!({ "waitSeconds": 5 })).await.json();
    let item = &received["conversations"][0];
    assert_eq!((&item["conversationId"], &item["conversationText"]), (&json!(id), &json!("Look at CI.")));
}

#[tokio::test]
async fn a_run_puts_a_copy_into_the_inbox_now() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(for_inbox(json!({ "scheduledTime": in_seconds(600) }))).await;
    let copy = client.run(&id).await.json()["conversationId"].clone();
    assert_ne!(copy, json!(id));
    assert_eq!(received_ids(&client).await, [copy]);
}
