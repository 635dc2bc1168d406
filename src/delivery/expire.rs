//! The end of a conversation that could not be delivered in time.

use super::{Deliverer, DeliveryOutcome};
use crate::domain::Conversation;
use crate::store::{Revision, StoreError};

impl Deliverer {
    /// Stores a conversation that has expired. Nothing is sent, so this needs no permit for a host.
    pub(super) async fn expire(&self, read: Revision, expired: &Conversation) -> Result<DeliveryOutcome, StoreError> {
        self.store.replace(read, expired).await?;
        tracing::warn!(
            conversation.id = %expired.id(), client.id = %expired.client(),
            "conversation failed: it expired before an attempt could begin"
        );
        Ok(DeliveryOutcome::NothingToDo)
    }
}
