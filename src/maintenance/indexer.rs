//! Gives the conversations of earlier releases their index and retention rows, once after an upgrade.
//!
//! During a deployment, processes of the earlier release still schedule conversations without index rows. So on a store
//! that several processes share, the index is completed only an hour after the first process of this release came. Until
//! then, lists with a status scan the main rows (docs/decisions/0010-lists-from-an-index.md).

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::store::{ConversationStore, IndexMark, StoreError};
use crate::time::{Clock, wait_until};

/// Completes the index of a store.
#[derive(Clone)]
pub struct Indexer {
    store: ConversationStore,
    clock: Arc<dyn Clock>,
    settles: Duration,
}

impl Indexer {
    /// A deployment replaces all processes within this time.
    const SETTLES: Duration = Duration::from_hours(1);
    /// The pause before the conversations are looked at again that had an attempt under way, and after a failure.
    const PAUSE: Duration = Duration::from_mins(1);
    /// The service waits this long for the beginning. A store that cannot write must not delay its start.
    const BEGINNING: Duration = Duration::from_secs(1);

    /// An indexer of a store that other processes use, too.
    pub fn new(store: ConversationStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, settles: Self::SETTLES }
    }

    /// No other process can use the store, so no earlier release writes to it any more.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { settles: Duration::ZERO, ..self }
    }

    /// Completes the index at once if the store is new and no other process can use it.
    pub async fn begin(&self) {
        if !self.settles.is_zero() {
            return;
        }
        let result = async {
            let mark = self.store.index_mark().await?;
            if mark.is_none() && self.store.is_empty().await? {
                self.store.write_index_mark(None, IndexMark::Complete).await?;
            }
            Ok::<_, StoreError>(())
        };
        match tokio::time::timeout(Self::BEGINNING, result).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the index of the store cannot be begun yet"),
            Err(_) => tracing::warn!("the index of the store cannot be begun yet: the store does not respond"),
        }
    }

    /// Works until the index is complete.
    pub async fn run(self) {
        loop {
            match self.complete().await {
                Ok(0) => return,
                Ok(left) => tracing::info!(left, "conversations with an attempt under way are indexed after it"),
                Err(error) => tracing::warn!(%error, "the index of the store is not complete; trying again"),
            }
            tokio::time::sleep(Self::PAUSE).await;
        }
    }

    /// Completes the index. Returns the number of conversations that are left for another try.
    ///
    /// # Errors
    /// [`StoreError`] of the first failure.
    pub async fn complete(&self) -> Result<usize, StoreError> {
        if self.store.is_indexed().await? {
            return Ok(0);
        }
        self.store.tell_time(&*self.clock).await?;
        let since = self.since().await?;
        wait_until(&*self.clock, since + self.settles).await;
        let mut left = 0;
        for partition in ConversationStore::partitions() {
            left += self.store.index(partition).await?;
        }
        if left == 0 {
            let etag = self.store.index_mark().await?.map(|(_, etag)| etag);
            self.store.write_index_mark(etag, IndexMark::Complete).await?;
            tracing::info!("every conversation is in the index");
        }
        Ok(left)
    }

    /// The time since which a process of this release has used the store.
    async fn since(&self) -> Result<Timestamp, StoreError> {
        let now = self.clock.now();
        match self.store.index_mark().await? {
            Some((IndexMark::Since(at), _)) => Ok(at.min(now)),
            Some((IndexMark::Complete, _)) => Ok(now - self.settles),
            read => {
                let etag = read.map(|(_, etag)| etag);
                self.store.write_index_mark(etag, IndexMark::Since(now)).await?;
                Ok(now)
            }
        }
    }
}
