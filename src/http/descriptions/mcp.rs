//! The Model Context Protocol.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{body, json};
use crate::api::ProblemType;
use crate::api::openapi::{Description, OtherAnswer, Refusal, Tag};

/// A message of JSON-RPC 2.0.
#[derive(JsonSchema)]
#[allow(dead_code)] // only its schema is used
struct McpMessage {
    #[schemars(extend("const" = "2.0"))]
    jsonrpc: String,
    /// The id of a request. A notification has none.
    #[schemars(extend("type" = ["string", "integer", "null"]))]
    id: Option<Value>,
    /// The method, such as tools/call.
    method: String,
    /// The parameters.
    params: Option<Map<String, Value>>,
}

/// A response of JSON-RPC 2.0.
#[derive(JsonSchema)]
#[allow(dead_code)] // only its schema is used
struct McpResponse {
    #[schemars(extend("const" = "2.0"))]
    jsonrpc: String,
    /// The id of the request.
    id: Option<Value>,
    /// The result, if there is no error.
    #[schemars(skip_serializing_if = "Option::is_none")]
    result: Option<Map<String, Value>>,
    /// The error, if there is no result.
    #[schemars(skip_serializing_if = "Option::is_none")]
    error: Option<Map<String, Value>>,
}

pub(in crate::http) static MCP: Description = Description {
    tag: Tag::Mcp,
    summary: "Send a message of the Model Context Protocol",
    details: "All operations on conversations are tools for language models. A tool needs the scope of its operation. Accept \
              application/json and text/event-stream. Use a library of the protocol for this.",
    input: body(
        SchemaGenerator::subschema_for::<McpMessage>,
        &[("listTools", r#"{ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }"#)],
    ),
    reads_if_match: false,
    answer: json(
        "The response to a request.",
        SchemaGenerator::subschema_for::<McpResponse>,
        r#"{ "jsonrpc": "2.0", "id": 1, "result": { "tools": [] } }"#,
    ),
    other_answers: &[
        OtherAnswer { status: 202, details: "The notification was accepted.", body: Refusal::Empty },
        OtherAnswer {
            status: 403,
            details: "The host or the origin is not that of the service.",
            body: Refusal::Problem(ProblemType::McpTransport),
        },
        OtherAnswer {
            status: 406,
            details: "The client does not accept both types of responses.",
            body: Refusal::Problem(ProblemType::McpTransport),
        },
    ],
    problems: &[ProblemType::McpTransport, ProblemType::InsufficientScope],
    links: &[],
};
