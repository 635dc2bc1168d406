//! The sweep: enqueues wake-ups for what is due soon, and runs what is overdue.
//!
//! A conversation that is scheduled far ahead has no wake-up, and a wake-up may get lost. Its due row remains. So once a
//! minute a sweep reads the due rows of the next three minutes from where the last sweep ended, and enqueues one wake-up
//! for each second that has some. What is overdue despite its wake-up it runs itself
//! (docs/decisions/0009-wake-ups-name-seconds.md).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{self, join_all};
use futures_util::stream::{self, StreamExt as _};

use super::{remove_expired, remove_expired_logins};
use crate::domain::{Retention, Timestamp};
use crate::metrics::{self, Metrics};
use crate::store::{
    ConversationStore, DueBound, DueKey, Etag, LoginStore, Partition, PartitionSet, Slot, StoreError, WakeUps,
    Watermark,
};
use crate::time::Clock;

/// Runs conversations that are overdue.
#[async_trait]
pub trait OverdueRunner: Send + Sync + 'static {
    /// Runs the conversations of these partitions that have been due since `from` and until the end of the second `last`.
    ///
    /// # Errors
    /// [`StoreError`] if not all of them were run.
    async fn run_overdue(&self, partitions: PartitionSet, from: Timestamp, last: Slot) -> Result<(), StoreError>;
}

/// Sweeps the due rows of all partitions.
pub struct Sweeper {
    pub(super) store: ConversationStore,
    pub(super) wake_ups: Arc<WakeUps>,
    pub(super) runner: Arc<dyn OverdueRunner>,
    pub(super) clock: Arc<dyn Clock>,
    retention: Retention,
    /// None in a store that has no logins.
    logins: Option<LoginStore>,
}

/// The reason for a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepReason {
    /// A minute has passed.
    Timer,
    /// Somebody looked whether the sweeps are behind. If they are not, nothing is done.
    Look,
    /// The dead man's switch.
    Switch,
}

/// The result of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// The seconds for which a wake-up was enqueued.
    pub enqueued: usize,
    /// The time since the oldest overdue conversation was due.
    pub overdue: Duration,
    /// The number of messages in the poison queue.
    pub poison_queue_length: usize,
}

/// What a sweep reads in a partition.
struct Seen {
    partition: Partition,
    oldest: Option<DueKey>,
    seconds: Vec<Slot>,
}

/// The watermark and its etag, as they were read.
type Read = Option<(Watermark, Etag)>;

impl Sweeper {
    /// How far ahead a sweep enqueues wake-ups. It is several times the period, so that one sweep may fail.
    pub(super) const AHEAD: Duration = Duration::from_mins(3);
    /// A conversation is overdue this long after its time: its wake-up should have come by then.
    pub(super) const GRACE: Duration = Duration::from_secs(10);
    /// The sweeps are behind if their mark is less than this ahead.
    pub const BEHIND: Duration = Duration::from_secs(90);
    /// The number of due rows that one scan reads.
    pub(super) const PAGE: usize = 1000;
    /// The wake-ups that are enqueued at one time.
    const ENQUEUED_AT_ONCE: usize = 16;

    /// A sweeper over a store.
    pub fn new(
        store: ConversationStore,
        wake_ups: Arc<WakeUps>,
        runner: Arc<dyn OverdueRunner>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, wake_ups, runner, clock, retention: Retention::default(), logins: None }
    }

    /// Removes expired logins, too.
    #[must_use]
    pub fn removing_from(self, logins: LoginStore) -> Self {
        Self { logins: Some(logins), ..self }
    }

    /// Keeps final conversations for this time.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Sweeps every partition once, reads the length of the poison queue, and then removes expired rows.
    ///
    /// # Errors
    /// [`StoreError`] if a part was not swept. The next sweep begins there again.
    pub async fn sweep(&self, reason: SweepReason) -> Result<SweepReport, StoreError> {
        let swept = self.sweep_due_rows(reason).await;
        if swept.is_err() {
            metrics::record(Metrics::sweep_failed);
        }
        // A look is made by every process, and one of them is enough.
        if reason != SweepReason::Look {
            remove_expired(&self.store, &*self.clock, self.retention).await;
            if let Some(logins) = &self.logins {
                remove_expired_logins(logins, &*self.clock).await;
            }
        }
        swept
    }

    async fn sweep_due_rows(&self, reason: SweepReason) -> Result<SweepReport, StoreError> {
        self.store.tell_time(&*self.clock).await?;
        let read = self.renew_switch(self.store.watermark().await?, reason).await;
        let date = self.clock.now();
        let watermark = read.as_ref().map_or_else(Watermark::start, |(watermark, _)| watermark.clone());
        if reason == SweepReason::Look && !is_behind(&watermark, date) {
            return Ok(SweepReport::default());
        }
        // Both are fixed before the rows are read: a row that is committed later has a wake-up of its own.
        let (top, cut) = (Slot::of(date + Self::AHEAD), Slot::of(date - Self::GRACE));
        let reads =
            watermark.marks.iter().map(|(partition, mark)| self.look_at(*partition, (*mark).max(cut), cut, top));
        let (mut seen, mut failure) = (Vec::new(), None);
        for result in join_all(reads).await {
            match result {
                Ok(partition) => seen.push(partition),
                Err(error) => failure = Some(error),
            }
        }
        let oldest: BTreeMap<_, _> = seen.iter().filter_map(|s| Some((s.partition, s.oldest.clone()?))).collect();
        let overdue = oldest.values().map(|key| key.at.until(date)).max().unwrap_or_default();
        let run = self.run_overdue(&watermark, &oldest, cut);
        let advance = async {
            let (enqueued, failed) = self.enqueue(&seen).await;
            let swept = seen.iter().map(|s| s.partition).filter(|p| !failed.contains(*p)).collect();
            let advanced = self.advance(read, swept, top, &oldest).await;
            (enqueued, failed, advanced)
        };
        let ((), (enqueued, failed, advanced)) = future::join(run, advance).await;
        advanced?;
        if let Some(error) = failure {
            return Err(error);
        }
        if !failed.is_empty() {
            return Err(StoreError::Unavailable("not all wake-ups were enqueued".into()));
        }
        let poison_queue_length = self.wake_ups.poison_queue_length().await?;
        metrics::record(|metrics| metrics.sweep(enqueued, overdue, poison_queue_length));
        Ok(SweepReport { enqueued, overdue, poison_queue_length })
    }

    /// Reads the oldest overdue row of a partition, and the seconds that have rows from `from` to `top`.
    async fn look_at(&self, partition: Partition, from: Slot, cut: Slot, top: Slot) -> Result<Seen, StoreError> {
        let begin = DueBound::Time(Timestamp::MIN);
        let overdue = self.store.due(partition, &begin, cut.start(), 1).await?;
        let (mut seconds, mut bound) = (Vec::new(), DueBound::Time(from.start()));
        loop {
            let page = self.store.due(partition, &bound, top.start(), Self::PAGE).await?;
            seconds.extend(page.iter().map(|row| Slot::of(row.key.at)));
            seconds.dedup();
            match page.last() {
                // The rest of this second is of no interest.
                Some(last) if page.len() >= Self::PAGE => bound = DueBound::Time(Slot::of(last.key.at).end()),
                _ => break,
            }
        }
        Ok(Seen { partition, oldest: overdue.into_iter().next().map(|row| row.key), seconds })
    }

    /// Runs what is overdue. If the oldest row of a partition belongs to another conversation than at the last sweep, a run
    /// is under way there, and only what has become overdue since is run. The same conversation with a later time has had
    /// an attempt, and its next one is late, too.
    async fn run_overdue(&self, last: &Watermark, oldest: &BTreeMap<Partition, DueKey>, cut: Slot) {
        let swept_until = last.lowest().start() - Self::AHEAD - Self::GRACE;
        let moving = |partition: &Partition, key: &DueKey| {
            key.at < swept_until && last.oldest.get(partition).is_some_and(|before| before.id != key.id)
        };
        let (moving, others): (Vec<_>, Vec<_>) = oldest.iter().partition(|(partition, key)| moving(partition, key));
        let set = |rows: Vec<(&Partition, &DueKey)>| rows.into_iter().map(|(at, _)| *at).collect::<PartitionSet>();
        let runs = [(set(others), Timestamp::MIN), (set(moving), swept_until)];
        let last = Slot::of(cut.start() - Duration::from_millis(1));
        let runs = runs.into_iter().filter(|(partitions, _)| !partitions.is_empty());
        for result in join_all(runs.map(|(partitions, from)| self.runner.run_overdue(partitions, from, last))).await {
            if let Err(error) = result {
                tracing::warn!(%error, "not all overdue conversations were run; the next sweep runs the others");
            }
        }
    }

    /// Enqueues a wake-up for each second, until one fails. Returns their number, and the partitions that miss one.
    async fn enqueue(&self, seen: &[Seen]) -> (usize, PartitionSet) {
        let mut slots: BTreeMap<Slot, PartitionSet> = BTreeMap::new();
        for (slot, partition) in seen.iter().flat_map(|s| s.seconds.iter().map(|slot| (*slot, s.partition))) {
            let partitions = slots.entry(slot).or_default();
            *partitions = partitions.union(partition.into());
        }
        let sets: Vec<_> = slots.values().copied().collect();
        let enqueues = stream::iter(slots)
            .map(|(slot, partitions)| async move { self.wake_ups.enqueue_slot(slot, partitions).await });
        let mut enqueues = enqueues.buffered(Self::ENQUEUED_AT_ONCE);
        let mut enqueued = 0;
        while let Some(result) = enqueues.next().await {
            if let Err(error) = result {
                tracing::warn!(%error, "wake-up not enqueued; the next sweep enqueues it and those of later seconds");
                break;
            }
            enqueued += 1;
        }
        (enqueued, sets.into_iter().skip(enqueued).fold(PartitionSet::default(), PartitionSet::union))
    }

    /// Moves the marks of the swept partitions to `top`, and never back.
    async fn advance(
        &self,
        mut read: Read,
        swept: PartitionSet,
        top: Slot,
        oldest: &BTreeMap<Partition, DueKey>,
    ) -> Result<(), StoreError> {
        if swept.is_empty() {
            return Ok(());
        }
        loop {
            let (mut next, etag) = match read {
                Some((watermark, etag)) => (watermark, Some(etag)),
                None => (Watermark::start(), None),
            };
            for (_, mark) in next.marks.iter_mut().filter(|(partition, _)| swept.contains(**partition)) {
                *mark = top.max(*mark);
            }
            next.oldest.clone_from(oldest);
            match self.store.write_watermark(etag, &next).await {
                // Another sweep was faster. It may not have come as far.
                Err(StoreError::Conflict) => read = self.store.watermark().await?,
                result => return result,
            }
        }
    }
}

/// Whether the sweeps do not keep up.
pub(super) fn is_behind(watermark: &Watermark, now: Timestamp) -> bool {
    watermark.lowest().start() < now + Sweeper::BEHIND
}
