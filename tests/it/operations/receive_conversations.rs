//! `receiveConversations`

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient, conversation, in_seconds};
use crate::support::golden;

/// A schedule request for the inbox.
pub fn for_inbox(overrides: Value) -> Value {
    let mut request = conversation(json!({ "endpoint": null, "deliver": "inbox", "scheduledTime": in_seconds(0) }));
    let Value::Object(overrides) = overrides else { panic!("overrides are an object") };
    request.as_object_mut().unwrap().extend(overrides);
    request
}

pub async fn receive(client: &ApiClient, body: Value) -> Answer {
    client.post_json("/api/inbox/receive", &body).await
}

#[tokio::test]
async fn what_is_due_is_received_as_an_endpoint_would_get_it() {
    let app = TestApp::start().await;
    let client = app.client();
    let everything = json!({
        "conversationText": "Is the deployment done?", "additionalInfo": { "b": 1.0, "a": 1e2 }, "threadId": "thread-7",
        "labels": { "team": "ops" }, "expireAfter": "1h", "retry": { "maxAttempts": 3 },
    });
    let answer = client.put_named("look-at-it", for_inbox(everything)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let id = answer.json()["conversationId"].as_str().unwrap().to_owned();
    client.scheduled(for_inbox(json!({ "scheduledTime": in_seconds(3600) }))).await;
    let received = receive(&client, json!({ "max": 10, "leaseSeconds": 10 })).await;
    assert_eq!(received.status, 200, "{}", received.text);
    assert!(received.text.contains(r#""additionalInfo":{"a":100.0,"b":1.0}"#), "as it was sent: {}", received.text);
    let json = received.json();
    let [item] = &json["conversations"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!((&item["conversationId"], &item["deliveryId"]), (&json!(id), &json!(id)));
    golden::check("received", &json);
    let record = client.status(&id).await.json();
    assert_eq!((&record["status"], &record["deliver"]), (&json!("InProgress"), &json!("inbox")));
    assert_eq!(record["attempts"][0]["outcome"], "inFlight");
    for field in ["endpoint", "method"] {
        assert_eq!(record.get(field), None, "{field}");
    }
    let listed = client.list("?status=InProgress").await.json();
    assert_eq!(listed["conversations"][0]["deliver"], "inbox");
}

#[tokio::test]
async fn nobody_receives_what_another_client_has_scheduled() {
    let app = TestApp::start().await;
    app.client().scheduled(for_inbox(json!({}))).await;
    assert_eq!(receive(&app.other_client(), json!({})).await.json()["conversations"], json!([]));
    assert_eq!(receive(&app.client(), json!({})).await.json()["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_waits_for_what_arrives_and_a_stop_of_the_service_ends_the_wait() {
    let mut app = TestApp::start().await;
    let client = app.client();
    let (received, _) = tokio::join!(receive(&client, json!({ "waitSeconds": 20 })), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.scheduled(for_inbox(json!({}))).await
    });
    assert_eq!(received.json()["conversations"].as_array().unwrap().len(), 1);
    let began = Instant::now();
    let (received, ()) = tokio::join!(receive(&client, json!({ "waitSeconds": 20 })), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.stop();
    });
    assert_eq!(received.json()["conversations"], json!([]));
    app.ended().await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_only_a_request_has_is_refused_for_the_inbox() {
    let app = TestApp::start().await;
    let client = app.client();
    let wrong = json!({
        "endpoint": "https://example.com/", "method": "PUT", "headers": { "X-A": "1" }, "format": "json",
        "body": { "a": 1 }, "successWhen": { "pointer": "/ok", "absent": true }, "timeoutSeconds": 5,
    });
    let answer = client.schedule_raw(for_inbox(wrong).to_string()).await;
    golden::check("schedule-inbox-with-request", &answer.json());
    answer.assert_invalid(&["/endpoint", "/method", "/headers", "/format", "/body", "/successWhen", "/timeoutSeconds"]);
    let other = client.schedule_raw(for_inbox(json!({ "deliver": "email" })).to_string()).await;
    other.assert_invalid(&["/deliver"]);
    for (body, pointer) in [
        (json!({ "max": 0 }), "/max"),
        (json!({ "max": 11 }), "/max"),
        (json!({ "leaseSeconds": 9 }), "/leaseSeconds"),
        (json!({ "leaseSeconds": 3601 }), "/leaseSeconds"),
        (json!({ "waitSeconds": 21 }), "/waitSeconds"),
        (json!({ "visibilityTimeout": 30 }), "/visibilityTimeout"),
    ] {
        receive(&client, body).await.assert_invalid(&[pointer]);
    }
}

#[tokio::test]
async fn a_patch_changes_where_the_text_goes() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(for_inbox(json!({ "scheduledTime": in_seconds(3600) }))).await;
    let path = format!("/api/scheduler/{id}");
    let patch = |body: Value| {
        let (client, path) = (&client, &path);
        async move {
            Answer::to(
                client
                    .request(http::Method::PATCH, path)
                    .await
                    .header("content-type", "application/json")
                    .body(body.to_string()),
            )
            .await
        }
    };
    let sent = patch(json!({ "deliver": null, "endpoint": "https://example.com/" })).await.json();
    assert_eq!((&sent["method"], sent.get("deliver")), (&json!("POST"), None));
    let back = patch(json!({ "deliver": "inbox", "endpoint": null })).await.json();
    assert_eq!((&back["deliver"], back.get("endpoint")), (&json!("inbox"), None));
    patch(json!({ "deliver": null })).await.assert_invalid(&["/endpoint"]);
}
