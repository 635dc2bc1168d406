//! Gives the space of removed rows back to the file system.
//!
//! The engine (fjall 3.1) compacts where new rows are written. It does not look for tables in which most rows were
//! removed, so after the removal of many conversations their space would stay in use.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::engine::{Engine, Entries};

/// Compacts the whole store when many of its rows were removed and few are being written.
#[derive(Default)]
pub(super) struct Compactor {
    /// When the present period began, and the number of the last change at that time.
    period: Option<(Instant, u64)>,
    last: Option<Instant>,
    running: Option<JoinHandle<()>>,
}

impl Compactor {
    const PERIOD: Duration = Duration::from_secs(10);
    /// The most changes in a period that counts as quiet. The engine has one thread for the work in the background. While
    /// that thread waits for the compaction, new rows stay in memory.
    const MOST_CHANGES: u64 = 2_000;
    const LEAST_REMOVED: u64 = 100_000;
    /// The least part of the entries that removed rows must be: a quarter.
    const LEAST_PART: u64 = 4;
    /// The shortest time between two compactions.
    const PAUSE: Duration = Duration::from_mins(10);

    /// Begins a compaction if it is due.
    pub(super) fn look(&mut self, engine: &Engine) {
        if self.is_quiet(Instant::now(), engine.changes()) && self.is_due(Instant::now(), engine.entries()) {
            let compact = engine.compaction();
            let run = move || match compact() {
                Ok(()) => tracing::info!("the space of removed rows was given back"),
                Err(error) => tracing::warn!(%error, "the space of removed rows could not be given back yet"),
            };
            self.running = thread::Builder::new().name("store-compactor".to_owned()).spawn(run).ok();
        }
    }

    /// Whether a period ends now in which few rows changed.
    fn is_quiet(&mut self, now: Instant, changes: u64) -> bool {
        let (began, before) = *self.period.get_or_insert((now, changes));
        if now - began < Self::PERIOD {
            return false;
        }
        self.period = None;
        changes.saturating_sub(before) <= Self::MOST_CHANGES
    }

    fn is_due(&mut self, now: Instant, entries: Entries) -> bool {
        let paused = self.last.is_some_and(|last| now - last < Self::PAUSE);
        let running = self.running.as_ref().is_some_and(|running| !running.is_finished());
        let Entries { all, removals } = entries;
        let due = !paused && !running && removals >= Self::LEAST_REMOVED && removals >= all / Self::LEAST_PART;
        if due {
            self.last = Some(now);
        }
        due
    }

    /// Waits for the end of a compaction under way. Until then the engine cannot be opened again.
    pub(super) fn wait(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::{EngineOptions, Recovered};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_period_is_quiet_when_few_rows_changed_in_it() {
        let (mut compactor, start) = (Compactor::default(), Instant::now());
        let mut quiet = |seconds: u32, changes| compactor.is_quiet(start + seconds * SECOND, changes);
        assert!(!quiet(0, 5_000) && !quiet(9, 5_001), "the period has not ended");
        assert!(quiet(10, 7_000));
        assert!(!quiet(11, 7_000) && !quiet(21, 9_001), "too many changes");
        assert!(!quiet(22, 9_001) && quiet(32, 9_001));
    }

    #[test]
    fn a_compaction_is_due_when_a_quarter_and_at_least_100000_were_removed() {
        let start = Instant::now();
        for (all, removals, due) in
            [(100_000, 99_999, false), (400_000, 100_000, true), (400_004, 100_000, false), (3_000_000, 750_000, true)]
        {
            let mut compactor = Compactor::default();
            assert_eq!(compactor.is_due(start, Entries { all, removals }), due, "{removals} of {all}");
        }
        let mut compactor = Compactor::default();
        let mut due =
            |seconds: u32| compactor.is_due(start + seconds * SECOND, Entries { all: 200_000, removals: 200_000 });
        assert!(due(0) && !due(599) && due(600) && !due(601), "ten minutes lie between two compactions");
    }

    #[test]
    fn a_removed_row_counts_as_a_change() {
        let dir = tempfile::TempDir::new().unwrap();
        let options = EngineOptions { max_files: 16, background: false, salvage: false };
        let recovered = Recovered::open(&dir.path().join("store"), options).ok().unwrap();
        let engine = recovered.start().unwrap();
        let before = engine.changes();
        let mut batch = engine.batch();
        batch.put(b"one", "text");
        batch.delete(b"two");
        assert!(batch.commit().is_ok());
        assert_eq!(engine.changes() - before, 2);
    }
}
