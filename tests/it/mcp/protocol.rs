//! The protocol around the tools: versions, errors, authorization, and the check of the origin.

use std::collections::BTreeSet;

use http::Method;
use mcp_scheduler::http::operations;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient, conversation, in_seconds};
use crate::support::golden;
use crate::support::mcp_wire::{NEWEST, OLDEST, Returned, newest, older};
use crate::support::receiver::{Receiver, Reply};

const CLIENT_CREDENTIALS: &str = "io.modelcontextprotocol/oauth-client-credentials";

fn initialize(version: &str) -> Value {
    let client = json!({ "name": "test", "version": "1" });
    older("initialize", json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client }))
}

async fn tools(client: &ApiClient) -> Vec<Value> {
    let answer = client.mcp(newest("tools/list", json!({}))).await;
    answer.json()["result"]["tools"].as_array().unwrap().clone()
}

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_protocol_version_with_a_handshake_works_without_a_session() {
    let app = TestApp::start().await;
    let client = app.client();
    for version in [OLDEST, "2025-06-18", "2025-11-25"] {
        let answer = client.mcp(initialize(version)).await;
        let result = &answer.json()["result"];
        assert_eq!((answer.status, &result["protocolVersion"]), (200, &json!(version)));
        assert_eq!(result["serverInfo"]["name"], "mcp-scheduler");
        assert_eq!(result["capabilities"]["extensions"][CLIENT_CREDENTIALS], json!({}));
        assert!(answer.headers.get("mcp-session-id").is_none());

        let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let request = client.mcp_request(&notification).await.header("mcp-protocol-version", version);
        let taken = request.send().await.unwrap();
        assert_eq!((taken.status().as_u16(), &*taken.bytes().await.unwrap()), (202, &b""[..]));

        let call = older("tools/call", json!({ "name": "scheduleConversation", "arguments": conversation(json!({})) }));
        let request = client.mcp_request(&call).await.header("mcp-protocol-version", version);
        let answer = Answer::to(request).await;
        let returned = Returned::of(&answer.json());
        assert_eq!(client.status(&returned.text).await.status, 200);
        assert!(answer.json()["result"].get("resultType").is_none(), "{version} does not know it");
    }
    // A version before this transport, one after the handshake was removed, and a text that is no version.
    for version in ["2024-11-05", NEWEST, "tomorrow"] {
        assert_eq!(client.mcp(initialize(version)).await.json()["result"]["protocolVersion"], "2025-11-25");
    }
    let ping = client.mcp(older("ping", json!({}))).await;
    assert_eq!((ping.status, &ping.json()["result"]), (200, &json!({})));
}

#[tokio::test]
async fn the_newest_version_needs_no_handshake() {
    let app = TestApp::start().await;
    let client = app.client();
    let found = client.mcp(newest("server/discover", json!({}))).await.json();
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert_eq!(*versions, [OLDEST, "2025-06-18", "2025-11-25", NEWEST]);
    assert_eq!(found["result"]["capabilities"]["extensions"][CLIENT_CREDENTIALS], json!({}));
    assert_eq!((&found["result"]["ttlMs"], &found["result"]["cacheScope"]), (&json!(3_600_000), &json!("public")));
    let listed = client.mcp(newest("tools/list", json!({}))).await.json();
    assert_eq!(
        (&listed["result"]["resultType"], &listed["result"]["cacheScope"]),
        (&json!("complete"), &json!("private"))
    );
    assert!(listed["result"]["ttlMs"].as_u64().is_some_and(|ms| ms > 0));
    assert!(client.call_tool("listConversations", json!({})).await.structured["conversations"].is_array());
}

#[tokio::test]
async fn the_descriptions_of_the_tools_match_their_golden_file() {
    let app = TestApp::start().await;
    let tools = tools(&app.client()).await;
    golden::check("mcp-tools", &json!(tools));
    let operations: BTreeSet<_> = operations().iter().map(|operation| operation.name).collect();
    for tool in &tools {
        let name = tool["name"].as_str().unwrap();
        assert!(operations.contains(name), "{name} is no operation");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        for (argument, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            assert!(schema["type"].is_string(), "{name} takes anything for {argument}");
            assert!(schema["description"].is_string(), "{name} does not say what {argument} is");
        }
        for hint in ["readOnlyHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{hint} of {name}");
        }
    }
}

/// A valid value for each argument of the tools.
fn example(argument: &str, id: &str) -> Value {
    match argument {
        "additionalInfo" => json!({ "a": 1 }),
        "conversationId" => json!(id),
        "conversationText" => json!("hello"),
        "conversations" => {
            json!([{ "conversationText": "hello", "delay": "1h", "endpoint": "https://example.com/hook" }])
        }
        // A delay stands in place of scheduledTime.
        "cursor" | "delay" | "deliver" | "paused" | "recurrence" => json!(null),
        "endpoint" => json!("https://example.com/hook"),
        "endpointHost" => json!("example.com"),
        "filter" => json!({}),
        "format" => json!("json"),
        "from" => json!("2035-06-01T00:00:00Z"),
        "headers" => json!({ "X-A": "1" }),
        "count" | "limit" | "max" => json!(2),
        "leaseSeconds" => json!(60),
        "outcome" => json!("done"),
        "receipt" => json!("0-1-00000000000007"),
        "waitSeconds" => json!(0),
        "idempotencyKey" => json!("3f2a"),
        "body" => json!({ "text": "{{conversationText}}" }),
        "successWhen" => json!({ "pointer": "/ok", "equals": true }),
        "expireAfter" => json!("5m"),
        "label" => json!("team:ops"),
        "labels" => json!({ "team": "ops" }),
        "method" => json!("PUT"),
        "name" => json!("daily"),
        "onFailed" | "onCompleted" => json!({ "endpoint": "https://example.com/news" }),
        "order" => json!("due"),
        "retry" => json!({ "maxAttempts": 3 }),
        "scheduledTime" => json!("2035-06-01T12:00:00Z"),
        "status" => json!("Scheduled"),
        "threadId" => json!("thread-7"),
        "timeZone" => json!("Europe/Berlin"),
        "timeoutSeconds" => json!(5),
        "to" => json!("2035-07-01T00:00:00Z"),
        other => panic!("no example of {other}"),
    }
}

/// A conversation that has failed.
async fn failed(client: &ApiClient) -> String {
    let refusing = Receiver::start([Reply::status(410)]).await;
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": refusing.url("/") })).await;
    client.wait_for(&id, "Failed").await;
    id
}

/// A conversation of the inbox that was received: its id and its receipt.
async fn received(client: &ApiClient) -> Value {
    let inbox = json!({ "endpoint": null, "deliver": "inbox", "scheduledTime": in_seconds(0) });
    client.scheduled(inbox).await;
    let received = client.call_tool("receiveConversations", json!({})).await.structured;
    let item = &received["conversations"][0];
    json!({ "conversationId": item["conversationId"], "receipt": item["receipt"] })
}

#[tokio::test]
async fn the_required_arguments_of_a_schema_are_exactly_those_without_which_a_call_fails() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    for tool in tools(&client).await {
        let (name, schema) = (tool["name"].as_str().unwrap(), &tool["inputSchema"]);
        let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
        let properties = schema["properties"].as_object().unwrap();
        let id = if matches!(name, "redeliverConversation" | "waitForConversation") {
            failed(&client).await
        } else {
            id.clone()
        };
        let mut all: Value = properties.keys().map(|name| (name.clone(), example(name, &id))).collect();
        if name == "acknowledgeConversation" {
            all = received(&client).await;
            all["outcome"] = json!("done");
        }
        if properties.contains_key("idempotencyKey") {
            all["idempotencyKey"] = json!(format!("all-of-{name}"));
        }
        assert!(!client.call_tool(name, all.clone()).await.is_error, "{name} with all arguments");
        for argument in properties.keys() {
            let mut without = all.clone();
            let arguments = without.as_object_mut().unwrap();
            arguments.remove(argument);
            // This is another request, so it needs another key.
            if let Some(key) = arguments.get_mut("idempotencyKey") {
                *key = json!(format!("{name}-without-{argument}"));
            }
            if argument == "scheduledTime" {
                without["delay"] = json!("5m");
            }
            if argument == "endpoint" && name.starts_with("schedule") {
                without = json!({ "conversationText": "hello", "delay": "5m", "deliver": "inbox", "name": "daily" });
                without.as_object_mut().unwrap().retain(|field, _| properties.contains_key(field));
            }
            let refused = client.call_tool(name, without).await;
            assert_eq!(refused.is_error, required.contains(&json!(argument)), "{name} without {argument}: {refused:?}");
            assert!(!refused.is_error || refused.text.contains(&format!("- {argument} is required")), "{refused:?}");
        }
        assert!(required.iter().all(|argument| properties.contains_key(argument.as_str().unwrap())), "{required:?}");
        // The schema has the arguments that the server knows, and no other.
        let mut listed = client.call_tool(name, json!({ "colour": 1 })).await.text;
        listed = listed.split("the fields are ").nth(1).unwrap().lines().next().unwrap().to_owned();
        let known: BTreeSet<_> = listed.split(", ").collect();
        assert_eq!(known, properties.keys().map(String::as_str).collect(), "{name}");
    }
}

#[tokio::test]
async fn a_read_only_client_sees_and_calls_only_reading_tools() {
    let app = TestApp::start().await;
    let reader = app.reader();
    let seen = tools(&reader).await;
    let reading =
        ["getConversationStatus", "waitForConversation", "listConversations", "previewTime", "getCurrentTime"];
    assert_eq!(names(&seen), [reading.as_slice(), &["getNamedConversation"]].concat());
    assert!(seen.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true));
    assert!(!reader.call_tool("listConversations", json!({})).await.is_error);
    for (name, arguments) in [
        ("scheduleConversation", conversation(json!({}))),
        ("cancelConversation", json!({ "conversationId": "01890000-0000-7000-8000-00000000000f" })),
        ("cancelConversation", json!({})),
    ] {
        for message in [newest, older].map(|m| m("tools/call", json!({ "name": name, "arguments": arguments }))) {
            let answer = reader.mcp(message).await;
            answer.assert_problem(403, "insufficient-scope");
            let challenge = answer.header("www-authenticate");
            assert!(
                challenge.contains("insufficient_scope") && challenge.contains("conversations:write"),
                "{challenge}"
            );
        }
    }
    assert_eq!(reader.list("").await.json()["conversations"], json!([]));
}

#[tokio::test]
async fn without_a_token_every_message_is_401() {
    let app = TestApp::start().await;
    let client = app.client();
    for message in [newest("server/discover", json!({})), initialize(OLDEST), json!("nonsense")] {
        for token in [None, Some("nobody's")] {
            let request = client.anonymous(Method::POST, "/mcp").header("content-type", "application/json");
            let request = request.header("accept", "application/json, text/event-stream").body(message.to_string());
            let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
            let answer = Answer::to(request).await;
            answer.assert_problem(401, "unauthorized");
            let metadata = format!("http://{}/.well-known/oauth-protected-resource/mcp", app.address);
            assert!(answer.header("www-authenticate").contains(&metadata), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn get_and_delete_are_405_because_there_is_no_stream_and_no_session() {
    let app = TestApp::start().await;
    let client = app.client();
    for method in [Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS] {
        let answer = Answer::to(client.request(method, "/mcp").await).await;
        answer.assert_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), "POST");
    }
}

#[tokio::test]
async fn a_web_page_of_another_origin_cannot_call() {
    let app = TestApp::start().await;
    let client = app.client();
    let message = newest("server/discover", json!({}));
    for (header, value, status) in [
        ("host", "evil.example", 403),
        ("host", "127.0.0.1.evil.example:8000", 403),
        ("host", "localhost:8000", 200),
        ("host", "[::1]:8000", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost.evil.example", 403),
        ("origin", "http://localhost:6274", 200),
    ] {
        let answer = Answer::unchecked(client.mcp_request(&message).await.header(header, value)).await;
        assert_eq!(answer.status, status, "{header}: {value}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_name_that_a_proxying_host_passes_on_decides_and_no_other_is_believed() {
    let names = [("PUBLIC_URL", "https://a.example"), ("WEBSITE_HOSTNAME", "app.azurewebsites.net")];
    let behind = [names[0], names[1], ("FUNCTIONS_CUSTOMHANDLER_PORT", "0")];
    let message = newest("server/discover", json!({}));
    for (settings, cases) in [
        (
            &behind[..],
            // The host has replaced `Host`, or has kept it.
            &[
                (None, Some("evil.example"), 403),
                (None, Some("127.0.0.1.evil.example:8000"), 403),
                (None, Some("a.example"), 200),
                (None, Some("app.azurewebsites.net"), 200),
                (None, Some("localhost:7071"), 200),
                (None, None, 200),
                (Some("evil.example"), Some("a.example"), 403),
                (Some("a.example"), Some("evil.example"), 200),
            ][..],
        ),
        // Without a host, whoever calls writes the header.
        (&names, &[(Some("evil.example"), Some("a.example"), 403), (None, Some("evil.example"), 200)]),
    ] {
        let app = TestApp::start_with(settings).await;
        let client = app.client();
        for (host, forwarded, status) in cases {
            let mut request = client.mcp_request(&message).await;
            for (name, value) in [("host", host), ("x-forwarded-host", forwarded)] {
                request = value.iter().fold(request, |request, value| request.header(name, *value));
            }
            let answer = Answer::unchecked(request).await;
            assert_eq!(answer.status, *status, "{host:?} {forwarded:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_with_a_reason() {
    let app = TestApp::start().await;
    let client = app.client();
    let send = async |body: &str| Answer::unchecked(client.mcp_request(&Value::Null).await.body(body.to_owned())).await;
    send("{").await.assert_problem(400, "malformed-json");
    send("").await.assert_problem(400, "malformed-json");
    for body in [
        "[]",
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        "1",
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"listConversations"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"listConversations","arguments":{},"arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["listConversations"]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{},"params":{"name":"listConversations"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"id":1,"method":"ping"}"#,
    ] {
        let answer = send(body).await;
        assert_eq!(answer.status / 100, 4, "{body}: {}", answer.text);
        assert!(answer.text.contains("detail") || answer.json()["error"].is_object(), "{body}: {}", answer.text);
    }
    let too_large = send(&format!("{{\"x\":\"{}\"}}", "x".repeat(1280 * 1024))).await;
    too_large.assert_problem(413, "body-too-large");
    let ping = older("ping", json!({})).to_string();
    for (header, value, status) in [("accept", "application/json", 406), ("content-type", "text/plain", 415)] {
        let mut request = client.mcp_request(&Value::Null).await.body(ping.clone()).build().unwrap();
        request.headers_mut().insert(header, value.parse().unwrap());
        let response = crate::support::client::http().execute(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{header}: {value}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn an_unknown_tool_or_method_is_a_protocol_error() {
    let app = TestApp::start().await;
    let client = app.client();
    let unknown = client.mcp(older("tools/call", json!({ "name": "dropTables", "arguments": {} }))).await.json();
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    assert!(unknown["error"]["message"].as_str().unwrap().contains("scheduleConversation"), "{unknown}");
    let shapeless =
        client.mcp(older("tools/call", json!({ "name": "listConversations", "arguments": [] }))).await.json();
    assert_eq!(shapeless["error"]["code"], -32602, "{shapeless}");
    for method in ["prompts/list", "resources/subscribe", "logging/setLevel", "subscriptions/listen", "no/such"] {
        let answer = client.mcp(older(method, json!({}))).await.json();
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32601), &json!(7)), "{method}: {answer}");
    }
}
