//! The leases of workers that have ended, and the leases and pauses of a clock that was ahead.

use std::time::Duration;

use super::Sweeper;
use crate::domain::{DeliveryPolicy, Timestamp};
use crate::store::{ConversationStore, DueRow, Partition, StoreError, WakeUp};

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
            while let Some(page) = self.next_page(partition, &mut last).await? {
                for row in page.iter().filter(|row| row.note.leased) {
                    let Some(read) = self.store.get(&row.client, row.id).await? else { continue };
                    let Ok(next) = read.value.release(now) else { continue };
                    self.store.replace(read.revision, &next, Some(now)).await?;
                    self.wake_ups.enqueue(&WakeUp::of(&next), Duration::ZERO).await?;
                    reclaimed += 1;
                }
            }
        }
        Ok(reclaimed)
    }

    /// Enqueues a wake-up for each conversation whose lease or pause a clock wrote that was ahead. Their due rows are
    /// far ahead, where [`Sweeper::sweep`] does not look. Returns the number of these conversations.
    ///
    /// It reads every conversation that is due later, so it is for a store on this machine, after its clock was set back.
    ///
    /// # Errors
    /// [`StoreError`] of the first failure.
    pub async fn sweep_ahead(&self) -> Result<usize, StoreError> {
        let mut found = 0;
        for partition in ConversationStore::partitions() {
            let mut last = None;
            while let Some(page) = self.next_page(partition, &mut last).await? {
                let now = self.clock.now();
                for row in page.iter().filter(|row| row.at > now + DeliveryPolicy::CLOCK_TOLERANCE) {
                    let Some(read) = self.store.get(&row.client, row.id).await? else { continue };
                    if read.value.is_ahead_of(now) {
                        self.wake_ups.enqueue(&WakeUp::of(&read.value), Duration::ZERO).await?;
                        found += 1;
                    }
                }
            }
        }
        Ok(found)
    }

    /// The next due rows of a partition, whatever their time is: a clock that was ahead wrote times that are ahead.
    async fn next_page(
        &self,
        partition: Partition,
        last: &mut Option<DueRow>,
    ) -> Result<Option<Vec<DueRow>>, StoreError> {
        let page = self.store.due(partition, Timestamp::MAX, last.as_ref(), Self::PAGE).await?;
        *last = page.last().cloned();
        Ok((!page.is_empty()).then_some(page))
    }
}
