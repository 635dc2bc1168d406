//! The use case of `scheduleConversation`.

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, NewConversation, WholeConversation};
use crate::time::random;

impl Scheduler {
    /// Accepts a conversation. After `Ok` the conversation is durable: it will be attempted, fail or be cancelled, even
    /// if this process stops.
    ///
    /// # Errors
    /// [`SchedulerError::Unavailable`] or [`SchedulerError::Internal`].
    pub async fn schedule(&self, client: &ClientId, new: NewConversation) -> Result<Conversation, SchedulerError> {
        self.store.tell_time(&*self.clock).await?;
        let now = self.clock.now();
        let id = ConversationId::new(now, &random(&*self.entropy));
        let new = WholeConversation::new(id, client.clone(), new, now);
        self.store.insert(&new).await?;
        self.wake_next(&new.conversation).await;
        Ok(new.conversation)
    }
}
