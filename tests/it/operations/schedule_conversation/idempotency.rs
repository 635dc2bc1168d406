//! `Idempotency-Key`: a repeated request schedules nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use futures_util::future::join_all;
use http::Method;
use mcp_scheduler::domain::{Scopes, Timestamp};
use mcp_scheduler::http::{Access, operations};
use mcp_scheduler::store::{ConversationStore, KeyRange, Operation, Table as _};
use mcp_scheduler::time::Clock;
use serde_json::{Value, json};

use crate::support::app::{BareApi, StoreDown, TestApp};
use crate::support::client::{Answer, ApiClient, conversation, in_seconds};
use crate::support::golden;
use crate::support::receiver::Receiver;

const SCHEDULE: &str = "/api/scheduler/schedule";
const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn send(client: &ApiClient, key: &str, body: impl Into<String>) -> Answer {
    let request = client.request(Method::POST, SCHEDULE).await.header("idempotency-key", key);
    Answer::to(request.header("content-type", "application/json").body(body.into())).await
}

pub(super) async fn schedule(client: &ApiClient, key: &str, overrides: Value) -> Answer {
    send(client, key, conversation(overrides).to_string()).await
}

async fn count(client: &ApiClient) -> usize {
    client.list("").await.json()["conversations"].as_array().unwrap().len()
}

fn later() -> Value {
    json!({ "scheduledTime": "2035-06-01T12:00:00Z" })
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer() {
    let app = TestApp::start().await;
    let client = app.client();
    let first = schedule(&client, KEY, later()).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let other_form = r#" { "endpoint":"https://example.com/hook","method":"post",
        "scheduledTime":"2035-06-01T14:00+02:00","conversationText":"h\u0065llo", "format": null } "#;
    for (key, body) in [
        (KEY.to_owned(), conversation(later()).to_string()),
        (format!("\"{KEY}\""), conversation(later()).to_string()),
        (KEY.to_owned(), other_form.to_owned()),
    ] {
        let again = send(&client, &key, body).await;
        assert_eq!((again.status, &again.text), (200, &first.text));
    }
    assert_eq!(count(&client).await, 1);
    let id = first.json()["conversationId"].as_str().unwrap().to_owned();
    assert_eq!(client.cancel(&id).await.status, 200);
    let again = schedule(&client, KEY, later()).await;
    assert_eq!((again.status, &again.text), (200, &first.text), "also after a cancel");
    assert_eq!(client.status(&id).await.json()["status"], "Cancelled");
    assert_ne!(client.scheduled(later()).await, id, "a request without a key");
    assert_ne!(schedule(&client, "another-key", later()).await.json()["conversationId"], id);
}

#[tokio::test]
async fn a_conversation_that_was_delivered_is_not_delivered_again() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") });
    let first = schedule(&client, KEY, now.clone()).await;
    client.wait_for(first.json()["conversationId"].as_str().unwrap(), "Completed").await;
    assert_eq!(schedule(&client, KEY, now).await.text, first.text);
    assert_eq!(receiver.wait_for(1).await.len(), 1);
}

#[tokio::test]
async fn another_request_with_the_key_is_refused() {
    let app = TestApp::start().await;
    let client = app.client();
    schedule(&client, KEY, later()).await;
    for other in [json!({ "conversationText": "other" }), json!({ "timeoutSeconds": 7 })] {
        let mut other = other;
        other["scheduledTime"] = later()["scheduledTime"].clone();
        let refused = schedule(&client, KEY, other).await;
        refused.assert_problem(422, "idempotency-key-reused");
        golden::check("problem-idempotency-key-reused", &refused.json());
    }
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn each_client_has_keys_of_its_own() {
    let app = TestApp::start().await;
    let ids = [app.client(), app.other_client()].map(|client| async move { schedule(&client, KEY, later()).await });
    let [first, second] = <[_; 2]>::try_from(join_all(ids).await).unwrap();
    assert_eq!([first.status, second.status], [200, 200]);
    assert_ne!(first.json()["conversationId"], second.json()["conversationId"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_with_one_key_schedule_one_conversation() {
    let app = TestApp::start().await;
    let client = app.client();
    client.token().await;
    let answers = join_all((0..30).map(|_| schedule(&client, KEY, later()))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.text), (200, &answers[0].text));
    }
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_the_other_errors() {
    let app = TestApp::start().await;
    let client = app.client();
    let long = "k".repeat(256);
    for key in ["", " ", "two words", "\"open", "\"a\" b", &long] {
        let refused = schedule(&client, key, json!({})).await;
        refused.assert_invalid(&["/Idempotency-Key"]);
    }
    let refused = schedule(&client, &long, json!({ "method": "CONNECT", "extra": 1 })).await;
    refused.assert_invalid(&["/extra", "/method", "/Idempotency-Key"]);
    golden::check("problem-idempotency-key", &schedule(&client, &long, json!({})).await.json());
    assert_eq!(schedule(&client, &long[1..], json!({})).await.status, 200, "255 characters");

    let request = client.request(Method::POST, SCHEDULE).await.header("idempotency-key", "a");
    let request = request.header("idempotency-key", "a").header("content-type", "application/json");
    let twice = Answer::to(request.body(conversation(json!({})).to_string())).await;
    twice.assert_invalid(&["/Idempotency-Key"]);

    let body = client.schedule(json!({ "idempotencyKey": "a" })).await;
    body.assert_invalid(&["/idempotencyKey"]);
    assert!(body.text.contains("use the header Idempotency-Key"), "{}", body.text);
}

#[tokio::test]
async fn a_key_is_refused_where_it_is_not_read() {
    let app = TestApp::start().await;
    let client = app.client().with_scopes(&Scopes::with_operator().to_string()).await;
    let id = client.scheduled(json!({})).await;
    let (mut refused, mut taken) = (0, 0);
    for operation in operations() {
        if matches!(operation.access, Access::Anyone(_)) {
            continue;
        }
        let path = operation.path.replace("{id}", &id).replace("{name}", "daily");
        let request = client.anonymous(operation.method.clone(), &path).header("idempotency-key", KEY);
        let anonymous = Answer::unchecked(request).await;
        assert_eq!(anonymous.status, 401, "{}: the token comes first", operation.name);
        if operation.takes_idempotency_key {
            taken += 1;
            continue;
        }
        let request = client.request(operation.method.clone(), &path).await.header("idempotency-key", KEY);
        let answer = Answer::unchecked(request).await;
        answer.assert_problem(400, "invalid-request");
        assert_eq!(answer.pointers(), ["/Idempotency-Key"], "{}", operation.name);
        refused += 1;
    }
    assert_eq!((refused, taken), (operations().len() - 21, 3));
    assert_eq!(client.status(&id).await.json()["status"], "Scheduled", "nothing was cancelled");
}

/// A clock that a test moves.
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(SeqCst))
    }
}

#[tokio::test]
async fn a_repetition_may_come_after_the_time_for_a_day() {
    const MINUTE: i64 = 60_000;
    let noon = 1_893_499_200_000;
    let clock = Arc::new(Moved(AtomicI64::new(noon)));
    let api = BareApi { clock: Arc::clone(&clock) as _, ..BareApi::new() }.start().await;
    let soon = json!({ "scheduledTime": "2030-01-01T12:00:10Z" });
    let first = schedule(&api.client(), KEY, soon.clone()).await;
    assert_eq!(first.status, 200, "{}", first.text);
    for minutes in [10, 24 * 60 - 1] {
        clock.0.store(noon + minutes * MINUTE, SeqCst);
        // With a new token, because the one before has expired.
        let client = api.client();
        let again = schedule(&client, KEY, soon.clone()).await;
        assert_eq!((again.status, &again.text), (200, &first.text), "after {minutes} minutes");
        for (key, overrides) in [
            ("a-new-key", soon.clone()),
            (KEY, json!({ "scheduledTime": "2030-01-01T12:00:10Z", "conversationText": "other" })),
        ] {
            schedule(&client, key, overrides).await.assert_invalid(&["/scheduledTime"]);
        }
    }
    clock.0.store(noon + 24 * 60 * MINUTE, SeqCst);
    let client = api.client();
    schedule(&client, KEY, soon).await.assert_invalid(&["/scheduledTime"]);
    let next = schedule(&client, KEY, json!({ "scheduledTime": "2030-01-03T12:00:00Z" })).await;
    assert_eq!(next.status, 200, "after a day the key is new: {}", next.text);
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn a_conversation_that_is_gone_is_not_scheduled_again() {
    let api = BareApi::new();
    let table = api.table.clone();
    let api = api.start().await;
    let client = api.client();
    schedule(&client, KEY, later()).await;
    for partition in ConversationStore::partitions() {
        for row in table.scan(partition, &KeyRange::prefix("m~"), 10).await.unwrap() {
            table.commit(partition, vec![Operation::Delete { key: row.key, if_match: None }]).await.unwrap();
        }
    }
    let gone = schedule(&client, KEY, later()).await;
    gone.assert_problem(410, "conversation-gone");
    golden::check("problem-conversation-gone", &gone.json());
    assert_eq!(count(&client).await, 0);
}

#[tokio::test]
async fn a_failing_store_is_unavailable() {
    let api = BareApi::with_faults(StoreDown).start().await;
    schedule(&api.client(), KEY, later()).await.assert_problem(503, "unavailable");
}
