//! The protocol on the wire, one message at a time.

use http::Method;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::client::{Answer, ApiClient};

pub const NEWEST: &str = "2026-07-28";
pub const OLDEST: &str = "2025-03-26";

/// A message as a client of the newest protocol sends it: everything about it is in it.
pub fn newest(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// A message as a client of the versions before sends it.
#[allow(clippy::needless_pass_by_value)] // as the other one
pub fn older(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// What a tool returned.
#[derive(Debug)]
pub struct Returned {
    pub is_error: bool,
    pub text: String,
    pub structured: Value,
}

impl ApiClient {
    /// A message on its way, with the headers that a client of its protocol version sends.
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
        match message["params"]["name"].as_str() {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }

    /// Sends a message.
    pub async fn mcp(&self, message: Value) -> Answer {
        Answer::to(self.mcp_request(&message).await).await
    }

    /// Calls a tool by the newest protocol.
    pub async fn call_tool(&self, name: &str, arguments: Value) -> Returned {
        let answer = self.mcp(newest("tools/call", json!({ "name": name, "arguments": arguments }))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Returned::of(&answer.json())
    }
}

impl Returned {
    /// The result in a JSON-RPC response; every result has one text.
    #[track_caller]
    pub fn of(response: &Value) -> Self {
        let result = &response["result"];
        let content = result["content"].as_array().unwrap_or_else(|| panic!("no result: {response}"));
        assert_eq!((content.len(), &content[0]["type"]), (1, &json!("text")), "{response}");
        Self {
            is_error: result["isError"].as_bool().unwrap_or_default(),
            text: content[0]["text"].as_str().unwrap().to_owned(),
            structured: result["structuredContent"].clone(),
        }
    }
}
