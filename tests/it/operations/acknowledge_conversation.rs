//! `acknowledgeConversation`

use serde_json::{Value, json};

use super::receive_conversations::{for_inbox, receive};
use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;

/// Schedules and receives a conversation. Returns its id and its receipt.
pub async fn received(client: &ApiClient) -> (String, String) {
    let id = client.scheduled(for_inbox(json!({}))).await;
    let answer = receive(client, json!({})).await.json();
    let item = &answer["conversations"][0];
    assert_eq!(item["conversationId"], json!(id));
    (id, item["receipt"].as_str().unwrap().to_owned())
}

pub async fn acknowledge(client: &ApiClient, id: &str, body: Value) -> Answer {
    client.post_json(&format!("/api/inbox/{id}/ack"), &body).await
}

#[tokio::test]
async fn a_conversation_is_completed_and_the_repetition_has_the_same_response() {
    let app = TestApp::start().await;
    let client = app.client();
    let (id, receipt) = received(&client).await;
    for _ in 0..2 {
        let answer = acknowledge(&client, &id, json!({ "receipt": receipt })).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "conversationId": id, "acknowledged": true })));
    }
    let record = client.status(&id).await.json();
    assert_eq!(record["status"], "Completed");
    assert_eq!(record["attempts"][0]["outcome"], "success");
    let opposite = acknowledge(&client, &id, json!({ "receipt": receipt, "outcome": "failed" })).await;
    opposite.assert_problem(409, "receipt-over");
    golden::check("problem-receipt-over", &opposite.json());
}

#[tokio::test]
async fn a_receiver_that_failed_is_on_record_and_another_attempt_follows() {
    let app = TestApp::start().await;
    let client = app.client();
    let (id, receipt) = received(&client).await;
    for _ in 0..2 {
        assert_eq!(acknowledge(&client, &id, json!({ "receipt": receipt, "outcome": "failed" })).await.status, 200);
    }
    let record = client.status(&id).await.json();
    assert_eq!((&record["status"], &record["attempts"][0]["error"]), (&json!("InProgress"), &json!("receiver_failed")));
    assert!(record["nextAttemptTime"].is_string() && record["attempts"].as_array().unwrap().len() == 1, "{record}");
}

#[tokio::test]
async fn a_wrong_receipt_and_the_conversation_of_another_client_are_refused() {
    let app = TestApp::start().await;
    let client = app.client();
    let (id, receipt) = received(&client).await;
    acknowledge(&client, &id, json!({})).await.assert_invalid(&["/receipt"]);
    acknowledge(&client, &id, json!({ "receipt": "x", "outcome": "maybe" }))
        .await
        .assert_invalid(&["/receipt", "/outcome"]);
    acknowledge(&client, &id, json!({ "receipt": "0-1-00000000000001" })).await.assert_problem(409, "receipt-over");
    let other = acknowledge(&app.other_client(), &id, json!({ "receipt": receipt })).await;
    other.assert_problem(404, "no-such-conversation");
    let unknown = acknowledge(&app.other_client(), "nothing", json!({ "receipt": receipt })).await;
    assert_eq!(other.json()["detail"], unknown.json()["detail"]);
    assert_eq!(acknowledge(&client, &id, json!({ "receipt": receipt })).await.status, 200);
    let sent = client.scheduled(json!({})).await;
    acknowledge(&client, &sent, json!({ "receipt": receipt })).await.assert_problem(409, "receipt-over");
}

#[tokio::test]
async fn the_tools_do_the_same() {
    let app = TestApp::start().await;
    let client = app.client();
    let id =
        client.call_tool("scheduleConversation", for_inbox(json!({ "conversationText": "Look at CI." }))).await.text;
    let received = client.call_tool("receiveConversations", json!({ "waitSeconds": 5 })).await;
    let item = received.structured["conversations"][0].clone();
    assert_eq!((&item["conversationId"], &item["conversationText"]), (&json!(id), &json!("Look at CI.")));
    let receipt = item["receipt"].as_str().unwrap();
    assert_eq!(received.text, format!("{id} {receipt} Look at CI."));
    let arguments = json!({ "conversationId": id, "receipt": receipt });
    for _ in 0..2 {
        let done = client.call_tool("acknowledgeConversation", arguments.clone()).await;
        assert_eq!((&*done.text, done.is_error), ("true", false), "{done:?}");
    }
    let nothing = client.call_tool("receiveConversations", json!({})).await;
    assert_eq!(nothing.text, "Nothing is due.");
    let wrong = client.call_tool("acknowledgeConversation", json!({})).await;
    assert!(wrong.is_error && wrong.text.contains("receipt") && wrong.text.contains("conversationId"), "{wrong:?}");
}
