//! The subscriptions of clients, in the table of clients.

use std::sync::Arc;

use super::{Etag, Operation, Sealer, StoreError, Table, rows};
use crate::domain::{ClientId, Conversation, EventName, Subscriber, Subscription, Timestamp};

/// A subscription as it was read. Its receiver is still encrypted.
#[derive(Clone, Debug)]
pub struct StoredSubscription {
    /// The subscription.
    pub subscription: Subscription,
    sealed: String,
    etag: Etag,
}

/// Reads and changes subscriptions in a [`Table`].
#[derive(Clone)]
pub struct SubscriptionStore {
    table: Arc<dyn Table>,
    sealer: Arc<Sealer>,
}

impl SubscriptionStore {
    /// The most rows of a client that are read. A client may exceed its limit a little, by calls at one time.
    const MAX_READ: usize = 2 * Subscription::MAX_PER_CLIENT;
    /// The most expired rows that a commit removes.
    const MAX_REMOVED: usize = 90;

    /// The subscriptions in this table.
    #[must_use]
    pub fn new(table: Arc<dyn Table>, sealer: Arc<Sealer>) -> Self {
        Self { table, sealer }
    }

    /// All subscriptions of a client, also those whose time is over. A row that cannot be read is passed over, so that it
    /// does not hide the others.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn read(&self, client: &ClientId) -> Result<Vec<StoredSubscription>, StoreError> {
        self.scan(client, |_| true).await
    }

    /// The live subscriptions to an event of a conversation.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn wanting(
        &self,
        event: EventName,
        conversation: &Conversation,
        now: Timestamp,
    ) -> Result<Vec<StoredSubscription>, StoreError> {
        let mut found = self.scan(conversation.client(), rows::may_want(event, conversation)).await?;
        found.retain(|stored| stored.subscription.wants(event, conversation, now));
        Ok(found)
    }

    async fn scan(
        &self,
        client: &ClientId,
        is_needed: impl Fn(&str) -> bool,
    ) -> Result<Vec<StoredSubscription>, StoreError> {
        let (partition, range) = (rows::subscription_partition(client), rows::subscriptions_of(client));
        let rows = self.table.scan(partition, &range, Self::MAX_READ).await?;
        let mut found = Vec::new();
        for row in rows.into_iter().filter(|row| is_needed(&row.key)) {
            match rows::decode_subscription(&row) {
                Ok((subscription, sealed)) => found.push(StoredSubscription { subscription, sealed, etag: row.etag }),
                Err(error) => tracing::warn!(%error, "a subscription cannot be read"),
            }
        }
        Ok(found)
    }

    /// The receiver of a subscription.
    ///
    /// # Errors
    /// [`StoreError::Undecryptable`] or [`StoreError::Corrupt`].
    pub fn open(&self, stored: &StoredSubscription) -> Result<Subscriber, StoreError> {
        rows::open_subscriber(&stored.sealed, &rows::subscription_key(&stored.subscription), &self.sealer)
    }

    /// Writes a subscription, if its row is still the one that was read: this one, or none. Removes rows whose time is over
    /// in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of the rows has changed since.
    pub async fn write(
        &self,
        subscription: &Subscription,
        subscriber: &Subscriber,
        read: Option<&StoredSubscription>,
        expired: &[&StoredSubscription],
    ) -> Result<(), StoreError> {
        let key = rows::subscription_key(subscription);
        let value = rows::encode_subscription(subscription, subscriber, &self.sealer)?;
        let write = match read {
            Some(read) => Operation::Replace { key, value, if_match: Some(read.etag.clone()) },
            None => Operation::Insert { key, value },
        };
        let delete = |stored: &&StoredSubscription| Operation::Delete {
            key: rows::subscription_key(&stored.subscription),
            if_match: Some(stored.etag.clone()),
        };
        let operations = std::iter::once(write).chain(expired.iter().take(Self::MAX_REMOVED).map(delete));
        let partition = rows::subscription_partition(&subscription.client);
        Ok(self.table.commit(partition, operations.collect()).await.map(drop)?)
    }

    /// Removes a subscription. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`] if it is not known whether it was removed.
    pub async fn remove(&self, subscription: &Subscription) -> Result<bool, StoreError> {
        let delete = Operation::Delete { key: rows::subscription_key(subscription), if_match: None };
        let partition = rows::subscription_partition(&subscription.client);
        match self.table.commit(partition, vec![delete]).await.map_err(StoreError::from) {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
