//! The use case of `redeliverConversation`.

use super::update::Transition;
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId};

impl Scheduler {
    /// Starts another delivery of a failed conversation, with as many attempts as the first one.
    ///
    /// # Errors
    /// [`SchedulerError::NotFailed`] in every other state.
    pub async fn redeliver(&self, client: &ClientId, id: ConversationId) -> Result<Conversation, SchedulerError> {
        let mut wanted = None;
        let redelivered = self.update(client, id, |conversation, now| {
            // The wanted generation is there: an earlier try with a lost result was applied, or another request
            // redelivered the conversation.
            if wanted == Some(conversation.generation()) {
                return Ok(Transition::Unchanged(conversation));
            }
            let next = conversation.redeliver(now).map_err(SchedulerError::NotFailed)?;
            wanted = Some(next.generation());
            Ok(Transition::Next(next))
        });
        redelivered.await
    }
}
