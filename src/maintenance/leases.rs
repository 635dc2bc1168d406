//! The leases of workers that have ended.

use std::time::Duration;

use super::Sweeper;
use crate::store::{ConversationStore, StoreError, WakeUp};

impl Sweeper {
    /// Ends all leases and enqueues a wake-up for each of their conversations. Returns the number of leases.
    ///
    /// Only a process with exclusive use of its store may call this, before it claims an attempt itself: then all
    /// workers that hold leases have ended.
    ///
    /// # Errors
    /// [`StoreError`] of the first failure. The remaining leases run out by themselves.
    pub async fn reclaim_leases(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut reclaimed = 0;
        for partition in ConversationStore::partitions() {
            let mut last = None;
            loop {
                let page = self.store.due(partition, now + Self::LOOKAHEAD, last.as_ref(), Self::PAGE).await?;
                for row in page.iter().filter(|row| row.note.leased) {
                    let Some(read) = self.store.get(&row.client, row.id).await? else { continue };
                    let Ok(next) = read.value.release(now) else { continue };
                    self.store.replace(read.revision, &next, Some(now)).await?;
                    self.wake_ups.enqueue(&WakeUp::of(&next), Duration::ZERO).await?;
                    reclaimed += 1;
                }
                if page.len() < Self::PAGE {
                    break;
                }
                last = page.into_iter().next_back();
            }
        }
        Ok(reclaimed)
    }
}
