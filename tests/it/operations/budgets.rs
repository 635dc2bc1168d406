//! `setClientLimits`, and the budgets as a client meets them.

use serde_json::{Value, json};

use crate::support::app::{CLIENT, TestApp};
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

const PATH: &str = "/api/clients/bob/limits";

async fn limited(limits: Value) -> (TestApp, ApiClient) {
    let app = TestApp::start().await;
    let answer = app.operator().await.post_json(PATH, &limits).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let client = app.other_client();
    (app, client)
}

/// A problem without the number of seconds until the next count.
fn problem(refused: &Answer) -> Value {
    refused.assert_problem(403, "budget-exceeded");
    let mut problem = refused.json();
    let hint = problem["hint"].as_str().unwrap();
    let (before, rest) = hint.split_once(" after ").unwrap();
    let (seconds, rest) = rest.split_once(' ').unwrap();
    assert!((1..=60).contains(&seconds.parse::<u32>().unwrap()), "{hint}");
    problem["hint"] = format!("{before} after <number> {rest}").into();
    problem
}

#[tokio::test]
async fn a_loop_of_schedules_ends_at_the_budget_of_live_conversations() {
    let (app, client) = limited(json!({ "budget": { "liveConversations": 2 } })).await;
    for _ in 0..2 {
        client.scheduled(json!({})).await;
    }
    golden::check("problem-budget-of-live-conversations", &problem(&client.schedule(json!({})).await));
    let tool = client.call_tool("scheduleConversation", conversation(json!({}))).await;
    assert!(tool.is_error && tool.text.contains("This client has a budget of 2 live conversations"), "{tool:?}");
    assert!(tool.text.contains("Do not repeat this request as it is"), "{tool:?}");
    let batch = json!({ "conversations": [conversation(json!({}))] });
    let results = client.post_json("/api/scheduler/batch", &batch).await.json();
    assert_eq!(results["results"][0]["problem"]["type"], "urn:mcp-scheduler:problem:budget-exceeded");
    client.put_named("daily", conversation(json!({}))).await.assert_problem(403, "budget-exceeded");
    app.client().scheduled(json!({})).await;
}

#[tokio::test]
async fn a_delivery_that_is_done_has_used_the_budget_of_its_day() {
    let (_app, client) = limited(json!({ "budget": { "deliveriesPerDay": 2 } })).await;
    let receiver = Receiver::start([Reply::status(204), Reply::status(204)]).await;
    let now = json!({ "scheduledTime": null, "delay": "0s", "endpoint": receiver.url("/") });
    for _ in 0..2 {
        let id = client.scheduled(now.clone()).await;
        client.wait_for(&id, "Completed").await;
    }
    let refused = problem(&client.schedule(now.clone()).await);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("This client has a budget of 2 deliveries a day, and about 2 are due or done on 20"));
    let hourly = json!({ "scheduledTime": null, "recurrence": { "cron": "0 * * * *" } });
    client.schedule(hourly).await.assert_problem(403, "budget-exceeded");
    client.scheduled(json!({ "scheduledTime": "2035-01-01T00:00:00Z" })).await;
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn the_budget_of_a_thread_binds_that_thread_alone() {
    let limits = json!({ "threadBudget": { "liveConversations": 1 }, "budget": { "recurrences": 0 } });
    let (_app, client) = limited(limits).await;
    client.scheduled(json!({ "threadId": "a" })).await;
    golden::check("problem-budget-of-a-thread", &problem(&client.schedule(json!({ "threadId": "a" })).await));
    client.scheduled(json!({ "threadId": "b" })).await;
    client.scheduled(json!({})).await;
    client.scheduled(json!({})).await;
    let daily = json!({ "scheduledTime": null, "recurrence": { "cron": "0 9 * * *" } });
    golden::check("problem-budget-of-recurrences", &problem(&client.schedule(daily).await));
}

#[tokio::test]
async fn the_repetition_of_an_accepted_request_needs_no_room_and_a_callback_is_never_refused() {
    let (app, client) = limited(json!({ "budget": { "liveConversations": 2 } })).await;
    let receiver = Receiver::start([Reply::status(204), Reply::status(204)]).await;
    let once = conversation(json!({ "onCompleted": { "endpoint": receiver.url("/news") }, "idempotencyKey": "once" }));
    let first = client.call_tool("scheduleConversation", once.clone()).await;
    let daily = conversation(json!({}));
    assert_eq!(client.put_named("daily", daily.clone()).await.json()["outcome"], "created");
    problem(&client.schedule(json!({})).await);
    assert_eq!(client.call_tool("scheduleConversation", once).await.text, first.text);
    assert_eq!(client.put_named("daily", daily).await.json()["outcome"], "unchanged");

    let nothing = json!({ "budget": { "liveConversations": 0 } });
    assert_eq!(app.operator().await.post_json(PATH, &nothing).await.status, 200);
    let now = json!({ "conversationId": first.text, "delay": "0s", "endpoint": receiver.url("/") });
    assert!(!client.call_tool("updateConversation", now).await.is_error, "it adds nothing");
    let paths: Vec<_> = receiver.wait_for(2).await.into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/", "/news"]);
}

#[tokio::test]
async fn limits_are_changed_one_by_one_and_shown() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let set = async |limits: Value| operator.post_json(PATH, &limits).await.json();
    let budget = |shown: &Value| shown["budget"].clone();
    assert_eq!(budget(&set(json!({ "budget": { "deliveriesPerDay": 9, "recurrences": 0 } })).await)["recurrences"], 0);
    let more = json!({ "budget": { "recurrences": null, "liveConversations": 5 }, "threadBudget": { "recurrences": 1 },
                       "approvedHostsOnly": true });
    let shown = set(more).await;
    assert_eq!(budget(&shown), json!({ "deliveriesPerDay": 9, "liveConversations": 5 }));
    assert_eq!(operator.get("/api/clients/bob").await.json(), shown);
    let mut shown = shown;
    shown["createdTime"] = "<time>".into();
    golden::check("client-with-limits", &shown);
    let none = json!({ "budget": { "deliveriesPerDay": null, "liveConversations": null },
                       "threadBudget": { "recurrences": null }, "approvedHostsOnly": false });
    assert_eq!((&budget(&set(none).await), &set(json!({})).await["approvedHostsOnly"]), (&Value::Null, &json!(false)));
    let added = json!({ "clientId": "dave", "budget": { "recurrences": 1 } });
    assert_eq!(operator.post_json("/api/clients", &added).await.status, 200);
    assert_eq!(operator.get("/api/clients/dave").await.json()["budget"], json!({ "recurrences": 1 }));
    for (wrong, pointer) in [
        (json!({ "budget": { "recurrences": -1 } }), "/budget/recurrences"),
        (json!({ "budget": 7 }), "/budget"),
        (json!({ "threadBudget": { "perDay": 1 } }), "/threadBudget/perDay"),
        (json!({ "approvedHostsOnly": "maybe" }), "/approvedHostsOnly"),
    ] {
        operator.post_json(PATH, &wrong).await.assert_invalid(&[pointer]);
    }
    let first = format!("/api/clients/{CLIENT}/limits");
    operator.post_json(&first, &json!({})).await.assert_problem(409, "first-client");
}
