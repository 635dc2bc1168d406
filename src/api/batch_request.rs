//! The request for a batch as callers write it.

use schemars::JsonSchema;

use super::{ErrorDetail, FromObject, ObjectReader, Parsed, Problem, ScheduleRequest, Synonyms};

/// Conversations to schedule.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// The conversations, 1 to 100. Each has the fields of scheduleConversation. Results come in the same order.
    #[schemars(required, with = "Vec<ScheduleRequest>", length(min = 1, max = BatchRequest::MAX))]
    conversations: Option<Vec<BatchItem>>,
}

/// A conversation of a batch that was read, or the problem with it. A wrong one does not keep the others from being
/// scheduled.
pub(crate) type BatchItem = Result<Parsed<ScheduleRequest>, Problem>;

impl FromObject for BatchRequest {
    const SYNONYMS: Synonyms =
        &[("conversations", &["batch", "items", "requests", "messages", "schedules", "conversation", "data"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let read = |item: &str| Parsed::from_json(item.as_bytes());
        Self { conversations: object.items("conversations", r#"[{"conversationText": "…"}]"#, Self::MAX, read) }
    }
}

impl BatchRequest {
    /// The most conversations of one batch.
    pub(crate) const MAX: usize = 100;

    /// The conversations of the batch.
    ///
    /// # Errors
    /// The conversations are missing.
    pub(crate) fn validate(self) -> Result<Vec<BatchItem>, Vec<ErrorDetail>> {
        let missing = || {
            let detail = format!("is required: an array of 1 to {} conversations to schedule", Self::MAX);
            vec![ErrorDetail { pointer: "/conversations".to_owned(), detail }]
        };
        self.conversations.ok_or_else(missing)
    }
}
