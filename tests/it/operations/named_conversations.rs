//! `scheduleNamedConversation`, `getNamedConversation` and `cancelNamedConversation`

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient, conversation, in_seconds};
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

async fn put(client: &ApiClient, name: &str, overrides: Value) -> Answer {
    client.put_named(name, conversation(overrides)).await
}

/// Puts a conversation and checks what that did. Returns its id.
async fn put_as(client: &ApiClient, name: &str, overrides: Value, outcome: &str) -> String {
    let answer = put(client, name, overrides).await;
    assert_eq!((answer.status, &answer.json()["outcome"]), (200, &json!(outcome)), "{}", answer.text);
    answer.json()["conversationId"].as_str().unwrap().to_owned()
}

async fn patch(client: &ApiClient, id: &str, patch: &'static str) {
    let request = client.request(Method::PATCH, &format!("/api/scheduler/{id}")).await;
    let request = request.header("content-type", "application/json").body(patch);
    assert_eq!(Answer::to(request).await.status, 200);
}

async fn get(client: &ApiClient, name: &str) -> Answer {
    client.get(&format!("/api/scheduler/named/{name}")).await
}

async fn delete(client: &ApiClient, name: &str) -> Answer {
    Answer::to(client.request(Method::DELETE, &format!("/api/scheduler/named/{name}")).await).await
}

async fn count(client: &ApiClient) -> usize {
    client.list("").await.json()["conversations"].as_array().unwrap().len()
}

fn later() -> Value {
    json!({ "scheduledTime": "2035-06-01T12:00:00Z" })
}

#[tokio::test]
async fn a_name_has_one_conversation_that_is_created_unchanged_or_updated() {
    let app = TestApp::start().await;
    let client = app.client();
    let answer = put(&client, "daily", later()).await;
    golden::check("schedule-named", &answer.json());
    let id = answer.json()["conversationId"].as_str().unwrap().to_owned();
    let same = json!({ "scheduledTime": "2035-06-01T14:00:00+02:00", "method": "post" });
    assert_eq!(put_as(&client, "daily", same, "unchanged").await, id);
    let other =
        json!({ "scheduledTime": "2035-06-02T12:00:00Z", "labels": { "team": "ops" }, "conversationText": "new" });
    assert_eq!(put_as(&client, "daily", other.clone(), "updated").await, id);
    let shown = get(&client, "daily").await;
    assert_eq!(shown.text.replace(char::is_numeric, ""), client.status(&id).await.text.replace(char::is_numeric, ""));
    assert!(!shown.header("etag").is_empty());
    let shown = shown.json();
    assert_eq!((&shown["conversationText"], &shown["name"]), (&json!("new"), &json!("daily")));
    assert_eq!(shown["scheduledTime"], "2035-06-02T12:00:00.000Z");
    assert_eq!(put_as(&client, "daily", other, "unchanged").await, id);
    assert_eq!(client.list("").await.json()["conversations"][0]["name"], "daily");
    assert_ne!(put_as(&client, "Daily", later(), "created").await, id, "upper case makes another name");
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn a_definition_is_unchanged_after_its_delivery_and_another_one_makes_a_new_conversation() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let body = json!({ "name": "{{name}}" });
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "body": body });
    let id = put_as(&client, "once", now.clone(), "created").await;
    client.wait_for(&id, "Completed").await;
    let again = put(&client, "once", now).await.json();
    assert_eq!((&again["status"], &again["outcome"]), (&json!("Completed"), &json!("unchanged")));
    // Its time is now longer ago than a new conversation accepts.
    let old = json!({ "scheduledTime": "2020-01-01T00:00:00Z" });
    put(&client, "once", old.clone()).await.assert_invalid(&["/scheduledTime"]);
    put(&client, "new", old).await.assert_invalid(&["/scheduledTime"]);
    let next = put_as(&client, "once", later(), "created").await;
    assert_ne!(next, id);
    assert_eq!(get(&client, "once").await.json()["conversationId"], next);
    assert_eq!(client.status(&id).await.json()["name"], "once");
    assert_eq!(receiver.received()[0].body, br#"{"name":"once"}"#[..]);
}

#[tokio::test]
async fn a_series_takes_all_time_fields_of_the_new_definition() {
    let app = TestApp::start().await;
    let client = app.client();
    let series = |cron: &str, more: Value| {
        let mut all = json!({ "scheduledTime": null, "recurrence": { "cron": cron, "timeZone": "Europe/Berlin" } });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let id = put_as(&client, "weekly", series("0 9 * * 5", json!({ "paused": true })), "created").await;
    assert_eq!(put_as(&client, "weekly", series("0 10 * * 5", json!({})), "updated").await, id);
    let shown = get(&client, "weekly").await.json();
    assert_eq!((&shown["paused"], &shown["recurrence"]["cron"]), (&json!(true), &json!("0 10 * * 5")));
    assert_eq!(put_as(&client, "weekly", later(), "updated").await, id);
    assert_eq!(get(&client, "weekly").await.json().get("recurrence"), None);
}

/// A program that declares its schedules at each start does not turn every second week into the weeks between.
#[tokio::test]
async fn a_new_definition_keeps_the_weeks_of_the_series() {
    let app = TestApp::start().await;
    let client = app.client();
    let mondays = json!({ "cron": "0 9 * * MON", "everyWeeks": 2 });
    let due = async || get(&client, "biweekly").await.json()["scheduledTime"].clone();
    // Whatever day it is now: not the next Monday, but the one after it.
    let later = json!({ "scheduledTime": in_seconds(7 * 86_400), "recurrence": mondays });
    put_as(&client, "biweekly", later, "created").await;
    let first = due().await;
    let changed = json!({ "scheduledTime": null, "recurrence": mondays, "conversationText": "new" });
    put_as(&client, "biweekly", changed, "updated").await;
    assert_eq!(due().await, first);
}

#[tokio::test]
async fn a_series_that_a_person_paused_stays_paused_until_a_definition_resumes_it() {
    let app = TestApp::start().await;
    let client = app.client();
    let series = |paused: Option<bool>| {
        let cron = json!({ "cron": "0 9 * * 5", "timeZone": "Europe/Berlin" });
        json!({ "scheduledTime": null, "recurrence": cron, "paused": paused })
    };
    let id = put_as(&client, "weekly", series(None), "created").await;
    patch(&client, &id, r#"{"paused":true}"#).await;
    for (paused, outcome, is_paused) in [
        (None, "updated", true),
        (None, "unchanged", true),
        (Some(false), "updated", false),
        (Some(false), "unchanged", false),
        (None, "unchanged", false),
        (Some(true), "updated", true),
        (Some(true), "unchanged", true),
    ] {
        assert_eq!(put_as(&client, "weekly", series(paused), outcome).await, id, "{paused:?}");
        assert_eq!(get(&client, "weekly").await.json()["paused"], is_paused, "{paused:?} {outcome}");
    }
}

#[tokio::test]
async fn a_change_by_the_id_is_undone_by_the_next_definition() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = put_as(&client, "daily", later(), "created").await;
    patch(&client, &id, r#"{"conversationText":"by its id"}"#).await;
    assert_eq!(put_as(&client, "daily", later(), "updated").await, id);
    assert_eq!(get(&client, "daily").await.json()["conversationText"], "hello");
    assert_eq!(put_as(&client, "daily", later(), "unchanged").await, id);
}

#[tokio::test]
async fn a_conversation_that_has_begun_to_be_delivered_takes_no_other_definition() {
    let receiver = Receiver::start([Reply::status(503)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") });
    let id = put_as(&client, "busy", now.clone(), "created").await;
    receiver.wait_for(1).await;
    client.wait_for(&id, "InProgress").await;
    put(&client, "busy", later()).await.assert_problem(409, "too-late");
    assert_eq!(put_as(&client, "busy", now, "unchanged").await, id);
}

#[tokio::test]
async fn a_cancelled_name_is_free_for_every_definition() {
    let app = TestApp::start().await;
    let client = app.client();
    let first = put_as(&client, "daily", later(), "created").await;
    for _ in 0..2 {
        let answer = delete(&client, "daily").await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "conversationId": first, "cancelled": true })));
    }
    assert_eq!(get(&client, "daily").await.json()["status"], "Cancelled");
    let second = put_as(&client, "daily", later(), "created").await;
    assert_ne!(second, first);
    assert_eq!(client.cancel(&second).await.status, 200, "by its id");
    let third = put_as(&client, "daily", later(), "created").await;
    assert_eq!(client.status(&third).await.json()["status"], "Scheduled");
    assert_eq!(client.status(&first).await.json()["status"], "Cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_lead_to_one_conversation() {
    let app = TestApp::start().await;
    let client = app.client();
    client.token().await;
    let answers = join_all((0..30).map(|_| put(&client, "daily", later()))).await;
    let outcomes: Vec<_> = answers.iter().map(|a| a.json()["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "created").count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| outcome != "updated"), "{outcomes:?}");
    let others = join_all((0..4).map(|n| put(&client, "daily", json!({ "conversationText": format!("{n}") })))).await;
    assert!(others.iter().all(|answer| matches!(answer.status, 200 | 409)), "{others:?}");
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn names_are_checked_and_belong_to_a_client() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.client(), app.other_client());
    // The last segments of other paths are names, too.
    for name in ["run", "redeliver", "named", "schedule", "A.b_c-9", &"x".repeat(128)] {
        put_as(&alice, name, later(), "created").await;
        get(&bob, name).await.assert_problem(404, "no-such-conversation");
        delete(&bob, name).await.assert_problem(404, "no-such-conversation");
        assert_eq!(get(&alice, name).await.json()["status"], "Scheduled");
    }
    put_as(&bob, "run", later(), "created").await;
    for name in ["a%20b", "a~b", "...", &"x".repeat(129)] {
        put(&alice, name, later()).await.assert_invalid(&["/name"]);
        put(&alice, name, json!({ "endpoint": 1 })).await.assert_invalid(&["/name", "/endpoint"]);
        get(&alice, name).await.assert_invalid(&["/name"]);
        delete(&alice, name).await.assert_invalid(&["/name"]);
    }
}

#[tokio::test]
async fn the_tools_do_the_same() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut arguments = conversation(later());
    arguments["name"] = json!("daily");
    let created = client.call_tool("scheduleNamedConversation", arguments.clone()).await;
    let id = get(&client, "daily").await.json()["conversationId"].as_str().unwrap().to_owned();
    assert_eq!(created.text, format!("created {id} Scheduled 2035-06-01T12:00:00.000Z"));
    let again = client.call_tool("scheduleNamedConversation", arguments).await;
    assert_eq!(again.text, format!("unchanged {id} Scheduled 2035-06-01T12:00:00.000Z"));
    let by_name = json!({ "name": "daily" });
    assert_eq!(client.call_tool("getNamedConversation", by_name.clone()).await.text, "Scheduled");
    assert_eq!(client.call_tool("cancelNamedConversation", by_name.clone()).await.text, "true");
    assert_eq!(client.call_tool("getNamedConversation", by_name).await.text, "Cancelled");
}

#[tokio::test]
async fn a_copy_is_sent_under_the_name_and_does_not_take_it() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let mut definition = later();
    definition["endpoint"] = json!(receiver.url("/"));
    let id = put_as(&client, "daily", definition.clone(), "created").await;
    let copy = client.run(&id).await.json()["conversationId"].as_str().unwrap().to_owned();
    assert_eq!(client.wait_for(&copy, "Completed").await["name"], "daily");
    assert_eq!(put_as(&client, "daily", definition, "unchanged").await, id);
}
