//! The use case of `cancelConversation`.

use super::change::Transition;
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, Status, TooLate};

/// What a cancellation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// No attempt begins any more.
    Now,
    /// An attempt of a conversation that recurs is under way. No other one follows.
    AfterAttempt,
}

impl Scheduler {
    /// Cancels a conversation. After `Ok` no attempt begins. A second call also returns `Ok`.
    ///
    /// # Errors
    /// [`SchedulerError::TooLate`] while the attempt of a conversation that does not recur is under way, and if the
    /// conversation is completed or failed.
    pub async fn cancel(&self, client: &ClientId, id: ConversationId) -> Result<Cancelled, SchedulerError> {
        let cancelled = self.change(client, id, |conversation, now| {
            let status = conversation.status();
            // If the clock was set forward, the lease of an attempt under way looks as if it were over.
            let is_live = self.live.contains(id) && conversation.in_flight().is_some();
            let next = match conversation.next_wake_at() {
                Some(until) if is_live => Err(TooLate::Delivering { until }),
                _ => conversation.clone().cancel(now),
            };
            let next = match next {
                Err(TooLate::Delivering { .. }) if conversation.series().is_some() => {
                    conversation.clone().cancel_after_attempt(now)
                }
                next => next,
            };
            match next {
                Ok(cancelled) => Ok(Transition::Next(cancelled)),
                Err(TooLate::Already) => Ok(Transition::Unchanged(conversation)),
                Err(reason) => Err(SchedulerError::TooLate { status, reason }),
            }
        });
        cancelled.await.map(|conversation| Cancelled::of(&conversation))
    }
}

impl Cancelled {
    fn of(conversation: &Conversation) -> Self {
        if conversation.status() == Status::Cancelled { Self::Now } else { Self::AfterAttempt }
    }
}
