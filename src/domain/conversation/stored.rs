//! A conversation as a store restores it.

use super::{Conversation, Series};
use crate::domain::{
    Attempt, ClientId, ConversationId, DeliveryPolicy, Destination, Expiry, Format, Labels, Named, ScheduledBy, State,
    TextExcerpt, ThreadId, Timestamp, ZoneRecord,
};

/// The fields of a conversation. A store builds it from a row, to restore the conversation.
#[derive(Clone, Debug)]
pub struct StoredConversation {
    /// See [`Conversation::id`].
    pub id: ConversationId,
    /// See [`Conversation::client`].
    pub client: ClientId,
    /// See [`Conversation::created`].
    pub created: Timestamp,
    /// See [`Conversation::updated`].
    pub updated: Timestamp,
    /// See [`Conversation::due`].
    pub due: Timestamp,
    /// See [`Conversation::zone`].
    pub zone: Option<ZoneRecord>,
    /// See [`Conversation::generation`].
    pub generation: u32,
    /// See [`Conversation::payload_bytes`].
    pub payload_bytes: usize,
    /// See [`Conversation::stored_bytes`].
    pub stored_bytes: usize,
    /// See [`Conversation::text_excerpt`].
    pub text_excerpt: Option<TextExcerpt>,
    /// See [`Conversation::format`].
    pub format: Format,
    /// See [`Conversation::destination`].
    pub destination: Destination,
    /// See [`Conversation::policy`].
    pub policy: DeliveryPolicy,
    /// See [`Conversation::state`].
    pub state: State,
    /// See [`Conversation::attempts`].
    pub attempts: Vec<Attempt>,
    /// See [`Conversation::attempts_before_redelivery`].
    pub attempts_before_redelivery: u32,
    /// See [`Conversation::labels`].
    pub labels: Labels,
    /// See [`Conversation::thread_id`].
    pub thread_id: Option<ThreadId>,
    /// See [`Conversation::expiry`].
    pub expiry: Option<Expiry>,
    /// See [`Conversation::series`].
    pub series: Option<Series>,
    /// See [`Conversation::named`].
    pub named: Option<Named>,
    /// See [`Conversation::callback_of`].
    pub callback_of: Option<ConversationId>,
    /// See [`Conversation::scheduled_by`].
    pub by: ScheduledBy,
}

#[cfg(test)]
impl Conversation {
    /// The same as a row with or without an excerpt has it.
    #[must_use]
    pub fn with_text_excerpt(self, text_excerpt: Option<TextExcerpt>) -> Self {
        Self { text_excerpt, ..self }
    }
}

impl From<StoredConversation> for Conversation {
    fn from(stored: StoredConversation) -> Self {
        Self {
            id: stored.id,
            client: stored.client,
            created: stored.created,
            updated: stored.updated,
            due: stored.due,
            zone: stored.zone,
            generation: stored.generation,
            payload_bytes: stored.payload_bytes,
            stored_bytes: stored.stored_bytes,
            text_excerpt: stored.text_excerpt,
            format: stored.format,
            destination: stored.destination,
            policy: stored.policy,
            state: stored.state,
            attempts: stored.attempts,
            attempts_before_redelivery: stored.attempts_before_redelivery,
            labels: stored.labels,
            thread_id: stored.thread_id,
            expiry: stored.expiry,
            series: stored.series.map(Box::new),
            named: stored.named,
            callback_of: stored.callback_of,
            by: stored.by,
        }
    }
}
