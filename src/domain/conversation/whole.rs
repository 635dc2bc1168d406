//! A conversation together with its payload.

use super::{Conversation, Series};
use crate::domain::{
    ClientId, ConversationId, Endpoint, EndpointHost, Expiry, Named, NewConversation, Payload, State, TextExcerpt,
    Timestamp,
};

/// A conversation with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// Its payload.
    pub payload: Payload,
}

impl WholeConversation {
    /// A new conversation in the state [`State::Scheduled`].
    #[must_use]
    pub fn new(id: ConversationId, client: ClientId, new: NewConversation, now: Timestamp) -> Self {
        let NewConversation {
            due,
            payload,
            format,
            destination,
            policy,
            labels,
            thread_id,
            expire_after,
            recurrence,
            paused,
            by,
        } = new;
        let conversation = Conversation {
            id,
            client,
            created: now,
            updated: now,
            due: due.instant(),
            zone: due.zone().cloned(),
            generation: 1,
            payload_bytes: payload.bytes(),
            stored_bytes: payload.stored_bytes(),
            text_excerpt: Some(TextExcerpt::of(&payload.text)),
            format,
            destination,
            policy,
            state: State::Scheduled,
            attempts: Vec::new(),
            attempts_before_redelivery: 0,
            labels,
            thread_id,
            expiry: expire_after.map(|after| Expiry::of(due.instant(), after)),
            series: recurrence.map(|recurrence| Box::new(Series::starting(recurrence, paused))),
            named: None,
            callback_of: None,
            by,
        };
        Self { conversation, payload }
    }

    /// The hosts that it is sent to: that of its endpoint, and those of its callbacks.
    #[must_use]
    pub fn hosts(&self) -> Vec<EndpointHost> {
        let callbacks = &self.payload.callbacks;
        let callbacks = callbacks.on_failed.iter().chain(&callbacks.on_completed).map(|callback| &callback.endpoint);
        let target = self.conversation.destination.target().map(|target| &target.endpoint);
        target.into_iter().chain(callbacks).filter_map(Endpoint::endpoint_host).collect()
    }

    /// The same under a name.
    #[must_use]
    pub fn named(self, named: Named) -> Self {
        let Self { conversation, payload } = self;
        Self { conversation: Conversation { named: Some(named), ..conversation }, payload }
    }
}
