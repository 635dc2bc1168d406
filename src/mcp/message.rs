//! Reads the tool and the arguments of a message before rmcp sees it.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::Span;

use super::events::EventsMethod;
use super::tools::NamedTool;
use crate::api::Problem;
use crate::auth::Principal;
use crate::domain::{Call, Scope};
use crate::json::StrictObject;

/// The sender of a message. It is attached to the message on its way through rmcp.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// The call of a tool; `None` if the message is another one, or names a tool that does not exist.
    pub(super) call: Option<ToolCall>,
    /// The call of a method of the Events extension, with its parameters as the caller wrote them.
    pub(super) events: Option<(EventsMethod, Arc<str>)>,
    /// The task that the message is for.
    pub(super) task: Option<HeaderValue>,
    /// Whether the response says what the server offers.
    pub(super) asks_for_capabilities: bool,
}

/// A call of a tool that the caller may use.
#[derive(Clone, Debug)]
pub(super) struct ToolCall {
    pub(super) tool: Arc<NamedTool>,
    /// The arguments as the caller wrote them. rmcp would drop the first of two fields with the same name.
    pub(super) arguments: Arc<str>,
}

/// The methods that log lines and spans name. A client could invent any other.
const METHODS: [&str; 14] = [
    "tools/call",
    "tools/list",
    READ_RESOURCE,
    "resources/list",
    "resources/templates/list",
    "server/discover",
    "initialize",
    "ping",
    "events/list",
    "events/subscribe",
    "events/unsubscribe",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
];

/// Reads a conversation as a resource.
const READ_RESOURCE: &str = "resources/read";

/// The members of a message that are read here.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// The parameters of the methods of tasks that are read here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskParams<'a> {
    #[serde(borrow)]
    task_id: Cow<'a, str>,
}

/// The parameters of `tools/call` that are read here.
#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Caller {
    /// Reads a message and checks that its sender may use the tool that it calls, or read the resource.
    ///
    /// # Errors
    /// [`Problem`] if the body is not a message, if it has a member twice (rmcp could read it as another message), or
    /// if the token lacks the scope.
    pub(super) fn of(principal: Principal, body: &[u8], tools: &[Arc<NamedTool>]) -> Result<Self, Problem> {
        let transport = |detail: &str| Problem::mcp_transport(StatusCode::BAD_REQUEST, detail);
        let StrictObject(message) = serde_json::from_slice::<StrictObject<Message<'_>>>(body).map_err(|error| {
            if error.is_data() {
                transport("The body is not one JSON-RPC message.")
            } else {
                Problem::malformed_json(body, &error)
            }
        })?;
        if let Some(method) = METHODS.iter().find(|known| message.method.as_deref() == Some(**known)) {
            Span::current().record("mcp.method.name", method);
        }
        let method = message.method.as_deref().unwrap_or_default();
        let asks_for_capabilities = matches!(method, "initialize" | "server/discover");
        let is_for_a_task = method.starts_with("tasks/");
        if method == READ_RESOURCE || is_for_a_task {
            principal.require(Scope::Read)?;
        }
        let events = EventsMethod::named(method);
        if let Some(events) = events {
            events.authorize(&principal)?;
        }
        let events = events.map(|method| (method, message.params.map_or("{}", RawValue::get).into()));
        let task = message.params.filter(|_| is_for_a_task);
        let task = task.and_then(|params| serde_json::from_str::<TaskParams<'_>>(params.get()).ok());
        let task = task.and_then(|params| HeaderValue::from_str(&params.task_id).ok());
        let other = Self { principal, call: None, events, task, asks_for_capabilities };
        let ("tools/call", Some(params)) = (method, message.params) else { return Ok(other) };
        let StrictObject(params) = serde_json::from_str::<StrictObject<CallParams<'_>>>(params.get())
            .map_err(|_| transport("The params of tools/call must have a name, and no member twice."))?;
        let Some(tool) = tools.iter().find(|tool| tool.name == params.name) else {
            return Ok(other);
        };
        other.principal.require(tool.scope)?;
        let arguments = params.arguments.map_or("{}", RawValue::get).into();
        Span::current().record("gen_ai.tool.name", tool.name);
        let principal = other.principal.calling(Call::Tool(tool.name.into()));
        Ok(Self { principal, call: Some(ToolCall { tool: Arc::clone(tool), arguments }), ..other })
    }
}
