//! The Tasks extension: a wait for a conversation as a task.

use std::sync::Arc;
use std::time::Instant;

use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::{BareApi, CLIENT, Fixed, KEY, TestApp};
use crate::support::client::{Answer, ApiClient, http, in_seconds};
use crate::support::mcp_wire::{NEWEST, Returned, newest, older};
use crate::support::receiver::{Receiver, Reply};

const TASKS: &str = "io.modelcontextprotocol/tasks";
const METHODS: [&str; 3] = ["tasks/get", "tasks/update", "tasks/cancel"];

/// A message of a program that knows tasks.
fn declared(method: &str, params: Value) -> Value {
    let mut message = newest(method, params);
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "extensions": { TASKS: {} } });
    message
}

fn wait_for(id: &str) -> Value {
    json!({ "name": "waitForConversation", "arguments": { "conversationId": id } })
}

fn task(id: &str) -> Value {
    json!({ "taskId": id, "inputResponses": {} })
}

async fn ask(client: &ApiClient, message: Value) -> Value {
    client.mcp(message).await.json()
}

async fn get(client: &ApiClient, id: &str) -> Value {
    ask(client, declared("tasks/get", task(id))).await["result"].clone()
}

/// A result without the time at which it was made.
fn timeless(result: &Value) -> (String, Value) {
    let Returned { text, mut structured, .. } = Returned::of(&json!({ "result": result }));
    structured.as_object_mut().unwrap().remove("serverTime");
    (text, structured)
}

#[tokio::test]
async fn a_wait_is_a_task_until_the_conversation_has_ended_and_then_has_the_result_of_the_tool() {
    let app = TestApp::start().await;
    let (client, receiver) = (app.client(), Receiver::accepting().await);
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(2), "endpoint": receiver.url("/") })).await;
    let record = client.status(&id).await.json();
    let created = ask(&client, declared("tools/call", wait_for(&id))).await["result"].clone();
    let interval = created["pollIntervalMs"].as_u64().unwrap_or_else(|| panic!("{created}"));
    assert!((1000..=2000).contains(&interval), "{created}");
    assert_eq!(created["resultType"], "task");
    let seen = get(&client, &id).await;
    assert_eq!(seen["resultType"], "complete");
    let due = record["scheduledTime"].as_str().unwrap();
    let expected = json!({
        "taskId": id, "status": "working", "statusMessage": format!("Scheduled for {due}"),
        "createdAt": record["createdTime"], "lastUpdatedAt": record["updatedTime"], "ttlMs": null,
    });
    for mut task in [created, seen] {
        task.as_object_mut().unwrap().retain(|field, _| !matches!(&**field, "_meta" | "pollIntervalMs" | "resultType"));
        assert_eq!(task, expected);
    }

    client.wait_for(&id, "Completed").await;
    let seen = get(&client, &id).await;
    assert_eq!((&seen["status"], &seen["resultType"]), (&json!("completed"), &json!("complete")));
    let of_the_tool = ask(&client, newest("tools/call", wait_for(&id))).await["result"].clone();
    assert_eq!(timeless(&seen["result"]), timeless(&of_the_tool));
    assert_eq!(seen["result"]["resultType"], "complete", "{seen}");
    let at_once = ask(&client, declared("tools/call", wait_for(&id))).await["result"].clone();
    assert_eq!((timeless(&at_once), &at_once["resultType"]), (timeless(&of_the_tool), &json!("complete")));
}

#[tokio::test]
async fn a_failed_conversation_completes_its_task_and_a_cancelled_one_cancels_it() {
    let app = TestApp::start().await;
    let client = app.client();
    let receiver = Receiver::start([Reply::status(503)]).await;
    let due = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "retry": { "maxAttempts": 2 } });
    let id = client.scheduled(due).await;
    receiver.wait_for(1).await;
    let next = loop {
        let record = client.wait_for(&id, "InProgress").await;
        if let Some(next) = record["nextAttemptTime"].as_str() {
            break next.to_owned();
        }
    };
    let seen = get(&client, &id).await;
    assert_eq!(seen["statusMessage"], format!("The next attempt follows at {next}"), "{seen}");
    client.cancel(&id).await;
    let seen = get(&client, &id).await;
    assert_eq!((&seen["status"], seen.get("result")), (&json!("cancelled"), None));

    let refusing = Receiver::start([Reply::status(410)]).await;
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": refusing.url("/") })).await;
    client.wait_for(&id, "Failed").await;
    let seen = get(&client, &id).await;
    assert_eq!((&seen["status"], &seen["result"]["content"][0]["text"]), (&json!("completed"), &json!("Failed")));
    assert_ne!(seen["result"]["isError"], true, "as getConversationStatus shows it");
}

#[tokio::test]
async fn to_give_up_a_task_never_cancels_the_conversation() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let before = client.status(&id).await.header("etag").to_owned();
    for method in ["tasks/cancel", "tasks/update", "tasks/cancel"] {
        let result = ask(&client, declared(method, task(&id))).await["result"].clone();
        assert_eq!(result["resultType"], "complete", "{method}");
        assert!(result.get("status").is_none(), "{method}: {result}");
    }
    assert_eq!(get(&client, &id).await["status"], "working");
    let after = client.status(&id).await;
    assert_eq!((&after.json()["status"], after.header("etag")), (&json!("Scheduled"), &*before));
}

#[tokio::test]
async fn an_id_that_is_no_own_conversation_is_an_error_that_says_what_a_task_id_is() {
    let app = TestApp::start().await;
    let own = app.client().scheduled(json!({})).await;
    let unknown = "01890000-0000-7000-8000-00000000000f";
    for (client, id) in [(app.other_client(), &*own), (app.client(), unknown), (app.client(), "task-7")] {
        for method in METHODS {
            let error = ask(&client, declared(method, task(id))).await["error"].clone();
            let message = error["message"].as_str().unwrap_or_default();
            assert_eq!(error["code"], -32602, "{method}: {error}");
            assert!(message.contains(id) && message.contains("the taskId is the conversationId"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_task_needs_the_scope_of_the_tool() {
    let app = TestApp::start().await;
    let id = app.client().scheduled(json!({})).await;
    let keys = ApiClient::new(app.address, CLIENT, KEY).with_scopes("webhooks:read").await;
    for (method, params) in METHODS.map(|method| (method, task(&id))).into_iter().chain([("tools/call", wait_for(&id))])
    {
        let refused = keys.mcp(declared(method, params)).await;
        refused.assert_problem(403, "insufficient-scope");
        assert!(refused.header("www-authenticate").contains("scope=\"conversations:read\""), "{refused:?}");
    }
    let reader = ApiClient::new(app.address, CLIENT, KEY).with_scopes("conversations:read").await;
    assert_eq!(get(&reader, &id).await["status"], "working");
}

#[tokio::test]
async fn a_program_that_knows_no_tasks_or_says_how_long_it_waits_gets_the_result_of_the_tool() {
    let app = TestApp::start().await;
    let (client, receiver) = (app.client(), Receiver::accepting().await);
    let limited_id = client.scheduled(json!({})).await;
    let limited = json!({ "conversationId": limited_id, "waitSeconds": 0 });
    let limited = declared("tools/call", json!({ "name": "waitForConversation", "arguments": limited }));
    assert_eq!(Returned::of(&ask(&client, limited).await).text, "Scheduled");

    // An older program, also one that writes what only the newest version has.
    let mut pretending = older("tools/call", Value::Null);
    pretending["params"]["_meta"] = declared("tools/call", json!({}))["params"]["_meta"].clone();
    pretending["params"]["_meta"].as_object_mut().unwrap().remove("io.modelcontextprotocol/protocolVersion");
    for mut message in [newest("tools/call", json!({})), older("tools/call", json!({})), pretending] {
        let id = client.scheduled(json!({ "scheduledTime": in_seconds(1), "endpoint": receiver.url("/") })).await;
        let call = wait_for(&id);
        (message["params"]["name"], message["params"]["arguments"]) = (call["name"].clone(), call["arguments"].clone());
        let began = Instant::now();
        assert_eq!(Returned::of(&ask(&client, message).await).text, "Completed");
        assert!(began.elapsed().as_secs() < 15, "it ends with the conversation: {:?}", began.elapsed());
    }
    let undeclared = client.mcp_request(&newest("tasks/get", task(&limited_id))).await;
    let undeclared = Answer::unchecked(undeclared).await.json()["error"].clone();
    assert_eq!(undeclared["code"], -32021, "{undeclared}");
}

#[tokio::test]
async fn no_other_tool_makes_a_task_and_a_wrong_call_is_told_what_is_wrong() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let shown = json!({ "name": "getConversationStatus", "arguments": { "conversationId": id } });
    assert_eq!(Returned::of(&ask(&client, declared("tools/call", shown)).await).text, "Scheduled");
    for arguments in [json!({}), json!({ "conversationId": "7" }), json!({ "conversationId": id, "waitSeconds": 21 })] {
        let call = json!({ "name": "waitForConversation", "arguments": arguments });
        let returned = Returned::of(&ask(&client, declared("tools/call", call)).await);
        assert!(returned.is_error, "{arguments}: {returned:?}");
    }
}

#[tokio::test]
async fn the_extension_is_offered_and_a_program_that_leaves_out_the_name_header_is_answered_too() {
    let clock = Arc::new(Fixed(Timestamp::parse("2030-01-01T09:00:00Z").unwrap()));
    let api = BareApi { clock, ..BareApi::new() }.start().await;
    let client = api.client();
    let hello =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    for message in [newest("server/discover", json!({})), older("initialize", hello)] {
        assert_eq!(ask(&client, message).await["result"]["capabilities"]["extensions"][TASKS], json!({}));
    }
    let id = client.scheduled(json!({ "scheduledTime": "2030-01-01T09:00:10Z" })).await;
    for (name, status) in [(None, 200), (Some(&*id), 200), (Some("another"), 400)] {
        let mut request = client.mcp_request(&declared("tasks/get", task(&id))).await.build().unwrap();
        assert!(request.headers_mut().remove("mcp-name").is_some());
        if let Some(name) = name {
            request.headers_mut().insert("mcp-name", name.parse().unwrap());
        }
        let answer = http().execute(request).await.unwrap();
        assert_eq!(answer.status(), status, "{name:?} in {NEWEST}");
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert!(status == 400 || answer["result"]["pollIntervalMs"] == 10_000, "{answer}");
    }
}
