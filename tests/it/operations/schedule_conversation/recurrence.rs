//! Conversations that recur.

use std::sync::Arc;

use http::Method;
use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::{BareApi, Fixed, Running};
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;

const NOW: &str = "2030-03-29T09:30:00.000Z";

async fn start() -> Running {
    let clock = Arc::new(Fixed(Timestamp::parse(NOW).unwrap()));
    BareApi { clock, ..BareApi::new() }.start().await
}

fn recurring(fields: &Value) -> Value {
    let mut members = json!({ "scheduledTime": null });
    members.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    members
}

async fn preview(client: &ApiClient, request: &Value) -> Value {
    let request = client.request(Method::POST, "/api/scheduler/preview").await.body(request.to_string());
    Answer::to(request.header("content-type", "application/json")).await.json()
}

#[tokio::test]
async fn the_answer_shows_the_next_occurrences_by_the_clocks_of_the_zone() {
    let api = start().await;
    let client = api.client();
    for fields in [
        json!({ "recurrence": { "cron": "0 9 * * *", "timeZone": "Europe/Berlin" } }),
        json!({ "recurrence": { "cron": "0 9 * * *" }, "timeZone": "Europe/Berlin" }),
    ] {
        let answer = client.schedule(recurring(&fields)).await.json();
        // The clocks go forward on the 31st.
        assert_eq!(answer["scheduledTime"], "2030-03-30T08:00:00.000Z", "{fields}");
        assert_eq!(answer["localTime"], "2030-03-30T09:00:00.000+01:00[Europe/Berlin]");
        let next = ["2030-03-31T07:00:00.000Z", "2030-04-01T07:00:00.000Z", "2030-04-02T07:00:00.000Z"];
        assert_eq!((&answer["nextTimes"], &answer["notes"]), (&json!(next), &json!([])));
    }
}

#[tokio::test]
async fn a_recurrence_without_a_zone_says_that_it_follows_utc() {
    let api = start().await;
    let client = api.client();
    let answer = client.schedule(recurring(&json!({ "recurrence": { "cron": "0 9 * * *" } }))).await.json();
    assert_eq!(answer["scheduledTime"], "2030-03-30T09:00:00.000Z");
    assert!(answer["notes"][0].as_str().unwrap().contains("follows UTC"), "{answer}");
}

#[tokio::test]
async fn a_time_or_a_delay_says_from_when_it_recurs() {
    let api = start().await;
    let client = api.client();
    let recurrence = json!({ "cron": "0 9 * * *", "timeZone": "UTC" });
    for (fields, first) in [
        (json!({ "scheduledTime": "2031-01-05T09:00:00Z" }), "2031-01-05T09:00:00.000Z"),
        (json!({ "scheduledTime": "2031-01-05T09:00:01Z" }), "2031-01-06T09:00:00.000Z"),
        (json!({ "delay": "48h" }), "2030-04-01T09:00:00.000Z"),
    ] {
        let mut fields = recurring(&fields);
        fields["recurrence"] = recurrence.clone();
        assert_eq!(client.schedule(fields).await.json()["scheduledTime"], first);
    }
    let both = json!({ "scheduledTime": "2031-01-05T09:00:00Z", "delay": "5m", "recurrence": recurrence });
    client.schedule(both).await.assert_invalid(&["/delay"]);
}

#[tokio::test]
async fn the_status_and_the_list_show_the_recurrence() {
    let api = start().await;
    let client = api.client();
    let recurrence = json!({
        "cron": "0 9 * * FRI", "timeZone": "Europe/Berlin", "everyWeeks": 2, "endTime": "2031-01-01T00:00:00Z", "maxOccurrences": 12,
        "stopOnFailure": true,
    });
    let id = client.scheduled(recurring(&json!({ "recurrence": recurrence }))).await;
    let status = client.status(&id).await.json();
    golden::check("status-recurring", &status);
    let listed = client.list("").await.json();
    assert_eq!(listed["conversations"][0]["recurrence"], status["recurrence"]);
    assert_eq!(listed["conversations"][0]["paused"], false);
}

#[tokio::test]
async fn a_preview_shows_as_many_instants_as_are_asked_for_and_exist() {
    let api = start().await;
    let client = api.client();
    let every_second_friday = json!({ "cron": "0 9 * * FRI", "timeZone": "Europe/Berlin", "everyWeeks": 2 });
    let from = json!({ "recurrence": every_second_friday, "scheduledTime": "2030-04-12T00:00Z", "count": 3 });
    let seen = preview(&client, &from).await;
    let expected = ["2030-04-12T07:00:00.000Z", "2030-04-26T07:00:00.000Z", "2030-05-10T07:00:00.000Z"];
    assert_eq!(seen["instants"], json!(expected));
    assert_eq!(seen["localTimes"][0], "2030-04-12T09:00:00.000+02:00[Europe/Berlin]");
    for (more, count) in
        [(json!({}), 10), (json!({ "maxOccurrences": 2 }), 2), (json!({ "endTime": "2030-04-20T00:00:00Z" }), 2)]
    {
        let mut recurrence = every_second_friday.clone();
        recurrence.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let seen = preview(&client, &json!({ "recurrence": recurrence })).await;
        assert_eq!(seen["instants"].as_array().unwrap().len(), count, "{more}");
    }
}

#[tokio::test]
async fn a_repeated_request_schedules_one_series() {
    let api = start().await;
    let client = api.client();
    let schedule = async |fields: Value| super::idempotency::schedule(&client, "daily", recurring(&fields)).await;
    let daily = json!({ "recurrence": { "cron": "0 9 * * *" } });
    let first = schedule(daily.clone()).await;
    assert_eq!(schedule(daily).await.json(), first.json());
    let ending = |end: &str| json!({ "recurrence": { "cron": "0 9 * * *", "endTime": end } });
    let with_end = super::idempotency::schedule(&client, "ends", recurring(&ending("2035-01-01T00:00:00Z"))).await;
    for same in ["2035-01-01T00:00", "2035-01-01T01:00:00.000+01:00"] {
        let repeated = super::idempotency::schedule(&client, "ends", recurring(&ending(same))).await;
        assert_eq!(repeated.json(), with_end.json(), "{same}");
    }
    for other in [
        json!({ "recurrence": { "cron": "0 10 * * *" } }),
        json!({ "recurrence": { "cron": "0 9 * * *", "timeZone": "Europe/Berlin" } }),
        json!({ "recurrence": { "cron": "0 9 * * *", "maxOccurrences": 3 } }),
        json!({ "recurrence": { "cron": "0 9 * * *", "everyWeeks": 2 } }),
        json!({ "recurrence": { "cron": "0 9 * * *", "everyDays": 2 } }),
        json!({ "recurrence": { "cron": "0 9 * * *", "stopOnFailure": true } }),
        json!({ "recurrence": { "cron": "0 9 * * *", "endTime": "2035-01-01T00:00:00Z" } }),
    ] {
        assert_eq!(schedule(other.clone()).await.status, 422, "{other}");
    }
}
