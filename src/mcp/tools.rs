//! The tools: their names, and what a model is told about them.

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, ToolAnnotations};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;
use serde_json::Value;

use crate::answers::{Accepted, Cancellation, Page, Untrusted, View};
use crate::domain::{ListRequest, ScheduleRequest, Scope};

/// A tool. Its name is that of the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    ScheduleConversation,
    GetConversationStatus,
    CancelConversation,
    ListConversations,
}

impl Tool {
    /// All of them, in the order in which they are listed.
    pub(super) const ALL: [Self; 4] =
        [Self::ScheduleConversation, Self::GetConversationStatus, Self::CancelConversation, Self::ListConversations];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ScheduleConversation => "scheduleConversation",
            Self::GetConversationStatus => "getConversationStatus",
            Self::CancelConversation => "cancelConversation",
            Self::ListConversations => "listConversations",
        }
    }

    /// The tool of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// What a token must allow for it.
    pub(super) const fn scope(self) -> Scope {
        match self {
            Self::ScheduleConversation | Self::CancelConversation => Scope::Write,
            Self::GetConversationStatus | Self::ListConversations => Scope::Read,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::ScheduleConversation => "Schedule a conversation",
            Self::GetConversationStatus => "Look at a conversation",
            Self::CancelConversation => "Cancel a conversation",
            Self::ListConversations => "List conversations",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::ScheduleConversation => {
                "Schedules a text for delivery to an HTTP endpoint at a time. Returns the conversationId as text; the \
                 structured content has the time as it was understood, in UTC, and how many seconds are left. Tell the \
                 person that time, in their time zone. Calling it twice schedules twice."
            }
            Self::GetConversationStatus => {
                "Returns the status of a conversation as text: Scheduled, InProgress, Completed, Failed or Cancelled. The \
                 structured content has the whole record with every attempt. InProgress also means that an attempt failed \
                 and the next one waits for nextAttemptTime."
            }
            Self::CancelConversation => {
                "Withdraws a conversation that has not been delivered. Returns true as text once it is certain that no \
                 attempt will begin, also when it was cancelled before; false when it is too late, with the reason in the \
                 structured content."
            }
            Self::ListConversations => {
                "Lists the conversations of this client, newest first. Returns a line for each as text: conversationId, \
                 status and time in UTC."
            }
        }
    }

    fn annotations(self) -> ToolAnnotations {
        let annotations = ToolAnnotations::with_title(self.title());
        match self {
            // A third party hears of it, at the time.
            Self::ScheduleConversation => {
                annotations.read_only(false).destructive(false).idempotent(false).open_world(true)
            }
            Self::CancelConversation => {
                annotations.read_only(false).destructive(true).idempotent(true).open_world(false)
            }
            Self::GetConversationStatus | Self::ListConversations => annotations.read_only(true).open_world(false),
        }
    }

    /// What is told about it.
    pub(super) fn describe(self) -> rmcp::model::Tool {
        static DESCRIBED: LazyLock<[rmcp::model::Tool; 4]> = LazyLock::new(|| Tool::ALL.map(Tool::make));
        let [schedule, status, cancel, list] = &*DESCRIBED;
        match self {
            Self::ScheduleConversation => schedule,
            Self::GetConversationStatus => status,
            Self::CancelConversation => cancel,
            Self::ListConversations => list,
        }
        .clone()
    }

    fn make(self) -> rmcp::model::Tool {
        let (input, output) = match self {
            Self::ScheduleConversation => (schema::<ScheduleRequest>(without_null), schema::<Accepted>(or_null)),
            Self::GetConversationStatus => {
                (schema::<ConversationRequest>(without_null), schema::<View<'_, Untrusted>>(or_null))
            }
            Self::CancelConversation => (schema::<ConversationRequest>(without_null), schema::<Cancellation>(or_null)),
            Self::ListConversations => (schema::<ListRequest>(without_null), schema::<Page<'_>>(or_null)),
        };
        rmcp::model::Tool::new(self.name(), self.description(), input)
            .with_title(self.title())
            .with_annotations(self.annotations())
            .with_raw_output_schema(output)
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
