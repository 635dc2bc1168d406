//! The use case of `scheduleConversation`.

use std::time::Duration;

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, NewConversation, WholeConversation};
use crate::store::WakeUp;
use crate::time::random;

/// A wake-up with at most this delay is enqueued after the commit, because a worker that receives it before the row
/// exists drops it.
const SOON: Duration = Duration::from_secs(5);

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
        let delay = self.clock.latest().until(new.conversation.due());
        let wake_up = WakeUp::of(&new.conversation);
        if delay > self.wake_ups.horizon() {
            self.store.insert(&new, None).await?;
        } else if delay > SOON {
            let insert = self.store.insert(&new, Some(now));
            let (inserted, ()) = tokio::join!(insert, self.enqueue(&wake_up, delay));
            inserted?;
        } else {
            self.store.insert(&new, Some(now)).await?;
            self.enqueue(&wake_up, delay).await;
        }
        Ok(new.conversation)
    }
}
