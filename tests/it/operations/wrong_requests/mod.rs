//! Wrong requests, as language models and people send them, each with the exact text that lets the caller correct it.

mod arguments;
mod bodies;
mod requests;

use std::sync::Arc;

use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::{BareApi, Fixed, Running};
use crate::support::client::{Answer, ApiClient};
use crate::support::mcp_wire::Returned;

/// The time of the service in these tests.
const NOW: &str = "2030-01-01T09:00:00.000Z";
const GOOD: &str =
    r#""conversationText":"hi","scheduledTime":"2030-01-01T10:00Z","endpoint":"https://example.com/hook""#;
const HINT: &str = "Correct these errors and send the request again.";

async fn start() -> Running {
    let clock = Arc::new(Fixed(Timestamp::parse(NOW).unwrap()));
    BareApi { clock, ..BareApi::new() }.start().await
}

/// The sentences of a problem: those of its errors, or its detail.
fn sentences(problem: &Value) -> Vec<String> {
    let error = |error: &Value| {
        let (pointer, detail) = (error["pointer"].as_str().unwrap(), error["detail"].as_str().unwrap());
        format!("{} {detail}", pointer.strip_prefix('/').unwrap_or("The request"))
    };
    match problem["errors"].as_array() {
        Some(errors) => errors.iter().map(error).collect(),
        None => vec![problem["detail"].as_str().unwrap().to_owned()],
    }
}

/// Calls a tool with arguments as text, so that they may have a member twice.
async fn call(client: &ApiClient, tool: &str, arguments: &str) -> Returned {
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    );
    let answer = Answer::to(client.mcp_request(&json!(null)).await.body(message)).await;
    Returned::of(&answer.json())
}
