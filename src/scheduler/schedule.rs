//! The use case of `scheduleConversation`.

use super::{Scheduler, SchedulerError};
use crate::domain::{
    ClientId, Conversation, ConversationId, IdempotentRequest, NewConversation, Timestamp, WholeConversation,
};
use crate::metrics::{self, Metrics};
use crate::store::Repetition;
use crate::time::random;

impl Scheduler {
    /// Accepts a conversation. After `Ok` the conversation is durable: it will be attempted, fail or be cancelled, even
    /// if this process stops.
    ///
    /// # Errors
    /// [`SchedulerError::HostNotApproved`], [`SchedulerError::BudgetExceeded`], [`SchedulerError::QuotaExceeded`],
    /// [`SchedulerError::Unavailable`] or [`SchedulerError::Internal`].
    pub async fn schedule(&self, client: &ClientId, new: NewConversation) -> Result<Conversation, SchedulerError> {
        self.store.tell_time(&*self.clock).await?;
        let now = self.clock.now();
        let id = self.new_id(now, self.placement.next());
        self.insert(WholeConversation::new(id, client.clone(), new, now)).await
    }

    /// Accepts a conversation, unless an earlier request with the same key has scheduled one. Then that conversation is
    /// returned as it was accepted. After an error the client can repeat the request with the same key.
    ///
    /// # Errors
    /// As [`Scheduler::schedule`], [`SchedulerError::KeyOfOtherRequest`], [`SchedulerError::ConversationGone`] or
    /// [`SchedulerError::Busy`].
    pub async fn schedule_once(
        &self,
        client: &ClientId,
        new: NewConversation,
        request: &IdempotentRequest,
    ) -> Result<Conversation, SchedulerError> {
        self.store.tell_time(&*self.clock).await?;
        let now = self.clock.now();
        let id = self.new_id(now, request.key.partition());
        self.insert_once(WholeConversation::new(id, client.clone(), new, now), request).await
    }

    /// The conversation that an earlier request with the same key has scheduled, as it was accepted.
    ///
    /// # Errors
    /// As [`Scheduler::schedule_once`].
    pub async fn scheduled_before(
        &self,
        client: &ClientId,
        request: &IdempotentRequest,
    ) -> Result<Option<Conversation>, SchedulerError> {
        self.store.tell_time(&*self.clock).await?;
        match self.store.find_repetition(client, request, self.clock.now()).await? {
            None => Ok(None),
            Some(repetition) => self.repeated(repetition).await.map(Some),
        }
    }

    pub(super) fn new_id(&self, now: Timestamp, partition: u8) -> ConversationId {
        ConversationId::new(now, &random(&*self.entropy)).in_partition(partition)
    }

    pub(super) async fn insert(&self, new: WholeConversation) -> Result<Conversation, SchedulerError> {
        let _admitted = self.admit(None, &new).await?;
        self.store.insert(&new).await?;
        metrics::record(Metrics::scheduled);
        self.wake_next(&new.conversation).await;
        Ok(new.conversation)
    }

    pub(super) async fn insert_once(
        &self,
        new: WholeConversation,
        request: &IdempotentRequest,
    ) -> Result<Conversation, SchedulerError> {
        let client = new.conversation.client();
        let _admitted = match self.admit(None, &new).await {
            Ok(admitted) => admitted,
            // The repetition of a request that was accepted needs no room.
            Err(refused) => return self.scheduled_before(client, request).await?.ok_or(refused),
        };
        match self.store.insert_once(&new, request).await? {
            None => {
                metrics::record(Metrics::scheduled);
                self.wake_next(&new.conversation).await;
                Ok(new.conversation)
            }
            Some(repetition) => self.repeated(repetition).await,
        }
    }

    async fn repeated(&self, repetition: Repetition) -> Result<Conversation, SchedulerError> {
        match repetition {
            Repetition::Same { conversation, due } => {
                // The first request may have ended with its process, before the wake-up was enqueued.
                self.wake_next(&conversation).await;
                Ok(conversation.as_accepted(due))
            }
            Repetition::Other => Err(SchedulerError::KeyOfOtherRequest),
            Repetition::Gone => Err(SchedulerError::ConversationGone),
        }
    }
}
