//! How old the last sweep is, for the readiness check.

use std::time::Duration;

use futures_util::future::join_all;

use super::Sweeper;
use crate::domain::Timestamp;
use crate::store::{ConversationStore, DueBound, StoreError};

/// What is known of the last sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepAge {
    /// The time since the last sweep, of the partition that is furthest behind. `None` if a partition was never swept.
    pub age: Option<Duration>,
    /// Whether the last sweep is so old that something is wrong, and a conversation is overdue.
    pub is_late: bool,
}

impl Sweeper {
    /// A last sweep that is older than this has missed several turns of the timer.
    const MAX_AGE: Duration = Duration::from_mins(5);

    /// Reads how old the last sweep is. Whether a conversation is overdue is read only if that is long ago.
    ///
    /// # Errors
    /// [`StoreError`] if the store does not respond, or the watermark cannot be read.
    pub async fn age(&self) -> Result<SweepAge, StoreError> {
        self.store.tell_time(&*self.clock).await?;
        let (read, now) = (self.store.watermark().await?, self.clock.now());
        let swept = read.map(|(watermark, _)| watermark.lowest().start()).filter(|mark| *mark > Timestamp::MIN);
        let age = swept.map(|mark| (mark - Self::AHEAD).until(now));
        let is_old = age.is_none_or(|age| age > Self::MAX_AGE);
        Ok(SweepAge { age, is_late: is_old && self.has_overdue(now).await? })
    }

    async fn has_overdue(&self, now: Timestamp) -> Result<bool, StoreError> {
        let (begin, end) = (DueBound::Time(Timestamp::MIN), now - Self::GRACE);
        let oldest = join_all(ConversationStore::partitions().map(|at| self.store.due(at, &begin, end, 1))).await;
        let oldest = oldest.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(oldest.iter().any(|rows| !rows.is_empty()))
    }
}
