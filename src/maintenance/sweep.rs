//! The sweep: finds by time what no wake-up has woken.
//!
//! Wake-ups get lost, are put too far ahead to keep, or wake a worker that dies. The due rows do not: so
//! once a minute everything outstanding up to a few minutes ahead is looked at, and what has had no
//! wake-up, or is overdue in spite of one, gets a new one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::domain::Timestamp;
use crate::store::{ConversationStore, DueNote, DueRow, Partition, StoreError, WakeUp, WakeUpQueue};
use crate::time::Clock;

/// Looks for outstanding conversations and puts wake-ups for them.
pub struct Sweeper {
    pub(super) store: ConversationStore,
    pub(super) wake_ups: Arc<dyn WakeUpQueue>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What a sweep saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Outstanding conversations that are due soon, or overdue.
    pub seen: usize,
    /// Wake-ups enqueued.
    pub enqueued: usize,
    /// How long the one that has waited longest is beyond its time.
    pub overdue: Duration,
    /// Messages in the poison queue.
    pub poison_queue_length: usize,
}

impl Sweeper {
    /// How far ahead a sweep looks; several times its period, so that one may fail.
    pub(super) const LOOKAHEAD: Duration = Duration::from_mins(5);
    /// How long after its time a conversation with an enqueued wake-up may still be on its way.
    const GRACE: Duration = Duration::from_secs(20);
    /// The pause after the first wake-up for an overdue conversation; it doubles up to ten times that.
    const FIRST_PAUSE: Duration = Duration::from_mins(1);
    /// How many due rows are read at once.
    pub(super) const PAGE: usize = 500;
    /// How many wake-ups are put at once: a storage queue takes a few milliseconds for each.
    const PUTS: usize = 16;

    /// A sweeper over a store.
    pub fn new(store: ConversationStore, wake_ups: Arc<dyn WakeUpQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { store, wake_ups, clock }
    }

    /// Looks at every partition once, and at the length of the poison queue.
    ///
    /// # Errors
    /// The last [`StoreError`], after all was tried.
    pub async fn sweep(&self) -> Result<SweepReport, StoreError> {
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
                // Some of them were delivered or moved meanwhile. The others get a second wake-up in a
                // minute, which costs a read.
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

    /// Puts a wake-up for every row, until one fails. Returns the rows that have one now.
    async fn enqueue_wake_ups(
        &self,
        wanting: impl Iterator<Item = (DueRow, DueNote)>,
        now: Timestamp,
    ) -> (Vec<(DueRow, DueNote)>, Option<StoreError>) {
        let puts = stream::iter(wanting).map(|(row, note)| async move {
            let wake_up = WakeUp { client: row.client.clone(), id: row.id, generation: row.note.generation };
            self.wake_ups.enqueue(&wake_up, now.until(row.at)).await.map(|()| (row, note))
        });
        let mut puts = puts.buffer_unordered(Self::PUTS);
        let mut noted = Vec::new();
        while let Some(put) = puts.next().await {
            match put {
                Ok(done) => noted.push(done),
                Err(error) => return (noted, Some(error)),
            }
        }
        (noted, None)
    }

    /// Whether a due row needs a wake-up now, and what is noted on it then.
    fn next_note(&self, row: &DueRow, now: Timestamp) -> Option<DueNote> {
        let note = row.note;
        let Some(enqueued_at) = note.enqueued_at.filter(|at| *at >= self.wake_ups.retained_since()) else {
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
