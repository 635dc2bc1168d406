//! The calls that are answered without rmcp: nobody can tell.

use std::sync::Arc;

use mcp_scheduler::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::wire::{NEWEST, newest, older};
use crate::support::app::{BareApi, Fixed};
use crate::support::client::{Answer, ApiClient};

/// Status, media type and body of the answer to a message that is sent with headers changed.
async fn answer(client: &ApiClient, message: &Value, accept: &str, more: &[(&str, &str)]) -> (u16, String, Value) {
    let (http, request) = client.mcp_request(message).await.build_split();
    let mut request = request.unwrap();
    request.headers_mut().insert("accept", accept.parse().unwrap());
    for (name, value) in more {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = Answer::unchecked(reqwest::RequestBuilder::from_parts(http, request)).await;
    let kind = answer.headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let body = serde_json::from_str(&answer.text).unwrap_or_else(|_| json!(answer.text));
    (answer.status, kind.unwrap_or_default(), body)
}

fn with(mut message: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    message.pointer_mut(parent).unwrap()[name] = value;
    message
}

fn without(mut message: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    message.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    message
}

/// A plain call, and what is slightly different from it.
fn variants(call: &Value) -> Vec<Value> {
    let values = [
        ("/id", json!("a name")),
        ("/id", json!(-3)),
        ("/id", json!(1.0)),
        ("/id", json!(1.5)),
        ("/id", json!(u64::MAX)),
        ("/id", json!(null)),
        ("/id", json!(true)),
        ("/jsonrpc", json!("1.0")),
        ("/jsonrpc", json!(2)),
        ("/extra", json!("member")),
        ("/params/extra", json!("member")),
        ("/params/inputResponses", json!({})),
        ("/params/inputResponses", json!(3)),
        ("/params/requestState", json!("state")),
        ("/params/arguments", json!(null)),
        ("/params/arguments", json!([])),
        ("/params/arguments", json!("text")),
        ("/params/arguments/extra", json!(1)),
        ("/params/name", json!("noSuchTool")),
        ("/params/_meta", json!({ "progressToken": 5 })),
        ("/params/_meta", json!({ "progressToken": [] })),
        ("/params/_meta", json!(null)),
        ("/params/_meta", json!(3)),
        ("/params/_meta", json!({ "io.modelcontextprotocol/protocolVersion": NEWEST })),
        ("/params/_meta", json!({ "io.modelcontextprotocol/protocolVersion": "2025-11-25" })),
        ("/params/_meta", json!({ "io.modelcontextprotocol/protocolVersion": 7 })),
    ];
    let removed = ["/id", "/jsonrpc", "/params/arguments", "/params/_meta"];
    let changed = values.into_iter().map(|(pointer, value)| with(call.clone(), pointer, value));
    let removed = removed.iter().map(|pointer| without(call.clone(), pointer));
    [call.clone()].into_iter().chain(changed).chain(removed).collect()
}

#[tokio::test]
async fn a_call_is_answered_the_same_with_and_without_rmcp() {
    // Answers say what time it is.
    let clock = Arc::new(Fixed(SystemClock.now()));
    let app = BareApi { clock, ..BareApi::new() }.start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let calls = [
        json!({ "name": "getConversationStatus", "arguments": { "conversationId": id } }),
        json!({ "name": "getConversationStatus", "arguments": { "conversationId": "nobody's" } }),
        json!({ "name": "getConversationStatus", "arguments": {} }),
        json!({ "name": "listConversations", "arguments": { "limit": 10 } }),
        json!({ "name": "scheduleConversation", "arguments": { "conversationText": 3 } }),
        json!({ "name": "cancelConversation", "arguments": { "conversationId": id } }),
    ];
    let headers: [&[(&str, &str)]; 12] = [
        &[],
        &[("mcp-protocol-version", NEWEST)],
        &[("mcp-protocol-version", "2025-11-25")],
        &[("mcp-protocol-version", "2025-06-18")],
        &[("mcp-protocol-version", "2024-11-05")],
        &[("mcp-protocol-version", "tomorrow")],
        &[("mcp-method", "tools/list")],
        &[("mcp-name", "cancelConversation")],
        &[("content-type", "application/json; charset=utf-8")],
        &[("host", "rebound.example")],
        &[("origin", "https://rebound.example")],
        &[("origin", "http://localhost"), ("mcp-name", "getConversationStatus")],
    ];
    for call in calls {
        for call in [newest("tools/call", call.clone()), older("tools/call", call)] {
            let headers = headers.iter().map(|headers| (call.clone(), *headers));
            for (message, headers) in headers.chain(variants(&call).into_iter().map(|variant| (variant, &[][..]))) {
                let plain = answer(&client, &message, "application/json, text/event-stream", headers).await;
                let any = answer(&client, &message, "application/json;q=1, text/event-stream", headers).await;
                assert_eq!(plain, any, "{message} with {headers:?}");
            }
        }
    }
}

/// rmcp would have sorted the members: this is how one can tell after all.
#[tokio::test]
async fn a_message_that_names_another_version_than_its_header_is_refused() {
    let app = BareApi::new().start().await;
    let call = newest("tools/call", json!({ "name": "listConversations", "arguments": {} }));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2025-11-25",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let headers = [("mcp-protocol-version", NEWEST), ("mcp-method", "tools/call"), ("mcp-name", "listConversations")];
    let accept = "application/json, text/event-stream";
    let (status, _, body) = answer(&app.client(), &with(call, "/params/_meta", meta), accept, &headers).await;
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn the_structured_content_of_a_plain_call_is_what_rest_answers_to_the_letter() {
    let clock = Arc::new(Fixed(SystemClock.now()));
    let app = BareApi { clock, ..BareApi::new() }.start().await;
    let client = app.client();
    client.scheduled(json!({})).await;
    let rest = client.list("?limit=10").await.text;
    for message in [newest, older]
        .map(|form| form("tools/call", json!({ "name": "listConversations", "arguments": { "limit": 10 } })))
    {
        let answer = client.mcp(message).await.text;
        assert!(answer.contains(&format!("\"structuredContent\":{rest},")), "{answer} against {rest}");
    }
}
