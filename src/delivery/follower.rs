//! The worker of a service with its own store. It needs no queue: it follows the due rows by time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Deliverer, DeliveryOutcome, NextDue};
use crate::domain::{ClientId, Retention, Timestamp};
use crate::maintenance::{remove_expired, remove_expired_logins};
use crate::store::{ConversationStore, DueBound, DueKey, LoginStore, Partition, StoreError};
use crate::sync::lock;
use crate::time::Clock;

/// Starts a delivery for each due row when its time comes.
///
/// Rows of the future need no memory. A row that has become due is in the memory of its delivery, and of each client at
/// most `PER_CLIENT` are. The other rows of that client stay in the store until there is room.
#[derive(Clone)]
pub struct Follower {
    pub(super) deliverer: Arc<Deliverer>,
    pub(super) store: ConversationStore,
    pub(super) next_due: Arc<NextDue>,
    pub(super) clock: Arc<dyn Clock>,
    retention: Retention,
    /// The logins and the clock by which they expire. None in a store that has no logins.
    logins: Option<(LoginStore, Arc<dyn Clock>)>,
    started: Arc<Mutex<Started>>,
    deliveries: TaskTracker,
}

/// The rows whose delivery has been started and is not finished.
#[derive(Default)]
struct Started {
    rows: HashSet<DueKey>,
    clients: HashMap<ClientId, usize>,
    /// The first row of each partition that was passed over, of each client that has no room.
    passed: HashMap<ClientId, BTreeMap<Partition, DueKey>>,
}

/// Where the follower is in a partition.
struct Position {
    /// The next scan begins here.
    from: DueBound,
    /// All rows before this time have been seen once.
    seen_until: Timestamp,
    /// The clients that have room again, and of which rows that were passed over may be behind `from`.
    refilled: BTreeSet<ClientId>,
    /// The time of the next row. It may be earlier, but not later.
    next: Timestamp,
}

impl Follower {
    /// A delivery is started this long before its time: it has to read and to look up a name, and hundreds may be due
    /// together.
    const LEAD: Duration = Duration::from_millis(50);
    /// The number of due rows that one scan reads.
    const PAGE: usize = 256;
    /// The most rows of a client whose deliveries are started. It is more than a client has permits, so that the next
    /// delivery is always ready.
    const PER_CLIENT: usize = 2 * Deliverer::MAX_IN_FLIGHT;
    /// The pause after the store has failed.
    const RETRY_DELAY: Duration = Duration::from_secs(5);
    /// The pause after a conversation could not be read or written.
    const UNDELIVERABLE_DELAY: Duration = Duration::from_mins(1);
    /// The pause before expired rows are removed again.
    const REMOVE_EVERY: Duration = Duration::from_mins(1);

    /// A follower of the due rows in a store. `next_due` is told of each time that a commit sets.
    pub fn new(
        deliverer: Arc<Deliverer>,
        store: ConversationStore,
        next_due: Arc<NextDue>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (started, deliveries) = (Arc::default(), TaskTracker::new());
        let retention = Retention::default();
        Self { deliverer, store, next_due, clock, retention, logins: None, started, deliveries }
    }

    /// Removes the logins that have expired by this clock, too.
    #[must_use]
    pub fn removing_from(self, logins: LoginStore, clock: Arc<dyn Clock>) -> Self {
        Self { logins: Some((logins, clock)), ..self }
    }

    /// Keeps final conversations for this time.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Works until `stop`, then finishes the deliveries that have begun.
    pub async fn run(self, stop: CancellationToken) {
        self.reclaim_leases().await;
        tokio::select! {
            biased; // a simulated run must be the same every time
            () = self.follow() => {}
            () = self.mend() => {}
            () = self.remove_expired() => {}
            () = stop.cancelled() => {}
        }
        self.deliveries.close();
        self.deliveries.wait().await;
    }

    /// Removes expired rows once a minute.
    async fn remove_expired(&self) {
        loop {
            tokio::time::sleep(Self::REMOVE_EVERY).await;
            remove_expired(&self.store, &*self.clock, self.retention).await;
            if let Some((logins, clock)) = &self.logins {
                remove_expired_logins(logins, &**clock).await;
            }
        }
    }

    async fn follow(&self) {
        let mut positions: BTreeMap<_, _> =
            ConversationStore::partitions().map(|partition| (partition, Position::start())).collect();
        loop {
            let noted = self.next_due.take();
            for (partition, position) in &mut positions {
                for (client, at) in noted.room.get(partition).into_iter().flatten() {
                    position.rewind(*at);
                    position.refilled.insert(client.clone());
                }
                if let Some(at) = noted.rows.get(partition) {
                    position.rewind(*at);
                    // A new row may be anywhere from here on.
                    position.seen_until = position.seen_until.min(*at);
                }
            }
            // A row whose time is `LEAD` ahead is one of those before the end.
            let until = self.clock.now() + Self::LEAD + Duration::from_millis(1);
            for (partition, position) in &mut positions {
                if position.next >= until {
                    continue;
                }
                if let Err(error) = self.look_at(*partition, position, until).await {
                    tracing::warn!(%error, "due conversations cannot be read");
                    position.next = until + Self::RETRY_DELAY;
                }
            }
            // With room for the deliveries of others between two pages.
            tokio::task::yield_now().await;
            let next = positions.values().map(|position| position.next).min().unwrap_or(Timestamp::MAX);
            if next >= until {
                self.next_due.wait(&*self.clock, next - Self::LEAD).await;
            }
        }
    }

    /// Starts the deliveries of a page of rows.
    async fn look_at(&self, partition: Partition, position: &mut Position, until: Timestamp) -> Result<(), StoreError> {
        let page = self.store.due(partition, &position.from, until, Self::PAGE).await?;
        let is_full = page.len() == Self::PAGE;
        for row in page {
            position.from = DueBound::Row(row.key.clone());
            position.next = row.key.at;
            if !self.start(partition, &row.key) {
                position.refilled.remove(&row.key.client);
            }
        }
        let is_seen = matches!(&position.from, DueBound::Row(key) if key.at < position.seen_until);
        if is_full && is_seen && position.refilled.is_empty() {
            // All rows from here on have been seen, and there is still no room for those that were passed over.
            position.from = DueBound::Time(position.seen_until);
        } else if !is_full {
            position.refilled.clear();
            position.seen_until = position.seen_until.max(until);
            position.from = DueBound::Time(until);
            let next = self.store.due(partition, &position.from, Timestamp::MAX, 1).await?;
            position.next = next.into_iter().next().map_or(Timestamp::MAX, |row| row.key.at);
        }
        Ok(())
    }

    /// Starts the delivery of a row, unless it has been started. Returns whether its client had room for it.
    pub(super) fn start(&self, partition: Partition, key: &DueKey) -> bool {
        {
            let mut started = lock(&self.started);
            if started.rows.contains(key) {
                return true;
            }
            if started.clients.get(&key.client).is_some_and(|count| *count >= Self::PER_CLIENT) {
                started.pass_over(partition, key);
                return false;
            }
            *started.clients.entry(key.client.clone()).or_default() += 1;
            started.rows.insert(key.clone());
        }
        self.deliver(partition, key.clone());
        true
    }

    fn deliver(&self, partition: Partition, key: DueKey) {
        let follower = self.clone();
        self.deliveries.spawn(async move {
            let row = StartedRow { follower, partition, key };
            let delivered = AssertUnwindSafe(row.follower.deliverer.deliver(&row.key, None)).catch_unwind().await;
            match delivered {
                Ok(Ok(DeliveryOutcome::Attempted { .. } | DeliveryOutcome::NothingToDo)) => row.end(),
                // Its time is now the end of a lease.
                Ok(Ok(DeliveryOutcome::Abandoned | DeliveryOutcome::NoPermit)) => row.end_and_look_again(),
                Ok(Ok(DeliveryOutcome::Undeliverable(_))) => {
                    tokio::time::sleep(Self::UNDELIVERABLE_DELAY).await;
                    row.end_and_look_again();
                }
                Ok(Err(error)) => {
                    tracing::warn!(conversation.id = %row.key.id, %error, "delivery postponed");
                    tokio::time::sleep(Self::RETRY_DELAY).await;
                    row.end_and_look_again();
                }
                Err(_) => {
                    tracing::error!(conversation.id = %row.key.id, "the delivery panicked");
                    tokio::time::sleep(Self::RETRY_DELAY).await;
                    row.end_and_look_again();
                }
            }
        });
    }
}

impl Position {
    fn start() -> Self {
        let (from, refilled) = (DueBound::Time(Timestamp::MIN), BTreeSet::new());
        Self { from, seen_until: Timestamp::MIN, refilled, next: Timestamp::MIN }
    }

    fn rewind(&mut self, at: Timestamp) {
        let from = match &self.from {
            DueBound::Time(from) => *from,
            DueBound::Row(key) => key.at,
        };
        if at <= from {
            self.from = DueBound::Time(at);
        }
        self.next = self.next.min(at);
    }
}

impl Started {
    fn pass_over(&mut self, partition: Partition, key: &DueKey) {
        let passed = self.passed.entry(key.client.clone()).or_default();
        let first = passed.entry(partition).or_insert_with(|| key.clone());
        if key < first {
            first.clone_from(key);
        }
    }

    /// Forgets a row that is finished. Returns the rows of its client that were passed over, if it has room again.
    fn finish(&mut self, key: &DueKey) -> BTreeMap<Partition, DueKey> {
        self.rows.remove(key);
        let left = self.clients.get_mut(&key.client).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            self.clients.remove(&key.client);
        }
        let has_room = left <= Follower::PER_CLIENT / 2;
        has_room.then(|| self.passed.remove(&key.client)).flatten().unwrap_or_default()
    }
}

/// A row whose delivery has been started.
struct StartedRow {
    follower: Follower,
    partition: Partition,
    key: DueKey,
}

impl StartedRow {
    fn end(self) {
        let passed = lock(&self.follower.started).finish(&self.key);
        for (partition, key) in passed {
            self.follower.next_due.note_room(partition, key);
        }
    }

    fn end_and_look_again(self) {
        let (next_due, partition, at) = (Arc::clone(&self.follower.next_due), self.partition, self.key.at);
        self.end();
        next_due.note_row(partition, at);
    }
}
