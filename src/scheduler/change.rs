//! The loop of read, transition and commit that all changes by a client use.

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp};
use crate::store::StoreError;

/// The result of a transition.
pub(super) enum Transition {
    /// The next state, which is to be committed.
    Next(Conversation),
    /// The conversation is already in the wanted state, so there is nothing to commit.
    Unchanged(Conversation),
}

impl Scheduler {
    /// The largest number of tries while other requests change the conversation first.
    pub(super) const MAX_TRIES: u32 = 5;

    /// Changes a conversation of a client by a transition, and sees to its wake-up. The
    /// transition runs again on a fresh read if another request changed the conversation first, or if the result of the
    /// commit is unknown.
    ///
    /// # Errors
    /// [`SchedulerError::NotFound`], [`SchedulerError::Busy`], [`SchedulerError::Unavailable`],
    /// [`SchedulerError::Internal`], or the transition's error.
    pub(super) async fn change(
        &self,
        client: &ClientId,
        id: ConversationId,
        mut transition: impl FnMut(Conversation, Timestamp) -> Result<Transition, SchedulerError>,
    ) -> Result<Conversation, SchedulerError> {
        let mut last = StoreError::Conflict;
        for _ in 0..Self::MAX_TRIES {
            let read = self.store.get(client, id).await?.ok_or(SchedulerError::NotFound)?;
            self.store.tell_time(&*self.clock).await?;
            let now = self.clock.now();
            let next = match transition(read.value, now)? {
                Transition::Next(next) => next,
                Transition::Unchanged(conversation) => return Ok(conversation),
            };
            match self.store.replace(read.revision, &next).await {
                Ok(_) => {
                    self.wake_next(&next).await;
                    return Ok(next);
                }
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }
}
