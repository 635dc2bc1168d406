//! `onFailed`, `onCompleted` and `callbackOf`, with real receivers.

use http::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::support::app::{CLIENT, TestApp, client_secret};
use crate::support::client::{Answer, ApiClient, conversation, in_seconds};
use crate::support::receiver::{Received, Receiver, Reply};

const LATER: &str = "2035-06-01T12:00:00Z";

async fn update(client: &ApiClient, id: &str, patch: Value) -> Answer {
    let request = client.request(Method::PATCH, &format!("/api/scheduler/{id}")).await;
    Answer::to(request.header("content-type", "application/merge-patch+json").body(patch.to_string())).await
}

/// Updates a conversation whose endpoint has refused an attempt, when the result of the attempt is written.
async fn update_after_attempt(client: &ApiClient, id: &str, patch: Value) -> Value {
    while client.status(id).await.json()["attempts"][0]["outcome"] != "failure" {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let updated = update(client, id, patch).await;
    assert_eq!(updated.status, 200, "{}", updated.text);
    updated.json()
}

/// The news that a receiver got. Its signature is right.
fn news(received: &Received) -> Value {
    Webhook::new(&client_secret(CLIENT)).unwrap().verify(&received.body, &received.headers).unwrap();
    serde_json::from_slice(&received.body).unwrap()
}

/// The conversations of the client that are callbacks.
async fn callbacks(client: &ApiClient) -> Vec<Value> {
    let listed = client.list("").await.json();
    listed["conversations"].as_array().unwrap().iter().filter(|it| it.get("callbackOf").is_some()).cloned().collect()
}

#[tokio::test]
async fn the_news_is_signed_and_names_the_conversation() {
    let (refusing, listener) = (Receiver::start([Reply::status(410)]).await, Receiver::accepting().await);
    let app = TestApp::start().await;
    let client = app.client();
    let id = client
        .scheduled(json!({
            "endpoint": refusing.url("/"), "scheduledTime": in_seconds(0), "labels": { "team": "ops" },
            "onFailed": { "endpoint": listener.url("/failed"), "headers": { "Authorization": "Bearer canary" } },
            "onCompleted": { "endpoint": listener.url("/completed") },
        }))
        .await;
    let [received] = &listener.wait_for(1).await[..] else { panic!("one request") };
    let news = news(received);
    assert_eq!((&received.method, &*received.path), (&Method::POST, "/failed"));
    assert_eq!(received.headers["authorization"], "Bearer canary");
    let over = client.status(&id).await.json();
    let (info, ended) = (&news["additionalInfo"], &over["updatedTime"]);
    assert_eq!(
        (&info["conversationId"], &info["status"], &info["attempts"]),
        (&json!(id), &json!("Failed"), &json!(1))
    );
    assert_eq!((&info["endedTime"], &info["lastError"]), (ended, &over["lastError"]));
    assert!(news["conversationText"].as_str().unwrap().contains(&id), "{news}");

    let shown = json!({ "endpoint": listener.url("/failed"), "headers": { "Authorization": "[redacted]" } });
    assert_eq!(over["onFailed"], shown);
    assert_eq!(over["onCompleted"], json!({ "endpoint": listener.url("/completed"), "headers": {} }));
    assert_eq!(over.get("callbackOf"), None);
    let callback = news["conversationId"].as_str().unwrap();
    assert_ne!(callback, id);
    let callback = client.wait_for(callback, "Completed").await;
    assert_eq!((&callback["callbackOf"], &callback["labels"]), (&json!(id), &over["labels"]));
    assert_eq!((callback.get("onFailed"), callback.get("onCompleted")), (None, None));
    let [listed] = &callbacks(&client).await[..] else { panic!("one callback") };
    assert_eq!((&listed["callbackOf"], &listed["conversationId"]), (&json!(id), &callback["conversationId"]));
    assert!(!client.status(&id).await.text.contains("canary"));
}

#[tokio::test]
async fn a_callback_is_retried_and_fails_visibly() {
    let receiver = Receiver::start([Reply::status(200), Reply::status(410)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = client
        .scheduled(json!({
            "endpoint": receiver.url("/"), "scheduledTime": in_seconds(0), "onCompleted": { "endpoint": receiver.url("/news") },
            "onFailed": { "endpoint": receiver.url("/failed") },
        }))
        .await;
    let news = news(&receiver.wait_for(2).await[1]);
    let callback = client.wait_for(news["conversationId"].as_str().unwrap(), "Failed").await;
    assert_eq!((&callback["callbackOf"], &news["additionalInfo"]["status"]), (&json!(id), &json!("Completed")));
    assert_eq!(callbacks(&client).await.len(), 1);
}

#[tokio::test]
async fn an_update_changes_one_callback_and_null_removes_it() {
    let app = TestApp::start().await;
    let client = app.client();
    let (first, other) = ("https://example.com/first", "https://example.com/other");
    let id = client
        .scheduled(json!({
            "scheduledTime": LATER, "onFailed": { "endpoint": first, "headers": { "A": "1", "B": "2" } },
            "onCompleted": { "endpoint": first },
        }))
        .await;
    let names =
        |answer: &Answer| answer.json()["onFailed"]["headers"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let text = update(&client, &id, json!({ "conversationText": "new" })).await;
    assert_eq!((names(&text), &text.json()["onFailed"]["endpoint"]), (vec!["A".into(), "B".into()], &json!(first)));
    let moved = update(&client, &id, json!({ "onFailed": { "endpoint": other, "headers": { "A": null } } })).await;
    assert_eq!((names(&moved), &moved.json()["onFailed"]["endpoint"]), (vec!["B".into()], &json!(other)));
    assert_eq!(moved.json()["onCompleted"]["endpoint"], first);
    let removed = update(&client, &id, json!({ "onFailed": null })).await.json();
    assert_eq!((removed.get("onFailed"), &removed["onCompleted"]["endpoint"]), (None, &json!(first)));
    let wrong = update(&client, &id, json!({ "onFailed": {}, "onCompleted": { "endpoint": "ftp://a" } })).await;
    wrong.assert_invalid(&["/onFailed/endpoint", "/onCompleted/endpoint"]);
}

#[tokio::test]
async fn a_callback_can_be_changed_between_two_attempts() {
    let receiver = Receiver::start([Reply::status(503)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let news = json!({ "endpoint": receiver.url("/first") });
    let id = client
        .scheduled(json!({ "endpoint": receiver.url("/"), "scheduledTime": in_seconds(0), "onFailed": news }))
        .await;
    receiver.wait_for(1).await;
    let changed =
        update_after_attempt(&client, &id, json!({ "onFailed": { "endpoint": receiver.url("/other") } })).await;
    assert_eq!(changed["onFailed"]["endpoint"], receiver.url("/other"));
}

#[tokio::test]
async fn an_update_cannot_give_a_callback_callbacks() {
    let receiver = Receiver::start([Reply::status(200), Reply::status(500)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let (endpoint, news) = (receiver.url("/"), json!({ "endpoint": receiver.url("/news") }));
    client.scheduled(json!({ "endpoint": endpoint, "scheduledTime": in_seconds(0), "onCompleted": news })).await;
    receiver.wait_for(2).await;
    let [callback] = &callbacks(&client).await[..] else { panic!("one callback") };
    let id = callback["conversationId"].as_str().unwrap();
    let refused = update(&client, id, json!({ "onFailed": news, "onCompleted": news })).await;
    refused.assert_invalid(&["/onFailed", "/onCompleted"]);
    update_after_attempt(&client, id, json!({ "timeoutSeconds": 5 })).await;
}

#[tokio::test]
async fn a_named_conversation_and_each_of_a_batch_have_callbacks() {
    let app = TestApp::start().await;
    let client = app.client();
    let with = |path: &str| {
        let endpoint = format!("https://example.com/{path}");
        conversation(json!({ "scheduledTime": LATER, "onFailed": { "endpoint": endpoint } }))
    };
    for (path, outcome) in [("a", "created"), ("a", "unchanged"), ("b", "updated")] {
        assert_eq!(client.put_named("daily", with(path)).await.json()["outcome"], outcome, "{path}");
    }
    let batch = client.request(Method::POST, "/api/scheduler/batch").await.header("content-type", "application/json");
    let answer = Answer::to(batch.body(json!({ "conversations": [with("c")] }).to_string())).await.json();
    let id = answer["results"][0]["conversationId"].as_str().unwrap();
    assert_eq!(client.status(id).await.json()["onFailed"]["endpoint"], "https://example.com/c");
}

#[tokio::test]
async fn a_callback_names_a_named_conversation() {
    let receiver = Receiver::accepting().await;
    let app = TestApp::start().await;
    let now = json!({
        "endpoint": receiver.url("/"), "scheduledTime": in_seconds(0), "onCompleted": { "endpoint": receiver.url("/news") },
    });
    app.client().put_named("daily-report", conversation(now)).await;
    let news = news(&receiver.wait_for(2).await[1]);
    assert_eq!(news["additionalInfo"]["name"], "daily-report");
    assert!(news["conversationText"].as_str().unwrap().starts_with("The conversation daily-report ("), "{news}");
}
