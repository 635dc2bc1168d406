//! The copy of a conversation that is due at once.

use super::WholeConversation;
use crate::domain::{ConversationId, DueTime, NewConversation, Timestamp};

impl WholeConversation {
    /// A new conversation that is due now and sends the same to the same receiver. It does not recur.
    #[must_use]
    pub fn again(self, id: ConversationId, now: Timestamp) -> Self {
        let Self { conversation, payload } = self;
        let new = NewConversation {
            due: DueTime::at(now),
            payload,
            format: conversation.format,
            destination: conversation.destination,
            policy: conversation.policy,
            labels: conversation.labels,
            thread_id: conversation.thread_id,
            expire_after: conversation.expiry.map(|expiry| expiry.after),
            recurrence: None,
            paused: false,
        };
        Self::new(id, conversation.client, new, now)
    }
}
