//! Who scheduled a conversation, as its record says.

use http::Method;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::support::app::{CLIENT, TestApp};
use crate::support::client::{Answer, ApiClient, conversation, in_seconds};
use crate::support::login::{Program, text};
use crate::support::mcp_wire::newest;
use crate::support::receiver::{Receiver, Reply};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn record(client: &ApiClient, id: &str) -> Value {
    client.status(id).await.json()["scheduledBy"].clone()
}

#[tokio::test]
async fn the_record_has_the_client_the_operation_and_the_trace() {
    let app = TestApp::start().await;
    let client = app.client();
    let request = client.request(Method::POST, "/api/scheduler/schedule").await.header("traceparent", TRACEPARENT);
    let request = request.header("content-type", "application/json").body(conversation(json!({})).to_string());
    let id = text(&Answer::to(request).await.json(), "conversationId").to_owned();
    let scheduled = json!({ "clientId": CLIENT, "operation": "scheduleConversation", "traceId": TRACE });
    assert_eq!(record(&client, &id).await, scheduled);
    let copy = client.run(&id).await.json();
    let run = json!({ "clientId": CLIENT, "operation": "runConversation" });
    assert_eq!(record(&client, text(&copy, "conversationId")).await, run);
    let patch = client.request(Method::PATCH, &format!("/api/scheduler/{id}")).await;
    let patch = patch.header("content-type", "application/json").body(r#"{"conversationText":"new"}"#);
    assert_eq!(Answer::to(patch).await.json()["scheduledBy"], scheduled, "a change leaves it as it is");
}

#[tokio::test]
async fn of_a_callback_the_client_and_the_trace_are_known() {
    let app = TestApp::start().await;
    let client = app.client();
    let receiver = Receiver::start([Reply::status(204), Reply::status(204)]).await;
    let news = json!({ "endpoint": receiver.url("/news") });
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "onCompleted": news });
    let request = client.request(Method::POST, "/api/scheduler/schedule").await.header("traceparent", TRACEPARENT);
    Answer::to(request.header("content-type", "application/json").body(conversation(now).to_string())).await;
    receiver.wait_for(2).await;
    let all = client.list("").await.json();
    let callback = all["conversations"].as_array().unwrap().iter().find(|it| it["callbackOf"].is_string()).unwrap();
    let known = json!({ "clientId": CLIENT, "traceId": TRACE });
    assert_eq!(record(&client, text(callback, "conversationId")).await, known);
}

#[tokio::test]
async fn the_record_has_the_tool_and_the_program_of_the_login() {
    let app = TestApp::start().await;
    let client = app.client();
    let called = client.call_tool("scheduleConversation", conversation(json!({}))).await;
    let by_tool = json!({ "clientId": CLIENT, "tool": "scheduleConversation" });
    assert_eq!(record(&client, &called.text).await, by_tool);

    let program = Program::registered(app.address).await;
    let token = text(&program.log_in().await, "access_token").to_owned();
    let call = json!({ "name": "scheduleBatch", "arguments": { "conversations": [conversation(json!({}))] } });
    let request = client.mcp_request(&newest("tools/call", call)).await;
    let authorization = (AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let answer = Answer::to(request.headers([authorization].into_iter().collect())).await;
    let id = client.list("").await.json()["conversations"][0]["conversationId"].as_str().unwrap().to_owned();
    assert!(answer.text.contains(&id), "{}", answer.text);
    let kept: String = program.id.chars().take(256).collect();
    let by_program = json!({ "clientId": CLIENT, "tool": "scheduleBatch", "program": kept });
    assert_eq!(record(&client, &id).await, by_program);
    let shown = client.call_tool("getConversationStatus", json!({ "conversationId": id })).await;
    assert_eq!(shown.structured["scheduledBy"]["program"], json!({ "untrusted": kept }), "a program chooses its id");
}
