//! Every recipe of docs/recipes.md is accepted as it stands, and its body arrives as the service expects it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::receivers::Running;
use crate::support::app::TestApp;
use crate::support::client::in_seconds;
use crate::support::receiver::{Receiver, Reply};

/// The recipes by their headings.
fn recipes() -> Vec<(String, Value)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes.md")).unwrap();
    let sections = page.split("\n## ").skip(1);
    sections
        .map(|section| {
            let (name, text) = section.split_once('\n').unwrap();
            let json = text.split("```json\n").nth(1).unwrap_or_else(|| panic!("{name} has no JSON"));
            (name.to_owned(), serde_json::from_str(json.split("```").next().unwrap()).unwrap())
        })
        .collect()
}

/// The recipe with another endpoint, due now.
fn due_now(recipe: &Value, endpoint: &str) -> Value {
    let mut request = recipe.clone();
    let fields = request.as_object_mut().unwrap();
    for when in ["scheduledTime", "delay", "timeZone"] {
        fields.remove(when);
    }
    fields.insert("scheduledTime".to_owned(), json!(in_seconds(0)));
    fields.insert("endpoint".to_owned(), json!(endpoint));
    fields.entry("retry").or_insert(json!({ "maxAttempts": 1 }));
    request
}

/// The body that the service expects, and a reply with which it accepts it.
fn expected(name: &str, text: &str, id: &str, time: &str) -> (Value, Reply) {
    let ok = |status: u16, body: &'static str| Reply::status(status).body(body);
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.2",
        "body": [{ "type": "TextBlock", "text": text, "wrap": true }],
    });
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
    });
    let message = json!({
        "messageId": format!("{id}-1"), "role": "ROLE_USER",
        "parts": [{ "text": text }, { "data": { "region": "north" } }],
    });
    let payload = json!({ "text": text, "branch": "main", "conversation_id": id, "scheduled_time": time });
    match name {
        "Slack, incoming webhook" => (json!({ "text": text }), ok(200, "ok")),
        "Slack, Web API" => (json!({ "channel": "C0123456789", "text": text }), ok(200, r#"{"ok":true}"#)),
        "Microsoft Teams, Workflows" => (json!({ "type": "message", "attachments": [attachment] }), ok(202, "")),
        "Discord, webhook" => (json!({ "content": text, "allowed_mentions": { "parse": [] } }), ok(204, "")),
        "Telegram, sendMessage" => {
            (json!({ "chat_id": 123_456_789, "text": text }), ok(200, r#"{"ok":true,"result":{"message_id":1}}"#))
        }
        "GitHub, repository_dispatch" => (json!({ "event_type": "scheduled", "client_payload": payload }), ok(204, "")),
        "Claude, routine" => (json!({ "text": text }), ok(200, r#"{"type":"routine_fire"}"#)),
        "A2A, SendMessage" => {
            let params = json!({ "message": message, "configuration": { "returnImmediately": true } });
            let call = json!({ "jsonrpc": "2.0", "id": format!("{id}-1"), "method": "SendMessage", "params": params });
            (call, ok(200, r#"{"jsonrpc":"2.0","id":"1","result":{}}"#))
        }
        "n8n, Webhook node" => (json!({ "text": text, "list": "7", "id": id, "time": time }), ok(200, "{}")),
        other => panic!("no test of the recipe {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_is_accepted_and_its_body_arrives() {
    let app = TestApp::start().await;
    let client = app.client();
    let recipes = recipes();
    assert_eq!(recipes.len(), 9);
    for (name, recipe) in recipes {
        let as_it_stands = client.schedule_raw(recipe.to_string()).await;
        assert_eq!(as_it_stands.status, 200, "{name}: {}", as_it_stands.text);

        let (_, accepts) = expected(&name, "", "", "");
        let receiver = Receiver::start([accepts]).await;
        let scheduled = client.schedule_raw(due_now(&recipe, &receiver.url("/")).to_string()).await.json();
        let (id, time) = (scheduled["conversationId"].as_str().unwrap(), scheduled["scheduledTime"].as_str().unwrap());
        client.wait_for(id, "Completed").await;
        let received = receiver.wait_for(1).await.remove(0);
        let (body, _) = expected(&name, recipe["conversationText"].as_str().unwrap(), id, time);
        assert_eq!(serde_json::from_slice::<Value>(&received.body).unwrap(), body, "{name}");
        assert_eq!(received.headers["content-type"], "application/json", "{name}");
        for (header, value) in recipe["headers"].as_object().into_iter().flatten() {
            assert_eq!(received.headers[header.as_str()], value.as_str().unwrap(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_with_a_check_fails_when_the_service_says_so_with_200() {
    let app = TestApp::start().await;
    let checked: Vec<_> = recipes().into_iter().filter(|(_, recipe)| recipe["successWhen"].is_object()).collect();
    assert_eq!(checked.len(), 3);
    for (name, recipe) in checked {
        let refuses = Reply::status(200).body(r#"{"ok":false,"error":{"code":-32601}}"#);
        let receiver = Receiver::start([refuses]).await;
        let id = app.client().scheduled(due_now(&recipe, &receiver.url("/"))).await;
        let failed = app.client().wait_for(&id, "Failed").await;
        assert_eq!(failed["attempts"][0]["error"], "success_when_not_met", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_a2a_sdk_reads_the_recipe() {
    let (app, agent) = (TestApp::start().await, Running::targets());
    let (_, recipe) = recipes().into_iter().find(|(name, _)| name == "A2A, SendMessage").unwrap();
    let request = due_now(&recipe, &format!("{}/a2a", agent.url));
    let id = app.client().scheduled(request.clone()).await;
    let shown = app.client().wait_for(&id, "Completed").await;
    let excerpt = shown["attempts"][0]["responseExcerpt"].as_str().unwrap();
    let answer = format!("{id}-1 said: Check the stock of every warehouse.");
    assert!(excerpt.contains(&answer), "{excerpt}");

    let mut unknown = request.clone();
    unknown["body"]["method"] = json!("NoSuchMethod");
    let mut old = request;
    old["headers"]["A2A-Version"] = json!("0.1");
    for wrong in [unknown, old] {
        let id = app.client().scheduled(wrong).await;
        let shown = app.client().wait_for(&id, "Failed").await;
        let attempt = &shown["attempts"][0];
        assert_eq!((&attempt["httpStatus"], &attempt["error"]), (&json!(200), &json!("success_when_not_met")));
    }
}
