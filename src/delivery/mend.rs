//! What the follower mends, because no other process uses its store: the leases of earlier processes, and the times that a
//! clock wrote which was ahead.

use std::time::Duration;

use super::Follower;
use crate::domain::{DeliveryPolicy, Timestamp};
use crate::store::{ConversationStore, DueBound, DueRow, Partition, StoreError};
use crate::time::Pacemaker;

impl Follower {
    /// The pause between two looks at the clock for a step back.
    const LOOK_AT_CLOCK: Duration = Duration::from_mins(1);
    /// The number of due rows that one scan reads.
    const MEND_PAGE: usize = 500;

    /// Ends the leases of earlier processes at once, so that their attempts are repeated without waiting for the leases
    /// to run out. Every process that took a lease earlier has ended.
    pub(super) async fn reclaim_leases(&self) {
        match self.try_reclaim_leases().await {
            Ok(0) => {}
            Ok(reclaimed) => tracing::info!(reclaimed, "repeating the attempts that an earlier process did not finish"),
            Err(error) => tracing::warn!(%error, "not all leases were reclaimed; the others will run out"),
        }
    }

    async fn try_reclaim_leases(&self) -> Result<usize, StoreError> {
        let (now, mut reclaimed) = (self.clock.now(), 0);
        for partition in ConversationStore::partitions() {
            let mut behind = DueBound::Time(Timestamp::MIN);
            while let Some(page) = self.next_page(partition, &mut behind).await? {
                for DueRow { key, .. } in page.into_iter().filter(|row| row.leased) {
                    let Some(read) = self.store.get(&key.client, key.id).await? else { continue };
                    let Ok(next) = read.value.release(now) else { continue };
                    self.store.replace(read.revision, &next).await?;
                    reclaimed += 1;
                }
            }
        }
        Ok(reclaimed)
    }

    /// Starts the deliveries whose lease or pause a clock wrote that was ahead, at the start and whenever the clock was
    /// set back.
    pub(super) async fn mend(&self) {
        let mut pacemaker = Pacemaker::new(&*self.clock);
        let mut rows_may_be_ahead = true;
        loop {
            if rows_may_be_ahead {
                rows_may_be_ahead = match self.start_rows_ahead().await {
                    Ok(0) => false,
                    Ok(found) => {
                        tracing::warn!(
                            found,
                            "the clock was set back; ending the leases and pauses that were written before"
                        );
                        true
                    }
                    Err(error) => {
                        tracing::warn!(%error, "not all leases and pauses were compared with the clock");
                        true
                    }
                };
            }
            rows_may_be_ahead |= pacemaker.pause(Self::LOOK_AT_CLOCK).await;
        }
    }

    async fn start_rows_ahead(&self) -> Result<usize, StoreError> {
        let mut found = 0;
        for partition in ConversationStore::partitions() {
            let mut behind = DueBound::Time(self.clock.now() + DeliveryPolicy::CLOCK_TOLERANCE);
            while let Some(page) = self.next_page(partition, &mut behind).await? {
                // The client has set the other times.
                for row in page.into_iter().filter(|row| row.leased || row.retry) {
                    let Some(read) = self.store.get(&row.key.client, row.key.id).await? else { continue };
                    if read.value.is_ahead_of(self.clock.now()) {
                        self.start(partition, &row.key);
                        found += 1;
                    }
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(found)
    }

    async fn next_page(&self, partition: Partition, behind: &mut DueBound) -> Result<Option<Vec<DueRow>>, StoreError> {
        let page = self.store.due(partition, behind, Timestamp::MAX, Self::MEND_PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        *behind = DueBound::Row(last.key.clone());
        Ok(Some(page))
    }
}
