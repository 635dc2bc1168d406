//! The sweep: finds due conversations that have no wake-up.
//!
//! A wake-up may get lost, may be too far ahead for the queue, or may reach a worker that dies. A due row remains until
//! its conversation is handled. So the sweep reads the due rows once a minute, up to a few minutes ahead. A
//! conversation that never had a wake-up, or is overdue despite its wake-up, gets a new one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::domain::{DeliveryPolicy, Timestamp};
use crate::store::{ConversationStore, DueNote, DueRow, Partition, StoreError, WakeUp, WakeUpQueue};
use crate::time::Clock;

/// Reads the due rows and enqueues the missing wake-ups.
pub struct Sweeper {
    pub(super) store: ConversationStore,
    pub(super) wake_ups: Arc<dyn WakeUpQueue>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// The number of conversations that are due soon or overdue.
    pub seen: usize,
    /// The number of wake-ups that were enqueued.
    pub enqueued: usize,
    /// The time since the oldest overdue conversation was due.
    pub overdue: Duration,
    /// The number of messages in the poison queue.
    pub poison_queue_length: usize,
}

impl Sweeper {
    /// How far ahead a sweep reads. It is several times the sweep's period, so that one sweep may fail.
    pub(super) const LOOKAHEAD: Duration = Duration::from_mins(5);
    /// How long after its time a conversation with a wake-up is not yet treated as overdue.
    const GRACE: Duration = Duration::from_secs(20);
    /// The pause after the first wake-up for an overdue conversation. It doubles with each wake-up, up to ten times.
    const FIRST_PAUSE: Duration = Duration::from_mins(1);
    /// The number of due rows that one scan reads.
    pub(super) const PAGE: usize = 500;
    /// The number of wake-ups that are enqueued concurrently: a storage queue takes a few milliseconds for each.
    const MAX_CONCURRENT: usize = 16;

    /// A sweeper over a store.
    pub fn new(store: ConversationStore, wake_ups: Arc<dyn WakeUpQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { store, wake_ups, clock }
    }

    /// The clock by which it sweeps.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Sweeps every partition once, and reads the length of the poison queue.
    ///
    /// # Errors
    /// The last [`StoreError`], after all partitions were tried.
    pub async fn sweep(&self) -> Result<SweepReport, StoreError> {
        self.store.tell_time(&*self.clock).await?;
        let (mut total, mut failed) = (SweepReport::default(), None);
        for partition in ConversationStore::partitions() {
            if let Err(error) = self.sweep_partition(partition, &mut total).await {
                failed = Some(error);
            }
        }
        match self.wake_ups.poison_queue_length().await {
            Ok(poison_queue_length) => total.poison_queue_length = poison_queue_length,
            Err(error) => failed = Some(error),
        }
        failed.map_or(Ok(total), Err)
    }

    async fn sweep_partition(&self, partition: Partition, total: &mut SweepReport) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut last = None;
        loop {
            let page = self.store.due(partition, now + Self::LOOKAHEAD, last.as_ref(), Self::PAGE).await?;
            let full = page.len() == Self::PAGE;
            last = page.last().cloned();
            total.seen += page.len();
            let overdue = page.iter().map(|row| row.at.until(now)).max();
            total.overdue = total.overdue.max(overdue.unwrap_or_default());
            let wanting = page.into_iter().filter_map(|row| self.next_note(&row, now).map(|note| (row, note)));
            let (noted, failed) = self.enqueue_wake_ups(wanting, now).await;
            total.enqueued += noted.len();
            match self.store.note_wake_ups(partition, &noted).await {
                // A row was moved or deleted meanwhile, so the notes of its commit were not written. The next sweep
                // enqueues a second wake-up for the other rows, which costs one read each.
                Err(StoreError::Conflict) | Ok(()) => {}
                Err(error) => return Err(error),
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Enqueues a wake-up for every row, until one fails. Returns the rows whose wake-up was enqueued.
    async fn enqueue_wake_ups(
        &self,
        wanting: impl Iterator<Item = (DueRow, DueNote)>,
        now: Timestamp,
    ) -> (Vec<(DueRow, DueNote)>, Option<StoreError>) {
        let enqueues = stream::iter(wanting).map(|(row, note)| async move {
            let wake_up = WakeUp { client: row.client.clone(), id: row.id, generation: row.note.generation };
            self.wake_ups.enqueue(&wake_up, now.max(self.clock.latest()).until(row.at)).await.map(|()| (row, note))
        });
        let mut enqueues = enqueues.buffer_unordered(Self::MAX_CONCURRENT);
        let mut noted = Vec::new();
        while let Some(enqueued) = enqueues.next().await {
            match enqueued {
                Ok(done) => noted.push(done),
                Err(error) => return (noted, Some(error)),
            }
        }
        (noted, None)
    }

    /// The new note of a due row, if the row needs a wake-up now.
    fn next_note(&self, row: &DueRow, now: Timestamp) -> Option<DueNote> {
        let note = row.note;
        // A note of a clock that was ahead does not tell whether the wake-up still exists.
        let plausible = self.wake_ups.retained_since()..=now + DeliveryPolicy::CLOCK_TOLERANCE;
        let Some(enqueued_at) = note.enqueued_at.filter(|at| plausible.contains(at)) else {
            return Some(DueNote { enqueued_at: Some(now), ..note });
        };
        let pause = match note.re_enqueued {
            0 => Self::GRACE,
            n => Self::FIRST_PAUSE * 2_u32.saturating_pow(n - 1).min(10),
        };
        let overdue = row.at.until(now) > Self::GRACE && enqueued_at.until(now) > pause;
        overdue.then(|| DueNote { enqueued_at: Some(now), re_enqueued: note.re_enqueued.saturating_add(1), ..note })
    }
}
