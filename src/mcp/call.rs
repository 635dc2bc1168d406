//! Who sent a message, and what it calls.

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
struct Message<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Caller {
    /// Reads what a message calls, and makes sure that its sender may. A member that is there twice is an error, so that rmcp cannot take
    /// the message for another one.
    pub(super) fn read(principal: Principal, body: &[u8]) -> Result<Self, Problem> {
        let wrong = |detail: &str| Problem::mcp_transport(StatusCode::BAD_REQUEST, detail);
        let Object(message): Object<Message<'_>> = serde_json::from_slice(body).map_err(|error| {
            if error.is_data() {
                wrong("The body is not one JSON-RPC message.")
            } else {
                Problem::malformed_json(error)
            }
        })?;
        let call = match (message.method.as_deref(), message.params) {
            (Some("tools/call"), Some(params)) => {
                let Object(Params { name, arguments }) = serde_json::from_str(params.get())
                    .map_err(|_| wrong("The params of tools/call must have one name and at most one arguments."))?;
                let arguments = arguments.map_or("{}", RawValue::get).into();
                let tool = Tool::named(&name);
                tool.map_or(Ok(()), |tool| principal.require(tool.scope()))?;
                tool.map(|tool| Call { tool, arguments })
            }
            _ => None,
        };
        Ok(Self { principal, call })
    }
}
