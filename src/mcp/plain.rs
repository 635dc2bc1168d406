//! The calls of tools as every client sends them, answered without rmcp.
//!
//! rmcp starts two tasks for a message and reads it several times: more than twice the work of the whole REST
//! call (`docs/performance.md`). Here a call is recognised that leaves nothing to decide, which is that of all
//! known clients. Whatever differs in anything is rmcp's to judge, and both must give the same answer.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use rmcp::model::{CallToolRequestMethod, ClientCapabilities, ConstString as _, ProtocolVersion, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::actions::ToolResult;
use super::call::{Message, Params};
use crate::domain::Object;

static VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static METHOD: HeaderName = HeaderName::from_static("mcp-method");
static NAME: HeaderName = HeaderName::from_static("mcp-name");

/// A call that is answered here.
pub(super) struct Plain {
    id: RequestId,
    version: ProtocolVersion,
}

impl Plain {
    /// Recognises a call of a tool.
    pub(super) fn recognise(headers: &HeaderMap, message: &Message<'_>, hosts: &[String]) -> Option<Self> {
        let params = message.params.as_ref()?;
        let plain = message.jsonrpc?.get() == r#""2.0""#
            && params.arguments.is_none_or(|arguments| arguments.get().starts_with('{'))
            && params.input_responses.or(params.request_state).is_none()
            && only(headers, &CONTENT_TYPE) == Some("application/json")
            && accepts_both(only(headers, &ACCEPT)?)
            && !headers.contains_key(ORIGIN)
            && is_ours(only(headers, &HOST)?, hosts);
        if !plain {
            return None;
        }
        let id = serde_json::from_str(message.id?.get()).ok()?;
        Some(Self { id, version: version(headers, params)? })
    }

    /// The response to it.
    pub(super) fn response(&self, result: ToolResult) -> serde_json::Result<Response<Bytes>> {
        let text = result.text.len();
        let result = JsonRpcResult {
            result_type: (self.version >= ProtocolVersion::V_2026_07_28).then_some("complete"),
            is_error: result.structured.is_none(),
            content: [Content { r#type: "text", text: result.text }],
            structured_content: result.structured,
        };
        let structured = result.structured_content.as_ref().map_or(0, |structured| structured.get().len());
        let mut body = Vec::with_capacity(structured + text + 256);
        serde_json::to_writer(&mut body, &JsonRpcResponse { jsonrpc: "2.0", id: &self.id, result })?;
        let mut response = Response::new(body.into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

#[derive(Serialize)]
struct JsonRpcResponse<'a> {
    jsonrpc: &'static str,
    id: &'a RequestId,
    result: JsonRpcResult,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonRpcResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    content: [Content; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Box<RawValue>>,
    is_error: bool,
}

#[derive(Serialize)]
struct Content {
    r#type: &'static str,
    text: String,
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Whether a client takes JSON and events, and says so without weights.
fn accepts_both(accept: &str) -> bool {
    let names = |wanted: &str| accept.split(',').any(|kind| kind.trim() == wanted);
    names("application/json") && names("text/event-stream")
}

/// Whether a client calls us by a name of ours. One without a port is good for every port.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    Authority::try_from(host)
        .is_ok_and(|authority| hosts.iter().any(|ours| ours == authority.as_str() || ours == authority.host()))
}

/// What every message says about its sender since 2026-07-28.
#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Option<&'a RawValue>,
}

/// The protocol version of a message whose headers and metadata are as that version wants them.
fn version(headers: &HeaderMap, params: &Params<'_>) -> Option<ProtocolVersion> {
    let meta = params.meta.map(|meta| serde_json::from_str(meta.get())).transpose().ok()?;
    let Object(Meta { protocol_version, client_capabilities }) = meta.unwrap_or_default();
    let version = match only(headers, &VERSION) {
        Some("2026-07-28") => ProtocolVersion::V_2026_07_28,
        Some("2025-11-25") => ProtocolVersion::V_2025_11_25,
        Some("2025-06-18") => ProtocolVersion::V_2025_06_18,
        Some("2025-03-26") => ProtocolVersion::V_2025_03_26,
        None if !headers.contains_key(&VERSION) => ProtocolVersion::V_2025_03_26,
        _ => return None,
    };
    if version < ProtocolVersion::V_2026_07_28 {
        return protocol_version.is_none().then_some(version);
    }
    let complete = protocol_version? == version.as_str()
        && serde_json::from_str::<ClientCapabilities>(client_capabilities?.get()).is_ok()
        && only(headers, &METHOD) == Some(CallToolRequestMethod::VALUE)
        && only(headers, &NAME) == Some(&params.name);
    complete.then_some(version)
}
