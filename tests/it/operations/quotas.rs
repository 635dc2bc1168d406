//! The quotas of pending conversations and of their bytes, as a client meets them.

use std::num::{NonZeroU32, NonZeroUsize};

use http::Method;
use serde_json::{Value, json};

use super::bulk::post;
use crate::support::app::{BareApi, Running, TestApp};
use crate::support::client::{Answer, conversation, in_seconds};
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

async fn limited(max_pending: u32) -> Running {
    BareApi { max_pending: NonZeroU32::new(max_pending), ..BareApi::new() }.start().await
}

/// A problem without the number of seconds after which the request is worth another try.
fn problem(refused: &Answer) -> Value {
    let seconds = refused.header("retry-after");
    assert!((50..=60).contains(&seconds.parse::<u32>().unwrap()), "{seconds}");
    let mut problem = refused.json();
    problem["hint"] =
        problem["hint"].as_str().unwrap().replace(&format!("{seconds} seconds"), "<number> seconds").into();
    problem
}

#[tokio::test]
async fn a_client_with_too_many_pending_conversations_is_told_what_to_do() {
    let api = limited(2).await;
    let client = api.client();
    for _ in 0..2 {
        client.scheduled(json!({})).await;
    }
    let refused = client.schedule(json!({})).await;
    refused.assert_problem(429, "quota-exceeded");
    golden::check("problem-quota-exceeded", &problem(&refused));
    let tool = client.call_tool("scheduleConversation", conversation(json!({}))).await;
    assert!(tool.is_error && tool.text.contains("about 2 pending conversations"), "{tool:?}");
    assert!(tool.text.contains("Cancel conversations that are no longer needed"), "{tool:?}");
    assert_eq!(client.list("").await.json()["conversations"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_conversations_of_a_batch_that_have_no_room_fail_alone() {
    let api = limited(3).await;
    let batch = json!({ "conversations": (0..5).map(|_| conversation(json!({}))).collect::<Vec<_>>() });
    let answer = post(&api.client(), "/api/scheduler/batch", &batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    let outcome =
        |result: &Value| result["problem"]["type"].as_str().map(|urn| urn.rsplit(':').next().unwrap().to_owned());
    let outcomes: Vec<_> = answer["results"].as_array().unwrap().iter().map(outcome).collect();
    let refused = Some("quota-exceeded".to_owned());
    assert_eq!(outcomes, [None, None, None, refused.clone(), refused]);
}

#[tokio::test]
async fn a_client_whose_pending_conversations_are_too_large_is_told_what_to_do() {
    let api = BareApi { max_pending_bytes: NonZeroUsize::new(10_000), ..BareApi::new() }.start().await;
    let client = api.client();
    let text = |bytes| json!({ "conversationText": "x".repeat(bytes), "additionalInfo": null });
    let id = client.scheduled(text(6_000)).await;
    let refused = client.schedule(text(4_001)).await;
    refused.assert_problem(429, "quota-exceeded");
    golden::check("problem-quota-of-bytes-exceeded", &problem(&refused));
    let conversations = [5_000, 1_000, 5_000].map(|bytes| conversation(text(bytes)));
    let batch = json!({ "conversations": conversations });
    let answer = post(&client, "/api/scheduler/batch", &batch).await.json();
    let accepted = |result: &Value| result["problem"].is_null();
    assert_eq!(answer["results"].as_array().unwrap().iter().map(accepted).collect::<Vec<_>>(), [false, true, false]);
    let patch = async |bytes| {
        let request = client.request(Method::PATCH, &format!("/api/scheduler/{id}")).await;
        Answer::to(request.header("content-type", "application/json").body(text(bytes).to_string())).await
    };
    patch(9_001).await.assert_problem(429, "quota-exceeded");
    assert_eq!(patch(9_000).await.status, 200);
    let tool = client.call_tool("scheduleConversation", conversation(text(1))).await;
    assert!(tool.is_error && tool.text.contains("This request needs 1 more"), "{tool:?}");
}

#[tokio::test]
async fn the_setting_limits_a_service_and_leaves_what_is_delivered_out() {
    let app = TestApp::start_with(&[("MAX_PENDING_PER_CLIENT", "1")]).await;
    let (client, receiver) = (app.client(), Receiver::start([Reply::status(404)]).await);
    let due = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") });
    let failed = client.scheduled(due).await;
    client.wait_for(&failed, "Failed").await;
    client.scheduled(json!({})).await;
    for refused in [client.schedule(json!({})).await, client.redeliver(&failed).await] {
        refused.assert_problem(429, "quota-exceeded");
    }
    let filter = json!({ "filter": { "status": "Failed" } });
    post(&client, "/api/scheduler/redeliver", &filter).await.assert_problem(429, "quota-exceeded");
}
