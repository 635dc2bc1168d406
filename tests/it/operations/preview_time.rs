//! `previewTime`

use std::sync::Arc;

use http::Method;
use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::{BareApi, Fixed, Running};
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;

const NOW: &str = "2030-01-01T09:00:00.000Z";

async fn start() -> Running {
    let clock = Arc::new(Fixed(Timestamp::parse(NOW).unwrap()));
    BareApi { clock, ..BareApi::new() }.start().await
}

async fn preview(client: &ApiClient, request: &Value) -> Answer {
    let request = client.request(Method::POST, "/api/scheduler/preview").await.body(request.to_string());
    Answer::to(request.header("content-type", "application/json")).await
}

#[tokio::test]
async fn a_time_is_shown_in_utc_and_in_its_zone_and_nothing_is_scheduled() {
    let api = start().await;
    let client = api.client();
    for (request, instant, local) in [
        (json!({ "scheduledTime": "2030-06-01T12:00:00Z" }), "2030-06-01T12:00:00.000Z", json!([])),
        (
            json!({ "scheduledTime": "2030-06-01T14:00", "timeZone": "Europe/Berlin", "count": 50 }),
            "2030-06-01T12:00:00.000Z",
            json!(["2030-06-01T14:00:00.000+02:00[Europe/Berlin]"]),
        ),
        (
            json!({ "delay": "0s", "timeZone": "America/New_York", "count": 1 }),
            NOW,
            json!(["2030-01-01T04:00:00.000-05:00[America/New_York]"]),
        ),
    ] {
        let expected = json!({ "instants": [instant], "localTimes": local, "serverTime": NOW, "notes": [] });
        let answer = preview(&client, &request).await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{request}");
        let called = client.call_tool("previewTime", request.clone()).await;
        assert_eq!(called.structured, expected, "{request}");
        assert!(called.text.contains(instant) && called.text.contains(NOW), "{}", called.text);
    }
    assert_eq!(client.list("").await.json()["conversations"], json!([]));
}

#[tokio::test]
async fn a_gap_a_fold_and_a_time_without_zone_are_told() {
    let api = start().await;
    let client = api.client();
    for (request, said) in [
        (json!({ "scheduledTime": "2030-03-31T02:30[Europe/Berlin]" }), "does not exist in Europe/Berlin"),
        (json!({ "scheduledTime": "2030-10-27T02:30[Europe/Berlin]" }), "happens twice in Europe/Berlin"),
        (json!({ "scheduledTime": "2030-10-27T02:30" }), "was read as UTC"),
    ] {
        let answer = preview(&client, &request).await.json();
        assert!(answer["notes"][0].as_str().unwrap().contains(said), "{answer}");
    }
    let gap = json!({ "scheduledTime": "2030-03-31T02:30[Europe/Berlin]" });
    golden::check("preview", &preview(&client, &gap).await.json());
}

#[tokio::test]
async fn a_preview_has_the_limits_and_the_errors_of_scheduling() {
    let api = start().await;
    let client = api.client();
    for (request, pointers) in [
        (json!({}), &["/scheduledTime"][..]),
        (json!({ "scheduledTime": "2030-01-01T08:00Z" }), &["/scheduledTime"]),
        (json!({ "scheduledTime": "2041-01-01T08:00Z" }), &["/scheduledTime"]),
        (json!({ "scheduledTime": "2030-06-01T14:00+01:00", "timeZone": "Europe/Berlin" }), &["/scheduledTime"]),
        (json!({ "delay": "4000d" }), &["/delay"]),
        (json!({ "delay": "5m", "scheduledTime": "2030-06-01T12:00:00Z" }), &["/delay"]),
        (json!({ "delay": "5m", "timeZone": "Mars" }), &["/timeZone"]),
        (json!({ "delay": "5m", "count": 0 }), &["/count"]),
        (json!({ "delay": "5m", "count": 51, "endpoint": "https://example.com/" }), &["/count", "/endpoint"]),
    ] {
        let answer = preview(&client, &request).await;
        answer.assert_invalid(pointers);
        assert_eq!(answer.json()["serverTime"], NOW, "{request}");
    }
}
