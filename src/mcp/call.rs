//! What a message calls, and who sent it.

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::tools::Tool;
use crate::answers::Problem;
use crate::auth::Principal;
use crate::domain::Object;

/// The sender of a message. It travels with the message through rmcp.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// The tool that the message calls, if it calls one that there is.
    pub(super) call: Option<Call>,
}

/// A call of a tool that the caller may use.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tool: Tool,
    /// The arguments as they were written.
    pub(super) arguments: Arc<str>,
}

/// What is read of a message here. The rest is rmcp's.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// A message, as far as it is read here.
pub(super) struct Message<'a> {
    pub(super) jsonrpc: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    /// Of `tools/call`.
    pub(super) params: Option<Params<'a>>,
}

/// The parameters of `tools/call`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    pub(super) meta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input_responses: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) request_state: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// Reads a message. A member that is there twice is an error, so that rmcp cannot take the message
    /// for another one.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Problem> {
        let wrong = |detail: &str| Problem::mcp_transport(StatusCode::BAD_REQUEST, detail);
        let Object(Envelope { jsonrpc, id, method, params }) = serde_json::from_slice(body).map_err(|error| {
            if error.is_data() {
                wrong("The body is not one JSON-RPC message.")
            } else {
                Problem::malformed_json(error)
            }
        })?;
        let params = match (method.as_deref(), params) {
            (Some("tools/call"), Some(params)) => {
                let Object(params) = serde_json::from_str(params.get())
                    .map_err(|_| wrong("The params of tools/call must have one name, and no member twice."))?;
                Some(params)
            }
            _ => None,
        };
        Ok(Self { jsonrpc, id, params })
    }
}

impl Caller {
    /// The sender of a message, who must be allowed what it calls.
    pub(super) fn new(principal: Principal, message: &Message<'_>) -> Result<Self, Problem> {
        let call = match &message.params {
            Some(Params { name, arguments, .. }) => Tool::named(name).map(|tool| (tool, arguments)),
            None => None,
        };
        let Some((tool, arguments)) = call else { return Ok(Self { principal, call: None }) };
        principal.require(tool.scope())?;
        let arguments = arguments.map_or("{}", RawValue::get).into();
        Ok(Self { principal, call: Some(Call { tool, arguments }) })
    }
}
