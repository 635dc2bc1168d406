//! `getConversationStatus`

use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::in_seconds;
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

#[tokio::test]
async fn the_status_shows_every_field_of_the_request() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client
        .scheduled(json!({
            "conversationText": "héllo \u{1f469}\u{200d}\u{1f467} \u{2028}",
            "scheduledTime": "2035-06-01T14:00:00+02:00",
            "endpoint": "https://example.com/hook?x=1#y",
            "method": "put",
            "headers": { "X-Trace": "1", "Authorization": "Bearer canary" },
            "additionalInfo": { "b": [1.0, null], "a": "x" },
            "format": "text",
            "retry": { "maxAttempts": 3 },
            "timeoutSeconds": 5,
            "labels": { "team": "ops", "customer.id": "Müller: 7" },
            "threadId": "thread-7",
            "expireAfter": "PT5M",
        }))
        .await;
    let answer = client.status(&id).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["conversationId"], id);
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    golden::check("status-scheduled", &answer.json());
}

#[tokio::test]
async fn the_body_is_shown_as_it_was_written() {
    let app = TestApp::start().await;
    let body = r#"{ "z": 1.50, "a": ["{{conversationText}} \u00e9", 18446744073709551616] }"#;
    let request =
        format!(r#"{{"conversationText":"hi","delay":"5m","endpoint":"https://example.com/","body":{body}}}"#);
    let scheduled = app.client().schedule_raw(request).await.json();
    let answer = app.client().status(scheduled["conversationId"].as_str().unwrap()).await;
    assert!(answer.text.contains(&format!(r#""body":{body},"#)), "{}", answer.text);
}

#[tokio::test]
async fn defaults_are_shown_as_what_they_are() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": "2035-06-01T12:00:00Z" })).await;
    golden::check("status-defaults", &client.status(&id).await.json());
}

#[tokio::test]
async fn all_times_are_utc_to_the_millisecond() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    let shown = client.wait_for(&id, "Completed").await;
    let assert_utc = |value: &Value| {
        let text = value.as_str().unwrap();
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
    };
    for name in ["scheduledTime", "serverTime", "createdTime", "updatedTime"] {
        assert_utc(&shown[name]);
    }
    assert_utc(&shown["attempts"][0]["startedTime"]);
}

#[tokio::test]
async fn a_delivery_in_flight_is_shown() {
    let (app, receiver) = (TestApp::start().await, Receiver::start([slow()]).await);
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    receiver.wait_for(1).await;
    let shown = client.status(&id).await.json();
    assert_eq!(shown["status"], "InProgress");
    assert_eq!(shown["attempts"][0]["outcome"], "inFlight");
    golden::check("status-in-progress", &shown);
}

#[tokio::test]
async fn a_delivered_conversation_shows_its_attempt() {
    let receiver = Receiver::start([Reply::status(200).body("thanks")]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    let shown = client.wait_for(&id, "Completed").await;
    assert_eq!(shown["attempts"][0]["httpStatus"], 200);
    golden::check("status-completed", &shown);
}

#[tokio::test]
async fn a_failed_conversation_says_why() {
    let receiver = Receiver::start([Reply::status(400).body("no")]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let once = json!({ "maxAttempts": 1 });
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "retry": once });
    let id = client.scheduled(now).await;
    golden::check("status-failed", &client.wait_for(&id, "Failed").await);
}

#[tokio::test]
async fn a_conversation_between_attempts_shows_the_time_of_the_next_one() {
    let receiver = Receiver::start([Reply::status(503)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    receiver.wait_for(1).await;
    let shown = loop {
        let shown = client.wait_for(&id, "InProgress").await;
        if shown["nextAttemptTime"].is_string() {
            break shown;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(shown["nextAttemptTime"].as_str().unwrap() > shown["serverTime"].as_str().unwrap(), "{shown}");
    golden::check("status-waiting", &shown);
}

#[tokio::test]
async fn unknown_malformed_and_foreign_ids_get_the_same_answer() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.client(), app.other_client());
    let foreign = bob.scheduled(json!({})).await;
    let unknown = alice.status("01890000-0000-7000-8000-00000000000f").await;
    unknown.assert_problem(404, "no-such-conversation");
    golden::check("problem-no-such-conversation", &unknown.json());
    let upper = foreign.to_uppercase();
    let encoded = format!("%{:02x}{}", foreign.as_bytes()[0], &foreign[1..]);
    let simple = foreign.replace('-', "");
    let long = "x".repeat(20_000);
    for id in [
        &foreign,
        &upper,
        &encoded,
        &simple,
        &long,
        "1",
        "a'b",
        "a%2Fb",
        "%00",
        "%",
        "%zz",
        "%F0%9F%92%A9",
        "..",
        "~",
        "*",
    ] {
        let answer = alice.status(id).await;
        // The client library resolves "..", so the service sees another path.
        if id != ".." {
            assert_eq!((answer.status, &answer.text), (404, &unknown.text), "{id:.40}");
        }
    }
    assert_eq!(bob.status(&foreign).await.status, 200);
}

/// A reply that arrives after the end of the test.
fn slow() -> Reply {
    Reply::status(200).after(Duration::from_mins(1))
}
