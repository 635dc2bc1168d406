//! `redeliverConversations`

use serde_json::json;

use super::bulk::{post, walk};
use crate::support::app::{BareApi, StoreDown, TestApp};
use crate::support::client::{ApiClient, in_seconds};
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

const REDELIVER: &str = "/api/scheduler/redeliver";

/// Schedules this many conversations for an endpoint that refuses them, and waits until they have failed.
async fn failed(client: &ApiClient, receiver: &Receiver, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "labels": { "a": "b" } });
        ids.push(client.scheduled(now).await);
    }
    for id in &ids {
        client.wait_for(id, "Failed").await;
    }
    ids
}

/// Redelivered conversations leave the Failed ones while the calls go on, and come back when they fail again.
#[tokio::test]
async fn each_failed_conversation_is_redelivered_once_although_it_fails_again() {
    let receiver = Receiver::start([Reply::status(410)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let ids = failed(&client, &receiver, 25).await;
    let scheduled = client.scheduled(json!({})).await;
    for (limit, round) in [(4, 2), (25, 3)] {
        let (redelivered, skipped, calls) =
            walk(&client, REDELIVER, "redelivered", json!({ "filter": {}, "limit": limit })).await;
        assert_eq!((redelivered, skipped), (25, 0));
        assert!(calls <= 25_usize.div_ceil(limit) + 1, "{calls}");
        receiver.wait_for(25 * round).await;
        for id in &ids {
            assert_eq!(client.wait_for(id, "Failed").await["attempts"].as_array().unwrap().len(), round);
        }
    }
    assert_eq!(client.status(&scheduled).await.json()["status"], "Scheduled");
}

#[tokio::test]
async fn what_matches_the_filter_is_redelivered_and_repeating_it_changes_nothing() {
    let refusing = Receiver::start([Reply::status(410), Reply::status(410), Reply::status(204)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let ids = failed(&client, &refusing, 2).await;
    let nothing = json!({ "redelivered": 0, "skipped": 0 });
    for filter in [
        json!({ "endpointHost": "example.com" }),
        json!({ "label": "a:c" }),
        json!({ "to": in_seconds(-3600) }),
        json!({ "from": in_seconds(3600) }),
    ] {
        assert_eq!(post(&client, REDELIVER, &json!({ "filter": filter })).await.json(), nothing, "{filter}");
    }
    let filter = json!({ "status": "failed", "endpointHost": "127.0.0.1", "label": "a:b", "from": in_seconds(-3600) });
    let answer = post(&client, REDELIVER, &json!({ "filter": filter })).await;
    golden::check("redeliver-conversations", &answer.json());
    for id in &ids {
        client.wait_for(id, "Completed").await;
    }
    assert_eq!(post(&client, REDELIVER, &json!({ "filter": filter })).await.json(), nothing);
    assert_eq!(refusing.received().len(), 4);
}

#[tokio::test]
async fn a_conversation_without_attempts_left_is_skipped() {
    let receiver = Receiver::start([Reply::status(410)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let retry = json!({ "maxAttempts": 20 });
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "retry": retry });
    let id = client.scheduled(now).await;
    client.wait_for(&id, "Failed").await;
    for _ in 0..80 {
        assert_eq!(post(&client, REDELIVER, &json!({ "filter": {} })).await.json()["redelivered"], 1);
        client.wait_for(&id, "Failed").await;
    }
    let answer = post(&client, REDELIVER, &json!({ "filter": {} })).await;
    assert_eq!(answer.json(), json!({ "redelivered": 0, "skipped": 1 }));
}

#[tokio::test]
async fn only_failed_conversations_can_be_named() {
    let app = TestApp::start().await;
    let client = app.client();
    for (body, pointers) in [
        (json!({}), &["/filter"][..]),
        (json!({ "filter": { "status": "Completed" } }), &["/filter/status"]),
        (json!({ "filter": { "status": "Cancelled", "order": "ended" } }), &["/filter/order", "/filter/status"]),
    ] {
        let answer = post(&client, REDELIVER, &body).await;
        answer.assert_invalid(pointers);
    }
    let answer = post(&client, REDELIVER, &json!({ "filter": { "status": "Scheduled" } })).await;
    assert!(answer.text.contains("only Failed conversations can be redelivered"), "{}", answer.text);
}

#[tokio::test]
async fn the_tools_redeliver_one_or_many() {
    let receiver = Receiver::start([Reply::status(410)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let ids = failed(&client, &receiver, 2).await;
    let one = client.call_tool("redeliverConversation", json!({ "conversationId": ids[0] })).await;
    assert_eq!((&*one.text, &one.structured["conversationId"]), ("InProgress", &json!(ids[0])), "{one:?}");
    client.wait_for(&ids[0], "Failed").await;
    let many = client.call_tool("redeliverConversations", json!({ "filter": { "label": "a:b" } })).await;
    assert_eq!((&*many.text, &many.structured["redelivered"]), ("redelivered 2, skipped 0.", &json!(2)));
    let scheduled = client.scheduled(json!({})).await;
    let refused = client.call_tool("redeliverConversation", json!({ "conversationId": scheduled })).await;
    assert!(refused.is_error && refused.text.contains("is delivered without this call"), "{refused:?}");
}

#[tokio::test]
async fn a_failing_store_is_unavailable() {
    let api = BareApi::with_faults(StoreDown).start().await;
    post(&api.client(), REDELIVER, &json!({ "filter": {} })).await.assert_problem(503, "unavailable");
}
