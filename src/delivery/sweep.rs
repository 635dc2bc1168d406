//! The sweep: finds by time what no hint has woken.
//!
//! Hints get lost, are put too far ahead to keep, or wake a worker that dies. The due rows do not: so
//! once a minute everything outstanding up to a few minutes ahead is looked at, and what has had no
//! hint, or is overdue in spite of one, gets a new one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::clock::Clock;
use crate::domain::{Hint, Timestamp};
use crate::store::{ConversationStore, DueNote, DueRow, HintQueue, Partition, StoreError};

/// Looks for outstanding conversations and puts hints for them.
pub struct Sweeper {
    store: ConversationStore,
    hints: Arc<dyn HintQueue>,
    clock: Arc<dyn Clock>,
}

/// What a sweep saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Outstanding conversations that are due soon, or overdue.
    pub seen: usize,
    /// Hints put.
    pub hinted: usize,
    /// How long the one that has waited longest is beyond its time.
    pub overdue: Duration,
    /// Messages in the poison queue.
    pub poisoned: usize,
}

impl Sweeper {
    /// How far ahead a sweep looks; several times its period, so that one may fail.
    const AHEAD: Duration = Duration::from_mins(5);
    /// How long after its time a hinted conversation may still be on its way.
    const GRACE: Duration = Duration::from_secs(20);
    /// The pause after the first hint for an overdue conversation; it doubles up to ten times that.
    const FIRST_PAUSE: Duration = Duration::from_mins(1);
    /// How many due rows are read at once.
    const PAGE: usize = 500;
    /// How many hints are put at once: a storage queue takes a few milliseconds for each.
    const PUTS: usize = 16;

    /// A sweeper over a store.
    pub fn new(store: ConversationStore, hints: Arc<dyn HintQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { store, hints, clock }
    }

    /// Looks at every partition once, and at the length of the poison queue.
    ///
    /// # Errors
    /// The last [`StoreError`], after all was tried.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let (mut total, mut failed) = (Swept::default(), None);
        for partition in ConversationStore::partitions() {
            if let Err(error) = self.sweep_partition(partition, &mut total).await {
                failed = Some(error);
            }
        }
        match self.hints.poisoned().await {
            Ok(poisoned) => total.poisoned = poisoned,
            Err(error) => failed = Some(error),
        }
        failed.map_or(Ok(total), Err)
    }

    /// Ends the leases that stand and puts hints for their conversations. Returns how many there were.
    ///
    /// Only for a process that knows the workers who took them to be gone.
    ///
    /// # Errors
    /// [`StoreError`]; the leases that are left run out by themselves.
    pub async fn release_leases(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut released = 0;
        for partition in ConversationStore::partitions() {
            let mut last = None;
            loop {
                let page = self.store.due(partition, now + Self::AHEAD, last.as_ref(), Self::PAGE).await?;
                for row in page.iter().filter(|row| row.note.leased) {
                    let Some(read) = self.store.get(&row.client, row.id).await? else { continue };
                    let Ok(next) = read.value.release(now) else { continue };
                    self.store.replace(read.revision, next, Some(now)).await?;
                    let hint = Hint { client: row.client.clone(), id: row.id, generation: row.note.generation };
                    self.hints.put(&hint, Duration::ZERO).await?;
                    released += 1;
                }
                if page.len() < Self::PAGE {
                    break;
                }
                last = page.into_iter().next_back();
            }
        }
        Ok(released)
    }

    async fn sweep_partition(&self, partition: Partition, total: &mut Swept) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut last = None;
        loop {
            let page = self.store.due(partition, now + Self::AHEAD, last.as_ref(), Self::PAGE).await?;
            let full = page.len() == Self::PAGE;
            last = page.last().cloned();
            total.seen += page.len();
            let overdue = page.iter().map(|row| row.at.until(now)).max();
            total.overdue = total.overdue.max(overdue.unwrap_or_default());
            let wanting = page.into_iter().filter_map(|row| self.next_note(&row, now).map(|note| (row, note)));
            let (noted, failed) = self.put_hints(wanting, now).await;
            total.hinted += noted.len();
            match self.store.note_hints(partition, &noted).await {
                // Some of them were delivered or moved meanwhile. The others get a second hint in a
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

    /// Puts a hint for every row, until one fails. Returns the rows that have one now.
    async fn put_hints(
        &self,
        wanting: impl Iterator<Item = (DueRow, DueNote)>,
        now: Timestamp,
    ) -> (Vec<(DueRow, DueNote)>, Option<StoreError>) {
        let puts = stream::iter(wanting).map(|(row, note)| async move {
            let hint = Hint { client: row.client.clone(), id: row.id, generation: row.note.generation };
            self.hints.put(&hint, now.until(row.at)).await.map(|()| (row, note))
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

    /// Whether a due row needs a hint now, and what is noted on it then.
    fn next_note(&self, row: &DueRow, now: Timestamp) -> Option<DueNote> {
        let note = row.note;
        let Some(hinted) = note.hinted.filter(|at| *at >= self.hints.remembers_since()) else {
            return Some(DueNote { hinted: Some(now), ..note });
        };
        let pause = match note.rehints {
            0 => Self::GRACE,
            n => Self::FIRST_PAUSE * 2_u32.saturating_pow(n - 1).min(10),
        };
        let overdue = row.at.until(now) > Self::GRACE && hinted.until(now) > pause;
        overdue.then(|| DueNote { hinted: Some(now), rehints: note.rehints.saturating_add(1), ..note })
    }
}
