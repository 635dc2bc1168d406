//! What responses say of callbacks.

use schemars::JsonSchema;
use serde::Serialize;

use super::UserContent;
use super::responses::ShownEndpoints;
use crate::domain::{Callback, Conversation, WholeConversation};

/// The callbacks of a conversation, and the conversation that it is a callback of.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "F: UserContent<'a>")]
#[schemars(rename = "CallbacksResponse", bound = "F: UserContent<'a>")]
pub(super) struct CallbacksResponse<'a, F: UserContent<'a>> {
    /// Who is told when the conversation has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failed: Option<CallbackResponse<'a, F>>,
    /// Who is told when the endpoint has accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_completed: Option<CallbackResponse<'a, F>>,
    /// The conversation whose end this one tells of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uuid"))]
    callback_of: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(bound = "F: UserContent<'a>")]
#[schemars(rename = "CallbackResponse", bound = "F: UserContent<'a>")]
struct CallbackResponse<'a, F: UserContent<'a>> {
    endpoint: F::Text,
    headers: F::Object,
}

impl<'a, F: UserContent<'a>> CallbacksResponse<'a, F> {
    pub(super) fn of(whole: &'a WholeConversation, endpoints: ShownEndpoints) -> Self {
        let WholeConversation { conversation, payload } = whole;
        let shown = |callback| CallbackResponse::new(callback, endpoints);
        Self {
            on_failed: payload.callbacks.on_failed.as_ref().map(shown),
            on_completed: payload.callbacks.on_completed.as_ref().map(shown),
            callback_of: callback_of(conversation),
        }
    }
}

impl<'a, F: UserContent<'a>> CallbackResponse<'a, F> {
    fn new(Callback { endpoint, headers }: &'a Callback, endpoints: ShownEndpoints) -> Self {
        Self { endpoint: F::text(endpoints.of(endpoint)), headers: F::headers(headers) }
    }
}

pub(super) fn callback_of(conversation: &Conversation) -> Option<String> {
    conversation.callback_of().map(|id| id.to_string())
}
