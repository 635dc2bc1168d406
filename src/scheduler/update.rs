//! The use case of `updateConversation`.

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp, Update, WholeConversation};
use crate::store::{StoreError, Versioned};

/// A conversation with the tag of its state.
#[derive(Clone, Debug)]
pub struct Found {
    /// The conversation.
    pub whole: WholeConversation,
    /// Identifies this state of the conversation (RFC 9110 §8.8.3), without quotation marks. Every change makes another one.
    pub entity_tag: String,
}

impl Scheduler {
    /// Changes what a client has scheduled. `update` computes the change from the conversation as it is, and runs again if
    /// another request changed it meanwhile. `is_expected` says whether the client wants to change the state with this tag.
    ///
    /// # Errors
    /// [`SchedulerError::NotFound`], [`SchedulerError::OtherState`], [`SchedulerError::UpdateRefused`],
    /// [`SchedulerError::Busy`], the error of `update`, or as [`Scheduler::schedule`] if the client may not have what is added.
    pub async fn update<E: From<SchedulerError>>(
        &self,
        client: &ClientId,
        id: ConversationId,
        is_expected: impl Fn(&str) -> bool,
        update: impl Fn(&WholeConversation, Timestamp) -> Result<Update, E>,
    ) -> Result<Found, E> {
        let (mut last, mut tried) = (StoreError::Conflict, None);
        for _ in 0..Self::MAX_TRIES {
            let (read, whole) = self.read_whole(client, id).await?;
            if tried.as_ref() == Some(&whole) {
                // The commit with the unknown result was applied.
                return Ok(Found { whole, entity_tag: read.revision.entity_tag() });
            }
            if !is_expected(&read.revision.entity_tag()) {
                return Err(SchedulerError::OtherState.into());
            }
            self.store.tell_time(&*self.clock).await.map_err(SchedulerError::from)?;
            let now = self.clock.now();
            let change = update(&whole, now)?;
            let keeps_payload = whole.payload == change.new.payload;
            let status = whole.conversation.status();
            let refused = |reason| SchedulerError::UpdateRefused { status, reason };
            let next = whole.clone().update(change, now).map_err(refused)?;
            let _admitted = self.admit(Some(&whole), &next).await?;
            let replaced = if keeps_payload {
                self.store.replace(read.revision, &next.conversation).await
            } else {
                self.store.replace_whole(read.revision, &next).await
            };
            match replaced {
                Ok(revision) => {
                    self.wake_next(&next.conversation).await;
                    return Ok(Found { whole: next, entity_tag: revision.entity_tag() });
                }
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(SchedulerError::from(error).into()),
            }
            tried = Some(next);
        }
        Err(SchedulerError::from(last).into())
    }

    /// Reads a conversation of a client, with its payload and the tag of its state.
    ///
    /// # Errors
    /// [`SchedulerError::NotFound`], [`SchedulerError::Unavailable`] or [`SchedulerError::Internal`].
    pub async fn get(&self, client: &ClientId, id: ConversationId) -> Result<Found, SchedulerError> {
        self.found(self.read(client, id).await?).await
    }

    /// The same without its payload, which is another read.
    ///
    /// # Errors
    /// As [`Scheduler::get`].
    pub async fn conversation(&self, client: &ClientId, id: ConversationId) -> Result<Conversation, SchedulerError> {
        Ok(self.read(client, id).await?.value)
    }

    /// A conversation that was read, with its payload.
    pub(super) async fn found(&self, read: Versioned<Conversation>) -> Result<Found, SchedulerError> {
        let (payload, entity_tag) = (self.store.payload(&read).await?, read.revision.entity_tag());
        Ok(Found { whole: WholeConversation { conversation: read.value, payload }, entity_tag })
    }
}
