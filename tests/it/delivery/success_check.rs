//! `successWhen`: a response that does not meet the caller's check is a failed attempt.

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::in_seconds;
use crate::support::receiver::{Receiver, Reply};

/// The record of a conversation that ends with this status after one attempt and this reply.
async fn record(check: Value, reply: String, status: &str) -> Value {
    let receiver = Receiver::start([Reply::status(200).body(reply)]).await;
    let app = TestApp::start().await;
    let conversation = json!({
        "endpoint": receiver.url("/"), "scheduledTime": in_seconds(0), "retry": { "maxAttempts": 1 }, "successWhen": check,
        "headers": { "Authorization": "Bearer canary-canary" },
    });
    let id = app.client().scheduled(conversation).await;
    app.client().wait_for(&id, status).await
}

fn ok() -> Value {
    json!({ "pointer": "/ok", "equals": true })
}

#[tokio::test]
async fn a_response_that_does_not_meet_the_check_is_a_failure_with_a_reason_of_its_own() {
    let met = record(ok(), r#"{"ok":true}"#.to_owned(), "Completed").await;
    assert_eq!((&met["attempts"][0]["outcome"], &met["attempts"][0]["error"]), (&json!("success"), &Value::Null));

    let said = format!(r#"{{"ok":false,"echo":"canary-canary","rest":"{}"}}"#, "x".repeat(20_000));
    let failed = record(ok(), said, "Failed").await;
    assert_eq!(failed["lastError"], "the endpoint answered 2xx, but its response does not meet successWhen");
    let attempt = &failed["attempts"][0];
    assert_eq!(attempt["outcome"], "failure");
    assert_eq!((&attempt["httpStatus"], &attempt["error"]), (&json!(200), &json!("success_when_not_met")));
    let excerpt = attempt["responseExcerpt"].as_str().unwrap();
    assert!(
        excerpt.starts_with(r#"{"ok":false,"echo":"[redacted]","rest":"xxx"#) && excerpt.len() <= 1024,
        "{excerpt}"
    );
    assert!(!failed.to_string().contains("canary"));
}

#[tokio::test]
async fn the_whole_body_is_read_up_to_64_kib() {
    let long = |length: usize| format!(r#"{{"a":"{}","ok":true}}"#, "x".repeat(length));
    record(ok(), long(60_000), "Completed").await;
    record(ok(), long(70_000), "Failed").await;
    let absent = || json!({ "pointer": "/error", "absent": true });
    record(absent(), long(60_000), "Completed").await;
    record(absent(), long(70_000), "Failed").await;
    record(absent(), String::new(), "Completed").await;
    record(absent(), r#"{"error":{"code":-32601}}"#.to_owned(), "Failed").await;
}
