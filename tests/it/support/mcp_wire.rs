//! MCP messages on the wire, one at a time.

use http::Method;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::client::{Answer, ApiClient};

pub const NEWEST: &str = "2026-07-28";
pub const OLDEST: &str = "2025-03-26";

/// A message of the newest protocol version, which has the version and the client in itself.
pub fn newest(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// A message of an older protocol version.
#[allow(clippy::needless_pass_by_value)] // the same signature as `newest`
pub fn older(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// The result of a tool call.
#[derive(Debug)]
pub struct Returned {
    pub is_error: bool,
    pub text: String,
    pub structured: Value,
}

impl ApiClient {
    /// A request with a message and the headers of its protocol version.
    pub async fn mcp_request(&self, message: &Value) -> RequestBuilder {
        let request = self
            .request(Method::POST, "/mcp")
            .await
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(message.to_string());
        let Some(version) = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str() else {
            return request;
        };
        let request = request.header("mcp-protocol-version", version);
        let request = request.header("mcp-method", message["method"].as_str().unwrap());
        let params = &message["params"];
        match params["name"].as_str().or(params["uri"].as_str()).or(params["taskId"].as_str()) {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// Sends a message.
    pub async fn mcp(&self, message: Value) -> Answer {
        Answer::to(self.mcp_request(&message).await).await
    }

    /// Calls a tool in the newest protocol version.
    pub async fn call_tool(&self, name: &str, arguments: Value) -> Returned {
        let answer = self.mcp(newest("tools/call", json!({ "name": name, "arguments": arguments }))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Returned::of(&answer.json())
    }
}

impl Returned {
    /// The result in a JSON-RPC response. Every result has a text, and its structured content as another one.
    #[track_caller]
    pub fn of(response: &Value) -> Self {
        let result = &response["result"];
        let content = result["content"].as_array().unwrap_or_else(|| panic!("no result: {response}"));
        let texts: Vec<_> = content.iter().filter(|block| block["type"] == "text").map(|b| &b["text"]).collect();
        let structured = texts[1..].iter().map(|text| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap());
        let expected = Some(result["structuredContent"].clone()).filter(|structured| !structured.is_null());
        assert!(content.len() == texts.len() && structured.eq(expected), "{response}");
        Self {
            is_error: result["isError"].as_bool().unwrap_or_default(),
            text: content[0]["text"].as_str().unwrap().to_owned(),
            structured: result["structuredContent"].clone(),
        }
    }
}
