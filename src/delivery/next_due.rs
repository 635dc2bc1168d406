//! How the worker of a service with its own store learns of rows that are due before those it waits for.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::domain::{ClientId, Timestamp};
use crate::store::{DueKey, Partition, Waker};
use crate::sync::lock;
use crate::time::{Clock, wait_until};

/// The time for which the worker waits, and what has become due earlier.
pub struct NextDue {
    state: Mutex<State>,
    earlier: Notify,
}

struct State {
    waits_until: Timestamp,
    noted: Noted,
    /// The earliest time in `noted`.
    earliest: Timestamp,
}

/// The earliest times that were noted for each partition.
#[derive(Default)]
pub(super) struct Noted {
    /// Rows that may be new.
    pub(super) rows: BTreeMap<Partition, Timestamp>,
    /// Rows that were passed over, of clients that have room now.
    pub(super) room: BTreeMap<Partition, BTreeMap<ClientId, Timestamp>>,
}

impl Default for NextDue {
    fn default() -> Self {
        let state = State { waits_until: Timestamp::MAX, noted: Noted::default(), earliest: Timestamp::MAX };
        Self { state: Mutex::new(state), earlier: Notify::new() }
    }
}

impl NextDue {
    /// There may be a new row in this partition that is due at this time.
    pub(super) fn note_row(&self, partition: Partition, at: Timestamp) {
        self.note(at, |noted| noted.rows.entry(partition).or_insert(at));
    }

    /// There is room for the rows of a client that were passed over. This one is the first of its partition.
    pub(super) fn note_room(&self, partition: Partition, first: DueKey) {
        let DueKey { at, client, .. } = first;
        self.note(at, |noted| noted.room.entry(partition).or_default().entry(client).or_insert(at));
    }

    fn note(&self, at: Timestamp, entry: impl FnOnce(&mut Noted) -> &mut Timestamp) {
        let mut state = lock(&self.state);
        let earliest = entry(&mut state.noted);
        *earliest = at.min(*earliest);
        state.earliest = at.min(state.earliest);
        if at < state.waits_until {
            self.earlier.notify_one();
        }
    }

    /// What was noted. Until the next wait, everything counts as earlier.
    pub(super) fn take(&self) -> Noted {
        let mut state = lock(&self.state);
        state.waits_until = Timestamp::MAX;
        state.earliest = Timestamp::MAX;
        std::mem::take(&mut state.noted)
    }

    /// The earliest time in each partition from which rows may be new. It is for a worker that takes the place of the follower.
    pub fn take_rows(&self) -> BTreeMap<Partition, Timestamp> {
        self.take().rows
    }

    /// Waits until this time, or until something is due earlier.
    pub(super) async fn wait(&self, clock: &dyn Clock, until: Timestamp) {
        {
            let mut state = lock(&self.state);
            state.waits_until = until;
            if state.earliest < until {
                return;
            }
        }
        tokio::select! {
            biased; // a simulated run must be the same every time
            () = self.earlier.notified() => {}
            () = wait_until(clock, until) => {}
        }
    }
}

#[async_trait]
impl Waker for NextDue {
    async fn wake_at(&self, partition: Partition, at: Timestamp) {
        self.note_row(partition, at);
    }
}
