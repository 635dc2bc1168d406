//! `updateConversation`

use std::sync::Arc;

use http::Method;
use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::{BareApi, Fixed, Running, TestApp};
use crate::support::client::{Answer, ApiClient, in_seconds};
use crate::support::golden;
use crate::support::receiver::Receiver;

const NOW: &str = "2030-01-01T09:00:00.000Z";

async fn start() -> Running {
    let clock = Arc::new(Fixed(Timestamp::parse(NOW).unwrap()));
    BareApi { clock, ..BareApi::new() }.start().await
}

/// A conversation that is due in the future of the fixed clock, unless the members say something else.
async fn scheduled(client: &ApiClient, members: Value) -> String {
    let mut all = json!({ "scheduledTime": "2030-06-01T12:00:00Z" });
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    client.scheduled(all).await
}

async fn send(client: &ApiClient, id: &str, patch: impl Into<String>, if_match: Option<&str>) -> Answer {
    let request = client.request(Method::PATCH, &format!("/api/scheduler/{id}")).await;
    let request = request.header("content-type", "application/merge-patch+json").body(patch.into());
    Answer::to(if_match.into_iter().fold(request, |request, tag| request.header("if-match", tag))).await
}

async fn update(client: &ApiClient, id: &str, patch: Value) -> Answer {
    send(client, id, patch.to_string(), None).await
}

#[tokio::test]
async fn what_is_not_in_the_patch_stays_as_it_was() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(
        &client,
        json!({
            "scheduledTime": "2030-06-01T14:00", "timeZone": "Europe/Berlin", "labels": { "team": "ops", "n": "1" },
            "threadId": "thread-7", "expireAfter": "5m", "retry": { "maxAttempts": 3 }, "method": "PUT",
            "body": { "text": "{{conversationText}}", "n": 1.50 }, "successWhen": { "pointer": "/ok", "equals": true },
        }),
    )
    .await;
    let before = client.status(&id).await.json();
    let answer = update(&client, &id, json!({ "conversationText": "new", "labels": { "n": null, "m": "2" } })).await;
    let mut expected = before;
    expected["conversationText"] = json!("new");
    expected["labels"] = json!({ "team": "ops", "m": "2" });
    assert_eq!((answer.status, answer.json()), (200, expected.clone()));
    assert_eq!(client.status(&id).await.json(), expected);
}

#[tokio::test]
async fn additional_info_is_merged_and_its_numbers_keep_their_form() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(&client, json!({ "additionalInfo": { "gone": 1, "stays": 2 } })).await;
    let patch = r#"{"additionalInfo":{"gone":null,"precise":1.50,"large":123456789012345678901234567890}}"#;
    let answer = send(&client, &id, patch, None).await;
    let info = r#""additionalInfo":{"stays":2,"precise":1.50,"large":123456789012345678901234567890}"#;
    assert!(answer.text.contains(info), "{}", answer.text);
}

#[tokio::test]
async fn another_time_can_be_given_in_every_way() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(&client, json!({ "scheduledTime": "2030-06-01T12:00:00Z", "expireAfter": "1h" })).await;
    for (patch, due) in [
        (json!({ "delay": "1h" }), "2030-01-01T10:00:00.000Z"),
        (json!({ "scheduledTime": "2030-03-01T09:00", "timeZone": "Europe/Berlin" }), "2030-03-01T08:00:00.000Z"),
        (json!({ "scheduledTime": "2030-03-01T09:00:00Z" }), "2030-03-01T09:00:00.000Z"),
        (json!({ "recurrence": { "cron": "0 8 * * *", "timeZone": "UTC" } }), "2030-01-02T08:00:00.000Z"),
        (json!({ "recurrence": { "timeZone": "Europe/Berlin" } }), "2030-01-02T07:00:00.000Z"),
        (json!({ "recurrence": null, "delay": "5m" }), "2030-01-01T09:05:00.000Z"),
    ] {
        let answer = update(&client, &id, patch.clone()).await;
        assert_eq!((answer.status, &answer.json()["scheduledTime"]), (200, &json!(due)), "{patch}: {}", answer.text);
        let next = client.list("?order=due").await.json();
        assert_eq!(next["conversations"][0]["scheduledTime"], due, "the list follows");
    }
    for (patch, pointers) in [
        (json!({ "scheduledTime": "2029-01-01T00:00:00Z" }), &["/scheduledTime"][..]),
        (json!({ "timeZone": "Europe/Berlin" }), &["/scheduledTime"]),
        (json!({ "recurrence": { "endTime": "2031-01-01T00:00:00Z" } }), &["/recurrence/cron"]),
    ] {
        let answer = update(&client, &id, patch.clone()).await;
        answer.assert_invalid(pointers);
        assert_eq!(answer.json()["serverTime"], NOW, "{patch}");
    }
}

/// Weeks are counted on through a change of the hour, and anew from a time that the patch gives.
#[tokio::test]
async fn every_second_week_stays_the_same_weeks() {
    let api = start().await;
    let client = api.client();
    let fridays = json!({ "cron": "0 9 * * FRI", "timeZone": "UTC", "everyWeeks": 2 });
    // That week is an odd number of weeks after the week of the test's time.
    let id = scheduled(&client, json!({ "scheduledTime": "2030-06-14T09:00:00Z", "recurrence": fridays })).await;
    for (patch, due) in [
        (json!({ "recurrence": { "cron": "0 10 * * FRI" } }), "2030-01-11T10:00:00.000Z"),
        (json!({ "recurrence": { "everyWeeks": 3 } }), "2030-01-04T10:00:00.000Z"),
        (
            json!({ "recurrence": { "everyWeeks": 2 }, "scheduledTime": "2030-06-07T00:00:00Z" }),
            "2030-06-07T10:00:00.000Z",
        ),
    ] {
        let answer = update(&client, &id, patch.clone()).await;
        assert_eq!((answer.status, &answer.json()["scheduledTime"]), (200, &json!(due)), "{patch}: {}", answer.text);
    }
    // The next Friday up to that end is one between its weeks.
    let ends = json!({ "recurrence": { "endTime": "2030-06-06T00:00:00Z" } });
    let id = scheduled(&client, json!({ "scheduledTime": "2030-01-11T09:00:00Z", "recurrence": fridays })).await;
    let too_early = json!({ "recurrence": { "endTime": "2030-01-05T00:00:00Z" } });
    let refused = update(&client, &id, too_early).await;
    assert!(refused.status == 409 && refused.text.contains("no occurrence up to endTime"), "{}", refused.text);
    assert_eq!(update(&client, &id, ends).await.json()["scheduledTime"], "2030-01-11T09:00:00.000Z");
}

#[tokio::test]
async fn a_wrong_patch_changes_nothing_and_is_told_what_to_correct() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(&client, json!({})).await;
    let before = client.status(&id).await.json();
    for (patch, pointers) in [
        (r#"{"colour":"red"}"#, &["/colour"][..]),
        (r#"{"conversationText":null}"#, &["/conversationText"]),
        (r#"{"endpoint":null,"method":"CONNECT"}"#, &["/endpoint", "/method"]),
        (r#"{"conversationText":"a","conversationText":"b"}"#, &["/conversationText"]),
        (r#"{"paused":true}"#, &["/paused"]),
        (r#"{"retry":{"maxAttempts":0}}"#, &["/retry/maxAttempts"]),
        ("[]", &[""]),
    ] {
        send(&client, &id, patch, None).await.assert_invalid(pointers);
    }
    send(&client, &id, "{", None).await.assert_problem(400, "malformed-json");
    assert_eq!(client.status(&id).await.json(), before);
    for unknown in ["01890000-0000-7000-8000-00000000000f", "x"] {
        update(&client, unknown, json!({})).await.assert_problem(404, "no-such-conversation");
    }
}

#[tokio::test]
async fn a_change_is_made_only_to_the_state_that_the_caller_has_seen() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(&client, json!({})).await;
    let seen = client.status(&id).await.header("etag").to_owned();
    assert_eq!(client.status(&id).await.header("etag"), seen, "reading changes nothing");
    let first = send(&client, &id, r#"{"conversationText":"first"}"#, Some(&seen)).await;
    let second = send(&client, &id, r#"{"conversationText":"second"}"#, Some(&seen)).await;
    assert_eq!(first.status, 200);
    second.assert_problem(412, "precondition-failed");
    golden::check("problem-precondition-failed", &second.json());
    let status = client.status(&id).await;
    assert_eq!((status.header("etag"), &status.json()["conversationText"]), (first.header("etag"), &json!("first")));
    assert_eq!(send(&client, &id, r#"{"conversationText":"third"}"#, Some("*")).await.status, 200);
}

#[tokio::test]
async fn a_series_is_paused_and_resumed() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(&client, json!({ "scheduledTime": null, "recurrence": { "cron": "0 9 * * *" } })).await;
    let paused = update(&client, &id, json!({ "paused": true })).await.json();
    assert_eq!((&paused["paused"], &paused["nextAttemptTime"]), (&json!(true), &Value::Null));
    assert_eq!((&paused["status"], &paused["recurrence"]["cron"]), (&json!("Scheduled"), &json!("0 9 * * *")));
    let listed = client.list("?status=Scheduled").await.json();
    assert_eq!(listed["conversations"][0]["paused"], true);
    let resumed = update(&client, &id, json!({ "paused": false, "conversationText": "new" })).await.json();
    assert_eq!((&resumed["paused"], &resumed["nextAttemptTime"]), (&json!(false), &json!("2030-01-02T09:00:00.000Z")));
    let once = scheduled(&client, json!({})).await;
    let refused = update(&client, &once, json!({ "paused": false })).await;
    refused.assert_problem(409, "too-late");
    assert!(refused.text.contains("does not recur"), "{}", refused.text);
}

#[tokio::test]
async fn what_has_ended_is_not_updated() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(&client, json!({})).await;
    client.cancel(&id).await;
    let refused = update(&client, &id, json!({ "conversationText": "new" })).await;
    refused.assert_problem(409, "too-late");
    assert_eq!(refused.json()["conversationStatus"], "Cancelled");
}

#[tokio::test]
async fn the_new_text_and_headers_are_delivered_also_when_the_payload_becomes_large_or_small() {
    let app = TestApp::start().await;
    let client = app.client();
    let receiver = Receiver::accepting().await;
    for text in ["short".to_owned(), "large ".repeat(2000)] {
        for first in ["before".to_owned(), "before ".repeat(2000)] {
            let id = client
                .scheduled(json!({
                    "conversationText": first, "scheduledTime": in_seconds(600), "endpoint": receiver.url("/hook"),
                    "headers": { "X-Stays": "1", "X-Gone": "2" }, "format": "text",
                }))
                .await;
            let count = receiver.received().len();
            let patch = json!({ "conversationText": text, "headers": { "X-Gone": null, "X-New": "3" }, "delay": "0s" });
            assert_eq!(update(&client, &id, patch).await.status, 200);
            let request = receiver.wait_for(count + 1).await.pop().unwrap();
            assert_eq!(request.body, text.as_bytes());
            let headers =
                ["x-stays", "x-gone", "x-new"].map(|name| request.headers.get(name).map(|it| it.to_str().unwrap()));
            assert_eq!(headers, [Some("1"), None, Some("3")]);
            client.wait_for(&id, "Completed").await;
        }
    }
}

#[tokio::test]
async fn a_model_changes_only_the_arguments_that_it_gives() {
    let api = start().await;
    let client = api.client();
    let id = scheduled(&client, json!({ "conversationText": "hi", "labels": { "a": "b" } })).await;
    let called = client.call_tool("updateConversation", json!({ "conversationId": id, "delay": "1h" })).await;
    assert_eq!((called.is_error, &*called.text), (false, "Scheduled 2030-01-01T10:00:00.000Z"));
    assert_eq!(client.status(&id).await.json()["labels"], json!({ "a": "b" }));
    let missing = client.call_tool("updateConversation", json!({ "delay": "1h" })).await;
    assert!(missing.is_error && missing.text.contains("conversationId is required"), "{}", missing.text);
}
