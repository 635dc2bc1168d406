//! What a wake-up of the queue leads to: the due rows of a second are read, some are delivered here, and the rest is left
//! to others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{self, join_all};
use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::in_hand::InHand;
use super::{Deliverer, DeliveryOutcome};
use crate::domain::{ClientId, ConversationId, Timestamp};
use crate::maintenance::OverdueRunner;
use crate::metrics;
use crate::store::{
    ConversationStore, DueBound, DueKey, DueRow, Part, Partition, PartitionSet, Slot, SlotWakeUp, StoreError, WakeUps,
};
use crate::sync::lock;
use crate::time::{Clock, Entropy, random, wait_until};

/// Runs the due rows that wake-ups name.
pub struct SlotRunner {
    deliverer: Arc<Deliverer>,
    store: ConversationStore,
    wake_ups: Arc<WakeUps>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The partitions of the wake-ups that wait in memory for their second.
    waiting: Mutex<BTreeMap<Slot, PartitionSet>>,
    in_hand: InHand,
}

/// The result of a wake-up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// The attempts that were made.
    pub attempted: usize,
    /// The greatest lateness of an attempt.
    pub lateness: Duration,
    /// The rows for which nothing was to be done any more.
    pub nothing: usize,
    /// The rows that were left to other wake-ups, as far as this run has counted them.
    pub left: usize,
    /// The rows that could not be read or whose delivery failed before its claim.
    pub failed: usize,
}

/// Rows to run: those behind `after`, up to `until` or before the end of the second.
#[derive(Clone, Debug)]
struct Rows {
    slot: Slot,
    partitions: PartitionSet,
    after: DueBound,
    until: Option<DueKey>,
    postponed: u32,
}

impl SlotRunner {
    /// The rows that one run delivers. The others are left to other wake-ups, so that other processes join.
    pub const ROWS: usize = 64;
    /// The rows that one scan reads: a page of Azure Table Storage.
    const PAGE: usize = 1000;
    /// The time for which rows wait for a permit, from the beginning of a run. No row is read later.
    pub const PATIENCE: Duration = Duration::from_secs(45);
    /// The partitions that are scanned at one time. A second is scanned before it begins, when deliveries of the second
    /// before it are under way, and they need the storage more.
    const SCANNED_AT_ONCE: usize = 4;
    /// The wake-ups that are enqueued at one time.
    const ENQUEUED_AT_ONCE: usize = 16;
    /// The reading of a second is spread over this time, so that not all processes read at once.
    const SPREAD_MILLIS: u64 = 600;
    /// The pause after rows had no permit. It doubles each time, up to two minutes.
    const PAUSE: Duration = Duration::from_secs(5);

    /// A runner over a store.
    pub fn new(
        deliverer: Arc<Deliverer>,
        store: ConversationStore,
        wake_ups: Arc<WakeUps>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { deliverer, store, wake_ups, clock, entropy, waiting: Mutex::default(), in_hand: InHand::default() }
    }

    /// Runs the rows that a wake-up names. After `Ok` its message can be deleted.
    ///
    /// # Errors
    /// [`StoreError`] if rows could not be read or delivered. The same wake-up has to come again.
    pub async fn run(&self, wake_up: &SlotWakeUp) -> Result<RunReport, StoreError> {
        self.store.tell_time(&*self.clock).await?;
        let SlotWakeUp { slot, mut partitions, part } = wake_up.clone();
        let early = self.clock.now().until(slot.start() - WakeUps::LEAD);
        if early > WakeUps::MAX_AHEAD {
            metrics::record(|metrics| metrics.wake_up_dropped("too_far_ahead"));
            tracing::warn!(%slot, "dropped a wake-up that is too far ahead");
            return Ok(RunReport::default());
        }
        if early > WakeUps::HOLD {
            self.wake_ups.enqueue_again(wake_up).await?;
            return Ok(RunReport::default());
        }
        if part.is_none() {
            match self.join_waiting(slot, partitions).await {
                Some(joined) => partitions = joined,
                None => return Ok(RunReport::default()),
            }
        } else {
            wait_until(&*self.clock, slot.start() - WakeUps::LEAD).await;
        }
        let (after, until, postponed) = match part {
            Some(Part { after, until, postponed }) => (after, until, postponed),
            None => (DueBound::Time(slot.start()), None, 0),
        };
        self.run_rows(Rows { slot, partitions, after, until, postponed }).await
    }

    /// Runs the conversation that a wake-up of the first release names.
    ///
    /// # Errors
    /// As [`SlotRunner::run`].
    pub async fn run_conversation(&self, client: &ClientId, id: ConversationId) -> Result<RunReport, StoreError> {
        self.store.tell_time(&*self.clock).await?;
        let Some(read) = self.store.get(client, id).await? else { return Ok(RunReport::default()) };
        let due = read.value.next_wake_at().filter(|at| self.clock.now().until(*at) <= WakeUps::HOLD);
        // One that is due later gets another wake-up from the sweep.
        let Some(at) = due else { return Ok(RunReport::default()) };
        let key = DueKey { at, client: client.clone(), id };
        let after = DueBound::Time(at);
        let rows = Rows {
            slot: Slot::of(at),
            partitions: PartitionSet::from(key.partition()),
            after,
            until: None,
            postponed: 0,
        };
        self.deliver(vec![key], &rows, Instant::now() + Self::PATIENCE).await
    }

    /// Waits until the rows of a second may be read. Wake-ups for one second that wait here become one: `None` if
    /// another one reads for this one too.
    async fn join_waiting(&self, slot: Slot, partitions: PartitionSet) -> Option<PartitionSet> {
        let spread = u64::from_be_bytes(random(&*self.entropy)) % Self::SPREAD_MILLIS;
        let read_at = slot.start() - WakeUps::LEAD + Duration::from_millis(spread);
        if self.clock.now() >= read_at {
            return Some(partitions);
        }
        {
            let mut waiting = lock(&self.waiting);
            if let Some(others) = waiting.get_mut(&slot) {
                *others = others.union(partitions);
                return None;
            }
            waiting.insert(slot, partitions);
        }
        let waits = Waits { waiting: &self.waiting, slot, is_over: false };
        wait_until(&*self.clock, read_at).await;
        waits.end()
    }

    async fn run_rows(&self, rows: Rows) -> Result<RunReport, StoreError> {
        let (mut report, mut failure) = (RunReport::default(), None);
        let deadline = Instant::now() + Self::PATIENCE;
        // What cannot be left to others is run here, one part after the other.
        let mut parts = VecDeque::from([rows]);
        while let Some(rows) = parts.pop_front() {
            match self.run_part(&rows, &mut parts, deadline).await {
                Ok(ran) => report.add(&ran),
                Err(error) => failure = Some(error),
            }
            if Instant::now() >= deadline && !parts.is_empty() {
                tracing::warn!("rows were neither run nor left to a wake-up; the sweep has them");
                break;
            }
        }
        failure.map_or(Ok(report), Err)
    }

    /// Delivers the first rows and leaves the others. Parts that could not be left are added to `left`.
    async fn run_part(
        &self,
        rows: &Rows,
        left: &mut VecDeque<Rows>,
        deadline: Instant,
    ) -> Result<RunReport, StoreError> {
        let scans = stream::iter(rows.partitions.iter())
            .map(|partition| async move { (partition, self.scan(partition, rows).await) });
        let mut scans = scans.buffered(Self::SCANNED_AT_ONCE);
        let (mut found, mut failure) = (Vec::new(), None);
        while let Some((partition, scanned)) = scans.next().await {
            match scanned {
                Ok(keys) => found.push((partition, keys)),
                Err(error) => failure = Some(error),
            }
        }
        let all: Vec<_> = found.iter().flat_map(|(_, keys)| keys).cloned().collect();
        let count = all.len();
        let mine = self.in_hand.take(all, Self::ROWS);
        let rest = mine.keys.last().map_or_else(Vec::new, |last| rest_of(&found, last, rows));
        // Others can begin with the rest while the first rows are delivered here.
        let delivery = self.deliver(mine.keys.clone(), rows, deadline);
        let (unenqueued, delivered) = future::join(self.leave(rest), delivery).await;
        left.extend(unenqueued);
        let mut report = delivered?;
        report.left += count.saturating_sub(Self::ROWS);
        failure.map_or(Ok(report), Err)
    }

    async fn scan(&self, partition: Partition, rows: &Rows) -> Result<Vec<DueKey>, StoreError> {
        let end = rows.until.clone().map_or(DueBound::Time(rows.slot.end()), DueBound::Row);
        let found = self.store.due(partition, &rows.after, end, Self::PAGE).await?;
        Ok(found.into_iter().map(|DueRow { key, .. }| key).collect())
    }

    /// Enqueues a wake-up for each part. Returns those for which that failed.
    async fn leave(&self, parts: Vec<Rows>) -> Vec<Rows> {
        let enqueued = stream::iter(parts).map(|rows| async move {
            let part = Part { after: rows.after.clone(), until: rows.until.clone(), postponed: rows.postponed };
            let result = self.wake_ups.enqueue_part(rows.slot, rows.partitions, part, Duration::ZERO).await;
            result.is_err().then_some(rows)
        });
        enqueued.buffer_unordered(Self::ENQUEUED_AT_ONCE).filter_map(future::ready).collect().await
    }

    async fn deliver(&self, keys: Vec<DueKey>, rows: &Rows, deadline: Instant) -> Result<RunReport, StoreError> {
        let read = self.store.read_together(keys).await;
        let deliveries = read.into_iter().map(|(key, read)| async move {
            let delivered = self.deliverer.deliver_read(&key, read.map(Box::new), Some(deadline)).await;
            (key, delivered)
        });
        let (mut report, mut failure, mut postponed) = (RunReport::default(), None, Vec::new());
        for (key, delivered) in join_all(deliveries).await {
            match delivered {
                Ok(DeliveryOutcome::NoPermit) => postponed.push(key),
                Ok(outcome) => report.count(&outcome),
                Err(error) => {
                    report.failed += 1;
                    tracing::warn!(conversation.id = %key.id, client.id = %key.client, %error, "not delivered yet");
                    failure = Some(error);
                }
            }
        }
        report.left += postponed.len();
        self.postpone(postponed, rows).await;
        failure.map_or(Ok(report), Err)
    }

    /// Leaves rows that had no permit to one later wake-up. If it cannot be enqueued, the sweep has them.
    async fn postpone(&self, keys: Vec<DueKey>, rows: &Rows) {
        let (Some(first), Some(last)) = (keys.iter().min(), keys.iter().max()) else { return };
        let partitions = keys.iter().map(DueKey::partition).collect();
        let pause = Self::PAUSE * 2_u32.saturating_pow(rows.postponed).min(24);
        let after = match &rows.after {
            // Rows of the same time that are before these belong to another run.
            DueBound::Row(key) if key.at == first.at => rows.after.clone(),
            _ => DueBound::Time(first.at),
        };
        let part = Part { after, until: Some(last.clone()), postponed: rows.postponed.saturating_add(1) };
        if let Err(error) = self.wake_ups.enqueue_part(rows.slot, partitions, part, pause).await {
            tracing::warn!(%error, rows = keys.len(), "rows without a permit were not left to a wake-up; the sweep has them");
        }
    }
}

#[async_trait]
impl OverdueRunner for SlotRunner {
    async fn run_overdue(&self, partitions: PartitionSet, from: Timestamp, last: Slot) -> Result<(), StoreError> {
        let after = DueBound::Time(from);
        self.run_rows(Rows { slot: last, partitions, after, until: None, postponed: 0 }).await.map(drop)
    }
}

/// A wake-up that waits for its second.
struct Waits<'a> {
    waiting: &'a Mutex<BTreeMap<Slot, PartitionSet>>,
    slot: Slot,
    is_over: bool,
}

impl Waits<'_> {
    fn end(mut self) -> Option<PartitionSet> {
        self.is_over = true;
        lock(self.waiting).remove(&self.slot)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        // Behind its end, another wake-up may wait for the same second.
        if !self.is_over {
            lock(self.waiting).remove(&self.slot);
        }
    }
}

/// The rows behind the last one that is run here, in parts of [`SlotRunner::ROWS`].
fn rest_of(found: &[(Partition, Vec<DueKey>)], last: &DueKey, rows: &Rows) -> Vec<Rows> {
    let part = |partitions: PartitionSet, after: &DueKey, until: Option<&DueKey>| Rows {
        partitions,
        after: DueBound::Row(after.clone()),
        until: until.cloned(),
        ..rows.clone()
    };
    let (mut parts, mut shared, mut size) = (Vec::new(), PartitionSet::default(), 0);
    for (partition, keys) in found {
        let mine = PartitionSet::from(*partition);
        let rest: Vec<_> = keys.iter().filter(|key| *key > last).collect();
        let (full, mut behind) = (keys.len() >= SlotRunner::PAGE, last);
        if rest.len() <= SlotRunner::ROWS && !full {
            // Small rests of several partitions share one wake-up.
            if size + rest.len() > SlotRunner::ROWS {
                parts.push(part(std::mem::take(&mut shared), last, rows.until.as_ref()));
                size = 0;
            }
            if !rest.is_empty() {
                (shared, size) = (shared.union(mine), size + rest.len());
            }
            continue;
        }
        for chunk in rest.chunks(SlotRunner::ROWS) {
            let end = chunk.last().copied().unwrap_or(behind);
            parts.push(part(mine, behind, Some(end)));
            behind = end;
        }
        if full {
            // Whatever is behind the page.
            parts.push(part(mine, behind, rows.until.as_ref()));
        }
    }
    if !shared.is_empty() {
        parts.push(part(shared, last, rows.until.as_ref()));
    }
    parts
}

impl RunReport {
    fn add(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.lateness = self.lateness.max(other.lateness);
        self.nothing += other.nothing;
        self.left += other.left;
        self.failed += other.failed;
    }

    fn count(&mut self, outcome: &DeliveryOutcome) {
        match outcome {
            DeliveryOutcome::Attempted { lateness, .. } => {
                self.attempted += 1;
                self.lateness = self.lateness.max(*lateness);
            }
            DeliveryOutcome::Undeliverable(_) => self.failed += 1,
            _ => self.nothing += 1,
        }
    }
}
