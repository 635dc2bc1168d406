//! An operation needs nothing but its entry in the table: one that exists only here is routed, guarded and described
//! like all others.

use std::future::ready;

use http::Method;
use mcp_scheduler::api::openapi::{self, Description, Input, Tag};
use mcp_scheduler::api::{ErrorDetail, Problem};
use mcp_scheduler::auth::Principal;
use mcp_scheduler::domain::Scope;
use mcp_scheduler::http::{Access, HandlerFuture, Operation, RequestContext, json};
use mcp_scheduler::mcp::tools::LIST_CONVERSATIONS;
use serde_json::json;

use super::authorization::token;
use crate::support::app::{BareApi, CLIENT, Running};
use crate::support::client::{Answer, ApiClient, conversation};

const NAME: &str = "countConversations";

static COUNTED: Description = Description {
    tag: Tag::Conversations,
    summary: "Count conversations",
    details: "Counts the conversations that have a label.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: openapi::Answer {
        status: 200,
        details: "The caller.",
        media_type: "application/json",
        schema: None,
        example: None,
        has_tag: false,
    },
    other_answers: &[],
    problems: &[],
    links: &[],
};

/// An operation that responds with the name of its caller.
fn count_conversations() -> Operation {
    fn handler(_: RequestContext, caller: Principal) -> HandlerFuture {
        Box::pin(async move { json(&json!({ "client": caller.client().as_str() })) })
    }
    Operation {
        name: NAME,
        method: Method::GET,
        path: "/api/scheduler/count/{label}",
        description: Some(&COUNTED),
        access: Access::Client { scope: Scope::Read, handler, tool: Some(LIST_CONVERSATIONS) },
        takes_idempotency_key: false,
        body_limit: 1024,
    }
}

/// An operation on the same path whose handler fails.
fn reset_count() -> Operation {
    fn handler(_: RequestContext, _: Principal) -> HandlerFuture {
        let error = ErrorDetail { pointer: "/label".to_owned(), detail: "is not known".to_owned() };
        Box::pin(ready(Err(Problem::from(vec![error]))))
    }
    let access = Access::Client { scope: Scope::Write, handler, tool: None };
    Operation { name: "resetCount", method: Method::DELETE, access, ..count_conversations() }
}

async fn start() -> Running {
    let mut api = BareApi::new();
    api.operations.extend([count_conversations(), reset_count()]);
    api.start().await
}

async fn call(client: &ApiClient, method: Method, path: &str, scope: &str) -> Answer {
    let token = token(client, scope).await;
    Answer::to(client.anonymous(method, path).bearer_auth(token)).await
}

#[tokio::test]
async fn a_new_entry_is_served() {
    let api = start().await;
    let answer = call(&api.client(), Method::GET, "/api/scheduler/count/work", "conversations:read").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "client": CLIENT })));
}

#[tokio::test]
async fn a_new_entry_is_refused_without_a_token_and_without_its_scope() {
    let api = start().await;
    let client = api.client();
    let anonymous = Answer::to(client.anonymous(Method::GET, "/api/scheduler/count/work")).await;
    anonymous.assert_problem(401, "unauthorized");
    for (method, other_scope, needed) in [
        (Method::GET, "conversations:write", "conversations:read"),
        (Method::DELETE, "conversations:read", "conversations:write"),
    ] {
        let refused = call(&client, method, "/api/scheduler/count/work", other_scope).await;
        refused.assert_problem(403, "insufficient-scope");
        assert_eq!(refused.challenge(), format!(r#"Bearer error="insufficient_scope", scope="{needed}""#));
    }
}

#[tokio::test]
async fn a_new_entry_is_listed_in_allow_and_only_its_exact_path_exists() {
    let api = start().await;
    let client = api.client();
    for method in [Method::POST, Method::PUT] {
        let refused = Answer::to(client.anonymous(method, "/api/scheduler/count/work")).await;
        refused.assert_problem(405, "method-not-allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD, DELETE");
    }
    for near in
        ["/api/scheduler/count/", "/api/scheduler/count/work/", "/api/scheduler/count/work/1", "/api/count/work"]
    {
        let refused = Answer::to(client.anonymous(Method::GET, near)).await;
        refused.assert_problem(404, "no-such-path");
        let entry = "GET /api/scheduler/count/{label} (countConversations)";
        assert!(refused.json()["hint"].as_str().unwrap().contains(entry), "{}", refused.text);
    }
    // The literal of the new path is no longer an id of the older ones.
    Answer::to(client.anonymous(Method::DELETE, "/api/scheduler/count")).await.assert_problem(404, "no-such-path");
}

#[tokio::test]
async fn a_problem_of_a_new_entry_names_it_without_the_parameter() {
    let api = start().await;
    let client = api.client();
    let failed = call(&client, Method::DELETE, "/api/scheduler/count/work", "conversations:write").await;
    failed.assert_problem(400, "invalid-request");
    assert_eq!(failed.json()["instance"], "/api/scheduler/count");
    let refused = Answer::to(client.anonymous(Method::GET, "/api/scheduler/count/work")).await;
    assert_eq!(refused.json()["instance"], "/api/scheduler/count");
}

#[tokio::test]
async fn a_new_entry_with_a_tool_is_a_tool_of_its_name_and_scope() {
    let api = start().await;
    let client = api.client();
    let id = client.call_tool("scheduleConversation", conversation(json!({}))).await.text;
    let called = client.call_tool(NAME, json!({})).await;
    assert!(!called.is_error && called.text.starts_with(&id), "{called:?}");

    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": NAME } });
    let request = client.anonymous(Method::POST, "/mcp").bearer_auth(token(&client, "conversations:write").await);
    let refused = Answer::unchecked(request.header("content-type", "application/json").body(message.to_string())).await;
    assert!(refused.status == 403 && refused.text.contains("conversations:read"), "{refused:?}");
}
