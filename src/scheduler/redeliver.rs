//! `redeliverConversation`

use super::update::Transition;
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId};

impl Scheduler {
    /// Delivers a failed conversation after all, from now on, with as many attempts as it had before.
    ///
    /// # Errors
    /// [`SchedulerError::NotFailed`] in every other state.
    pub async fn redeliver(&self, client: &ClientId, id: ConversationId) -> Result<Conversation, SchedulerError> {
        let mut wanted = None;
        let redelivered = self.update(client, id, |conversation, now| {
            // An earlier try whose result was not seen was committed after all, or an equal request was.
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
