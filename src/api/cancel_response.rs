//! The response of `cancelConversation`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{ConversationId, Status, TooLate};
use crate::json::text;
use crate::scheduler::Cancelled;

/// The result of a cancellation.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelResponse {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    cancelled: bool,
    /// The status of the conversation, if it was too late to cancel it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text::optional::serialize")]
    #[schemars(with = "Option<String>")]
    status: Option<Status>,
    /// The reason, if it was too late to cancel the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What else is to be known. Tell the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notes: Option<[&'static str; 1]>,
}

const AFTER_ATTEMPT: &str = "An attempt is under way and cannot be stopped. After it, nothing more is sent: no further \
                             attempt and no later occurrence.";

impl CancelResponse {
    pub(crate) fn new(conversation_id: ConversationId, cancelled: Cancelled) -> Self {
        let notes = match cancelled {
            Cancelled::Now => None,
            Cancelled::AfterAttempt => Some([AFTER_ATTEMPT]),
        };
        Self { conversation_id, cancelled: true, status: None, reason: None, notes }
    }

    /// For MCP, where this is a result and not an error.
    pub(crate) fn too_late(conversation_id: ConversationId, status: Status, reason: TooLate) -> Self {
        let reason = Some(format!("The conversation {reason}."));
        Self { conversation_id, cancelled: false, status: Some(status), reason, notes: None }
    }
}
