//! The use case of `cancelConversation`.

use super::update::Transition;
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, ConversationId, TooLate};

impl Scheduler {
    /// Cancels a conversation. After `Ok` no attempt begins. A second call also returns `Ok`.
    ///
    /// # Errors
    /// [`SchedulerError::TooLate`] while an attempt is under way, and if the conversation is completed or failed.
    pub async fn cancel(&self, client: &ClientId, id: ConversationId) -> Result<(), SchedulerError> {
        let cancelled = self.update(client, id, |conversation, now| {
            let status = conversation.status();
            // If the clock was set forward, the lease of an attempt under way looks as if it were over.
            if let (Some(until), true) = (conversation.next_wake_at(), self.live.contains(id))
                && conversation.in_flight().is_some()
            {
                return Err(SchedulerError::TooLate { status, reason: TooLate::Delivering { until } });
            }
            match conversation.clone().cancel(now) {
                Ok(cancelled) => Ok(Transition::Next(cancelled)),
                Err(TooLate::Already) => Ok(Transition::Unchanged(conversation)),
                Err(reason) => Err(SchedulerError::TooLate { status, reason }),
            }
        });
        cancelled.await.map(drop)
    }
}
