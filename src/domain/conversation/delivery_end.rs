//! The end of a delivery, and the conversation that tells of it.

use super::{Conversation, WholeConversation};
use crate::domain::{ConversationId, State, Timestamp};

/// How a delivery ended: that of a conversation, or of one of its occurrences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryEnd<'a> {
    /// The number of the occurrence, if the conversation recurs.
    pub occurrence: Option<u32>,
    /// The time at which it was due.
    pub due: Timestamp,
    /// The time at which it ended.
    pub ended: Timestamp,
    /// The number of its attempts.
    pub attempts: u32,
    /// The reason why it failed. `None` if its endpoint accepted it.
    pub failure: Option<&'a str>,
}

impl Conversation {
    /// How the delivery has ended that was under way before a transition. `occurrence` is the number that its occurrence
    /// had, if the conversation recurs. `None` if the delivery goes on, or was cancelled.
    #[must_use]
    pub fn delivery_end(&self, occurrence: Option<u32>) -> Option<DeliveryEnd<'_>> {
        let failure = match &self.state {
            State::Cancelled => return None,
            State::Failed { reason } => Some(reason.as_str()),
            _ => None,
        };
        let Some(series) = self.series() else {
            let (due, attempts) = (self.due, self.attempts_begun());
            return self.ended().map(|ended| DeliveryEnd { occurrence: None, due, ended, attempts, failure });
        };
        // While an occurrence is redelivered, the record of its first end is still there.
        let is_over = self.status().is_final() || occurrence != Some(series.number);
        let over = series.history.last().filter(|over| is_over && occurrence == Some(over.number))?;
        let failure = over.failure.as_deref();
        Some(DeliveryEnd { occurrence, due: over.due, ended: over.ended, attempts: over.attempts, failure })
    }

    /// The conversation whose delivery this one tells of.
    #[must_use]
    pub const fn callback_of(&self) -> Option<ConversationId> {
        self.callback_of
    }
}

impl WholeConversation {
    /// The same as a callback: it tells how a delivery of another conversation ended.
    #[must_use]
    pub fn as_callback_of(self, id: ConversationId) -> Self {
        let Self { conversation, payload } = self;
        Self { conversation: Conversation { callback_of: Some(id), ..conversation }, payload }
    }
}
