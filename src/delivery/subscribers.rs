//! Finds the subscriptions that want an event.

use std::sync::Arc;

use crate::domain::{Conversation, EventName, EventsText};
use crate::store::{StoreError, StoredSubscription, SubscriptionStore};
use crate::time::Clock;

/// The subscriptions of all clients, for those who send events.
#[derive(Clone)]
pub struct Subscribers {
    pub(super) store: SubscriptionStore,
    /// Subscribers compare the end of a subscription with their own clocks, so nobody turns this one.
    pub(super) calendar: Arc<dyn Clock>,
    pub(super) text: EventsText,
}

impl Subscribers {
    /// The subscriptions in a store.
    pub fn new(store: SubscriptionStore, calendar: Arc<dyn Clock>, text: EventsText) -> Self {
        Self { store, calendar, text }
    }

    /// The live subscriptions to this event of a conversation.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn wanting(
        &self,
        event: EventName,
        conversation: &Conversation,
    ) -> Result<Vec<StoredSubscription>, StoreError> {
        self.store.wanting(event, conversation, self.calendar.now()).await
    }
}
