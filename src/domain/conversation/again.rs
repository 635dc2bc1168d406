//! The copy of a conversation that is due at once.

use super::{Conversation, WholeConversation};
use crate::domain::{ConversationId, DueTime, Named, NewConversation, ScheduledBy, Timestamp};

impl WholeConversation {
    /// A new conversation that is due now and sends the same to the same receiver. It does not recur.
    /// It is sent under the same name, which still leads to the other one. `by` is the request that asks for it.
    #[must_use]
    pub fn again(self, id: ConversationId, now: Timestamp, by: ScheduledBy) -> Self {
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
            by,
        };
        let Self { conversation: copy, payload } = Self::new(id, conversation.client, new, now);
        let named = conversation.named.map(|named| Named { definition: None, ..named });
        Self { conversation: Conversation { named, callback_of: conversation.callback_of, ..copy }, payload }
    }
}
