//! The fields that say when.

use std::sync::Arc;

use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::{BareApi, Fixed, Running, TestApp};
use crate::support::client::conversation;
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

const NOW: &str = "2030-01-01T09:00:00.000Z";

async fn start() -> Running {
    let clock = Arc::new(Fixed(Timestamp::parse(NOW).unwrap()));
    BareApi { clock, ..BareApi::new() }.start().await
}

/// The members of a schedule request without scheduledTime.
fn when(fields: &Value) -> Value {
    let mut members = json!({ "scheduledTime": null });
    members.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    members
}

#[tokio::test]
async fn a_time_is_read_in_its_zone_and_shown_in_both() {
    let api = start().await;
    let client = api.client();
    for fields in [
        json!({ "scheduledTime": "2030-06-01T14:00:00", "timeZone": "Europe/Berlin" }),
        json!({ "scheduledTime": "2030-06-01T14:00:00+02:00[Europe/Berlin]" }),
        json!({ "scheduledTime": "2030-06-01T12:00:00Z", "timeZone": "europe/berlin" }),
    ] {
        let answer = client.schedule(fields.clone()).await.json();
        assert_eq!(answer["scheduledTime"], "2030-06-01T12:00:00.000Z", "{fields}");
        assert_eq!(answer["localTime"], "2030-06-01T14:00:00.000+02:00[Europe/Berlin]", "{fields}");
        assert_eq!((&answer["serverTime"], &answer["notes"]), (&json!(NOW), &json!([])), "{fields}");
        let status = client.status(answer["conversationId"].as_str().unwrap()).await.json();
        assert_eq!((&status["timeZone"], &status["localTime"]), (&json!("Europe/Berlin"), &answer["localTime"]));
    }
    let answer = client.schedule(json!({ "scheduledTime": "2030-06-01T14:00:00+02:00" })).await.json();
    assert_eq!(answer["localTime"], Value::Null, "no zone was given");
}

#[tokio::test]
async fn a_delay_counts_from_the_time_of_the_server() {
    let api = start().await;
    let client = api.client();
    for (delay, seconds) in [("5m", 300.0), ("PT5M", 300.0), ("1h30m", 5400.0), ("0s", 0.0), ("7d", 604_800.0)] {
        let answer = client.schedule(when(&json!({ "delay": delay }))).await.json();
        assert_eq!(answer["dueInSeconds"], seconds, "{delay}: {answer}");
    }
    let answer = client.schedule(when(&json!({ "delay": "5m", "timeZone": "Asia/Tokyo" }))).await.json();
    assert_eq!(answer["localTime"], "2030-01-01T18:05:00.000+09:00[Asia/Tokyo]");
}

#[tokio::test]
async fn a_delayed_conversation_is_delivered() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let id = client.scheduled(when(&json!({ "delay": "1s", "endpoint": receiver.url("/") }))).await;
    let completed = client.wait_for(&id, "Completed").await;
    assert!(completed["latenessMs"].as_u64().unwrap() < 10_000, "{completed}");
}

#[tokio::test]
async fn a_gap_and_a_fold_are_told_over_rest_and_over_mcp() {
    let api = start().await;
    let client = api.client();
    for (wall, instant, said) in [
        ("2030-03-31T02:30", "2030-03-31T01:30:00.000Z", "does not exist in Europe/Berlin"),
        ("2030-10-27T02:30", "2030-10-27T00:30:00.000Z", "happens twice in Europe/Berlin"),
    ] {
        let fields = json!({ "scheduledTime": wall, "timeZone": "Europe/Berlin" });
        let answer = client.schedule(fields.clone()).await.json();
        assert_eq!(answer["scheduledTime"], instant);
        assert!(answer["notes"][0].as_str().unwrap().contains(said), "{answer}");
        let called = client.call_tool("scheduleConversation", conversation(fields)).await;
        assert_eq!(called.text, called.structured["conversationId"], "the first text is the id alone");
        assert_eq!(
            (&called.structured["scheduledTime"], &called.structured["notes"]),
            (&json!(instant), &answer["notes"])
        );
    }
    let answer = client.schedule(json!({ "scheduledTime": "2030-10-27T02:30", "timeZone": "Europe/Berlin" })).await;
    golden::check("schedule-in-a-zone", &answer.json());
}

#[tokio::test]
async fn a_zone_stays_through_cancelling_and_redelivering() {
    let (app, receiver) = (TestApp::start().await, Receiver::start([Reply::status(404), Reply::status(404)]).await);
    let client = app.client();
    let zoned = json!({ "delay": "0s", "timeZone": "Europe/Berlin", "endpoint": receiver.url("/") });
    let id = client.scheduled(when(&zoned)).await;
    let failed = client.wait_for(&id, "Failed").await;
    assert_eq!(failed["timeZone"], "Europe/Berlin");
    assert_eq!(client.redeliver(&id).await.status, 200);
    let again = client.wait_for(&id, "Failed").await;
    assert_eq!((&again["timeZone"], &again["localTime"]), (&failed["timeZone"], &failed["localTime"]));
    let id = client.scheduled(when(&json!({ "delay": "1h", "timeZone": "Europe/Berlin" }))).await;
    assert_eq!(client.cancel(&id).await.status, 200);
    assert_eq!(client.status(&id).await.json()["timeZone"], "Europe/Berlin");
}
