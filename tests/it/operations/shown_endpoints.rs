//! The path of an endpoint may be a secret: whoever knows the URL of a Slack or Teams channel can write there.

use serde_json::{Value, json};

use crate::support::app::TestApp;

const SECRET: &str = "https://hooks.example.com/services/canary?key=canary";
const CALLBACK: &str = "https://alarms.example.com/canary";

#[tokio::test]
async fn only_a_token_that_may_write_is_shown_whole_endpoints_and_no_list_has_them() {
    let app = TestApp::start().await;
    let writer = app.client();
    let callback = json!({ "endpoint": CALLBACK });
    let id =
        writer.scheduled(json!({ "endpoint": SECRET, "onFailed": callback, "scheduledTime": "2035-06-01T12:00:00Z" }));
    let id = id.await;
    let whole = writer.status(&id).await.json();
    assert_eq!((&whole["endpoint"], &whole["onFailed"]["endpoint"]), (&json!(SECRET), &json!(CALLBACK)));

    let reader = app.client().with_scopes("conversations:read").await;
    let masked = reader.status(&id).await.json();
    let shown = [&masked["endpoint"], &masked["onFailed"]["endpoint"]];
    assert_eq!(shown, [&json!("https://hooks.example.com"), &json!("https://alarms.example.com")]);
    let by_tool = reader.call_tool("getConversationStatus", json!({ "conversationId": id })).await;
    assert!(!format!("{masked} {by_tool:?}").contains("canary"), "{masked} {by_tool:?}");

    for client in [&writer, &reader] {
        let listed: Value = client.list("").await.json();
        let by_tool = client.call_tool("listConversations", json!({})).await;
        assert_eq!(listed["conversations"][0]["endpoint"], "https://hooks.example.com");
        assert!(!format!("{listed} {by_tool:?}").contains("canary"), "{listed} {by_tool:?}");
    }
}
