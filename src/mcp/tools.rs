//! The tools: their names, and what a model is told about them.

use std::sync::Arc;

use rmcp::model::{JsonObject, ToolAnnotations};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::executor::ToolFunction;
use crate::api::{
    CancelResponse, ConversationResponse, ListRequest, ListResponse, ScheduleRequest, ScheduleResponse,
    UntrustedContent,
};
use crate::domain::Scope;

/// An operation as a tool. Its name and the scope that it needs are those of the operation.
#[derive(Clone, Debug)]
pub struct NamedTool {
    /// The operation's name.
    pub name: &'static str,
    /// The scope that a token needs.
    pub scope: Scope,
    /// The tool.
    pub tool: Tool,
}

/// How an operation is offered to language models.
#[derive(Clone, Debug)]
pub struct Tool {
    title: &'static str,
    description: &'static str,
    effect: Effect,
    input: fn() -> Arc<JsonObject>,
    output: fn() -> Arc<JsonObject>,
    pub(super) run: ToolFunction,
}

/// What a call changes, for clients that ask a person before some calls.
#[derive(Clone, Copy, Debug)]
enum Effect {
    /// Nothing.
    Reads,
    /// It adds something, and a third party receives it later.
    Schedules,
    /// It ends something. A second call changes nothing more.
    Cancels,
}

impl Effect {
    fn annotate(self, annotations: ToolAnnotations) -> ToolAnnotations {
        match self {
            Self::Reads => annotations.read_only(true).open_world(false),
            Self::Schedules => annotations.read_only(false).destructive(false).idempotent(false).open_world(true),
            Self::Cancels => annotations.read_only(false).destructive(true).idempotent(true).open_world(false),
        }
    }
}

/// `scheduleConversation`
pub const SCHEDULE_CONVERSATION: Tool = Tool {
    title: "Schedule a conversation",
    description: "Schedules a text for delivery to an HTTP endpoint at a time. Returns the conversationId as text; the \
                  structured content has the time as it was understood, in UTC, and how many seconds are left. Tell the \
                  person that time, in their time zone. Calling it twice schedules twice.",
    effect: Effect::Schedules,
    input: || schema::<ScheduleRequest>(without_null),
    output: || schema::<ScheduleResponse>(or_null),
    run: |executor, principal, arguments| Box::pin(executor.schedule(principal, arguments)),
};

/// `getConversationStatus`
pub const GET_CONVERSATION_STATUS: Tool = Tool {
    title: "Look at a conversation",
    description: "Returns the status of a conversation as text: Scheduled, InProgress, Completed, Failed or Cancelled. The \
                  structured content has the whole record with every attempt. InProgress also means that an attempt failed \
                  and the next one waits for nextAttemptTime.",
    effect: Effect::Reads,
    input: || schema::<ConversationRequest>(without_null),
    output: || schema::<ConversationResponse<'_, UntrustedContent>>(or_null),
    run: |executor, principal, arguments| Box::pin(executor.get_status(principal, arguments)),
};

/// `cancelConversation`
pub const CANCEL_CONVERSATION: Tool = Tool {
    title: "Cancel a conversation",
    description: "Withdraws a conversation that has not been delivered. Returns true as text once it is certain that no \
                  attempt will begin, also when it was cancelled before; false when it is too late, with the reason in the \
                  structured content.",
    effect: Effect::Cancels,
    input: || schema::<ConversationRequest>(without_null),
    output: || schema::<CancelResponse>(or_null),
    run: |executor, principal, arguments| Box::pin(executor.cancel(principal, arguments)),
};

/// `listConversations`
pub const LIST_CONVERSATIONS: Tool = Tool {
    title: "List conversations",
    description: "Lists the conversations of this client, newest first. Returns a line for each as text: conversationId, \
                  status and time in UTC.",
    effect: Effect::Reads,
    input: || schema::<ListRequest>(without_null),
    output: || schema::<ListResponse<'_>>(or_null),
    run: |executor, principal, arguments| Box::pin(executor.list(principal, arguments)),
};

impl NamedTool {
    /// The tool as the protocol describes it.
    pub(super) fn describe(&self) -> rmcp::model::Tool {
        let tool = &self.tool;
        rmcp::model::Tool::new(self.name, tool.description, (tool.input)())
            .with_title(tool.title)
            .with_annotations(tool.effect.annotate(ToolAnnotations::with_title(tool.title)))
            .with_raw_output_schema((tool.output)())
    }
}

/// The argument of the tools that are about one conversation.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConversationRequest {
    /// The conversationId that scheduleConversation returned.
    #[schemars(required, extend("format" = "uuid"))]
    pub(super) conversation_id: Option<String>,
}

/// What a type looks like in JSON, in one piece and without what not every client reads: references,
/// formats of Rust's own, lists of types.
fn schema<T: JsonSchema>(settle: fn(&mut Schema, Value)) -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(|schema: &mut Schema| {
        let known = |format: &str| matches!(format, "uuid" | "uri" | "date-time");
        if schema.get("format").and_then(Value::as_str).is_some_and(|format| !known(format)) {
            schema.remove("format");
        }
        if let Some(one) = beside_null(schema) {
            settle(schema, one);
        }
    })
    .transform(&mut schema);
    Arc::new(schema.to_value().as_object().cloned().unwrap_or_default())
}

/// The type of what may also be null.
fn beside_null(schema: &Schema) -> Option<Value> {
    match schema.get("type")?.as_array().map(Vec::as_slice)? {
        [one, null] if null == "null" => Some(one.clone()),
        _ => None,
    }
}

/// Arguments: `null` is accepted for what is left out, and not offered.
fn without_null(schema: &mut Schema, one: Value) {
    schema.insert("type".to_owned(), one);
}

/// Results: there may be a `null`.
fn or_null(schema: &mut Schema, one: Value) {
    let description = schema.remove("description");
    schema.insert("type".to_owned(), one);
    *schema = json_schema!({ "anyOf": [schema.clone(), { "type": "null" }] });
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}
