//! The record of what becomes of a conversation: a change is committed together with its callback, and what follows is woken.
//!
//! Deliveries and the receivers of inboxes end in the same way.

use std::sync::Arc;

use super::DeliveryOutcome;
use super::callback::news;
use crate::domain::{Callbacks, Conversation, ConversationId, ErrorClass, Payload, WholeConversation};
use crate::metrics;
use crate::store::{ConversationStore, Revision, StoreError, Waker};
use crate::time::{Clock, Entropy, random};

/// Commits the changes of conversations.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) store: ConversationStore,
    pub(super) waker: Arc<dyn Waker>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// The next state of a conversation, with the callback if its delivery has ended.
pub(super) struct Change {
    pub(super) next: Conversation,
    pub(super) callback: Option<WholeConversation>,
    /// Whether the delivery has failed. None if it goes on.
    has_failed: Option<bool>,
}

impl Recorder {
    /// Reads the payload. A payload that is lost ends the attempt, so that the conversation becomes Failed and its client
    /// learns the reason: no later try would find it.
    pub(super) async fn payload(
        &self,
        of: &Conversation,
        revision: &Revision,
    ) -> Result<Result<Payload, ErrorClass>, StoreError> {
        match self.store.payload_at(of, revision).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "the payload is lost");
                Ok(Err(ErrorClass::PayloadLost))
            }
            result => result.map(Ok),
        }
    }

    /// The change that a transition has led to. `occurrence` is the number of the occurrence before it.
    pub(super) fn change(&self, next: Conversation, occurrence: Option<u32>, callbacks: &Callbacks) -> Change {
        let end = next.delivery_end(occurrence);
        let has_failed = end.map(|end| end.failure.is_some());
        let callback = end.and_then(|end| {
            let wanted = if end.failure.is_some() { &callbacks.on_failed } else { &callbacks.on_completed };
            let wanted = wanted.clone()?;
            let id = ConversationId::new(end.ended, &random(&*self.entropy)).in_partition(next.id().partition());
            Some(news(id, &next, end, wanted))
        });
        Change { next, callback, has_failed }
    }

    /// Commits a change: the end of a delivery and its callback appear together.
    pub(super) async fn commit(&self, read: Revision, change: &Change) -> Result<(), StoreError> {
        let Change { next, callback, has_failed } = change;
        match callback {
            None => self.store.replace(read, next).await?,
            Some(callback) => self.store.replace_and_insert(read, next, callback).await?,
        };
        if let Some(has_failed) = *has_failed {
            metrics::record(|metrics| metrics.delivery(has_failed));
        }
        Ok(())
    }

    /// Sees to it that a worker looks at the conversation when its next attempt is due, and at the callback.
    pub(super) async fn wake_after(&self, change: &Change) {
        let callback = change.callback.as_ref().map(|callback| &callback.conversation);
        for conversation in std::iter::once(&change.next).chain(callback) {
            self.wake(conversation).await;
        }
    }

    /// Sees to it that a worker looks at the conversation at its time.
    pub(super) async fn wake(&self, conversation: &Conversation) {
        if let Some(at) = conversation.next_wake_at() {
            self.waker.wake_at(ConversationStore::partition(conversation.id()), at).await;
        }
    }

    /// Stores a conversation that has expired. Nothing is sent, so this needs no permit for a host.
    pub(super) async fn expire(
        &self,
        read: Revision,
        expired: Conversation,
        occurrence: Option<u32>,
    ) -> Result<DeliveryOutcome, StoreError> {
        // A conversation that recurs has a next occurrence.
        let next = self.commit_unsent(read, expired, occurrence).await?;
        tracing::warn!(
            conversation.status = next.status().as_str(),
            "a delivery expired before an attempt could begin"
        );
        Ok(DeliveryOutcome::NothingToDo)
    }

    /// Stores the state after a transition without an attempt, whose payload was not needed, and wakes what follows.
    pub(super) async fn commit_unsent(
        &self,
        read: Revision,
        next: Conversation,
        occurrence: Option<u32>,
    ) -> Result<Conversation, StoreError> {
        let mut callbacks = Callbacks::default();
        if next.delivery_end(occurrence).is_some() {
            // A lost payload has lost the callbacks, too.
            callbacks = self.payload(&next, &read).await?.map(|payload| payload.callbacks).unwrap_or_default();
        }
        let change = self.change(next, occurrence, &callbacks);
        self.commit(read, &change).await?;
        self.wake_after(&change).await;
        Ok(change.next)
    }

    pub(super) fn jitter(&self) -> u32 {
        u32::from_be_bytes(random(&*self.entropy))
    }
}
