//! The record of what becomes of a conversation: a change is committed together with its callback, and what follows is woken.
//!
//! Deliveries and the receivers of inboxes end in the same way.

use std::sync::Arc;

use super::callback::news;
use super::{DeliveryOutcome, Subscribers};
use crate::domain::{
    Callback, Callbacks, Conversation, ConversationId, DeliveryEnd, Destination, ErrorClass, Headers, Method, Payload,
    Target, WholeConversation,
};
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
    /// None if nobody can subscribe.
    pub(super) subscribers: Option<Subscribers>,
}

/// The next state of a conversation, with the callbacks if its delivery has ended.
pub(super) struct Change {
    pub(super) next: Conversation,
    /// The callback that the client wants, and the one to the subscriptions.
    callbacks: Vec<WholeConversation>,
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
        let mut news_of = Vec::new();
        if let Some(end) = end {
            let wanted = if end.failure.is_some() { &callbacks.on_failed } else { &callbacks.on_completed };
            let wanted = wanted.clone().map(|Callback { endpoint, headers }| {
                (Destination::Endpoint(Target { endpoint, method: Method::Post }), headers)
            });
            let may_be_event = end.failure.is_some() && next.callback_of().is_none() && self.subscribers.is_some();
            let event = may_be_event.then(|| (Destination::Events, Headers::default()));
            news_of = wanted.into_iter().chain(event).map(|to| news(self.new_id(&next, end), &next, end, to)).collect();
        }
        Change { next, callbacks: news_of, has_failed }
    }

    fn new_id(&self, of: &Conversation, end: DeliveryEnd<'_>) -> ConversationId {
        ConversationId::new(end.ended, &random(&*self.entropy)).in_partition(of.id().partition())
    }

    /// Whether somebody has subscribed to the event of a callback. If that cannot be read, the callback is written and finds
    /// out itself.
    async fn is_wanted(&self, callback: &WholeConversation) -> bool {
        let (Destination::Events, Some(all)) = (callback.conversation.destination(), &self.subscribers) else {
            return true;
        };
        match all.wanting(callback.conversation.event(), &callback.conversation).await {
            Ok(wanting) => !wanting.is_empty(),
            Err(error) => {
                tracing::warn!(%error, "the subscriptions cannot be read");
                true
            }
        }
    }

    /// Commits a change: the end of a delivery and its callbacks appear together.
    pub(super) async fn commit(&self, read: Revision, change: &mut Change) -> Result<(), StoreError> {
        let Change { next, callbacks, has_failed } = change;
        // The one to the subscriptions is the last one.
        if let Some(last) = callbacks.last()
            && !self.is_wanted(last).await
        {
            callbacks.pop();
        }
        self.store.replace_and_insert(read, next, callbacks).await?;
        if let Some(has_failed) = *has_failed {
            metrics::record(|metrics| metrics.delivery(has_failed));
        }
        Ok(())
    }

    /// Sees to it that a worker looks at the conversation when its next attempt is due, and at the callbacks.
    pub(super) async fn wake_after(&self, change: &Change) {
        let callbacks = change.callbacks.iter().map(|callback| &callback.conversation);
        for conversation in std::iter::once(&change.next).chain(callbacks) {
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
        let mut change = self.change(next, occurrence, &callbacks);
        self.commit(read, &mut change).await?;
        self.wake_after(&change).await;
        Ok(change.next)
    }

    pub(super) fn jitter(&self) -> u32 {
        u32::from_be_bytes(random(&*self.entropy))
    }
}
