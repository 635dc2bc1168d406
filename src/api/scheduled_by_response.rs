//! How a conversation was scheduled, in its record.

use schemars::JsonSchema;
use serde::Serialize;

use super::UserContent;
use crate::domain::{Call, ClientId, Conversation, ScheduledBy};
use crate::json::text;

/// Who scheduled the conversation, and how. Of a conversation that the service itself or an earlier release scheduled, only
/// the client and perhaps the trace are known.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "F: UserContent<'a>")]
#[schemars(rename = "ScheduledBy", bound = "F: UserContent<'a>")]
pub(super) struct ScheduledByResponse<'a, F: UserContent<'a>> {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String")]
    client_id: &'a ClientId,
    /// The operation of the REST API that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    /// The tool that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    // The OAuth client that the token was issued to. A doc comment would replace the description of the type in the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<F::Text>,
    /// The id of the trace that the request belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl<'a, F: UserContent<'a>> ScheduledByResponse<'a, F> {
    pub(super) fn of(conversation: &'a Conversation) -> Self {
        let ScheduledBy { call, program, trace } = conversation.scheduled_by();
        let (operation, tool) = match call {
            Some(Call::Operation(name)) => (Some(&**name), None),
            Some(Call::Tool(name)) => (None, Some(&**name)),
            None => (None, None),
        };
        Self {
            client_id: conversation.client(),
            operation,
            tool,
            program: program.as_ref().map(|program| F::text(program.as_str())),
            trace_id: trace.map(|trace| trace.trace_id().to_string()),
        }
    }
}
