//! Turns the clock forward, from one due time to the next.

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::delivery::{Deliverer, DeliveryOutcome, Follower};
use crate::domain::{Outcome, Retention, Timestamp};
use crate::maintenance::remove_expired;
use crate::store::{ConversationStore, DueBound, DueKey, Partition, StoreError};
use crate::time::{Clock as _, TurnableClock};

/// Asks the worker to turn the clock.
#[derive(Clone)]
pub struct Turner(mpsc::Sender<Request>);

struct Request {
    by: Duration,
    answer: oneshot::Sender<Result<Turned, StoreError>>,
}

/// What a turn of the clock came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// The time that the clock shows.
    pub now: Timestamp,
    /// How far the clock was not turned, because there were too many attempts for one turn.
    pub rest: Duration,
    /// The number of attempts with each outcome.
    pub attempts: BTreeMap<&'static str, usize>,
    /// The number of conversations that wait for a later time.
    pub pending: usize,
}

/// Why the clock was not turned to the end.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Turner {
    /// Turns the clock forward, and delivers everything that is due until then in the order of time. It returns when all of
    /// that has ended.
    ///
    /// # Errors
    /// [`TurnError`].
    pub async fn turn(&self, by: Duration) -> Result<Turned, TurnError> {
        let (answer, turned) = oneshot::channel();
        self.0.send(Request { by, answer }).await.map_err(|_| TurnError::Stopping)?;
        Ok(turned.await.map_err(|_| TurnError::Stopping)??)
    }
}

/// Delivers what is due while time passes by itself, as a follower does, and when the clock is turned.
pub struct TurningWorker {
    follower: Follower,
    deliverer: Arc<Deliverer>,
    store: ConversationStore,
    clock: Arc<TurnableClock>,
    retention: Retention,
    requests: mpsc::Receiver<Request>,
}

/// One turn of the clock.
struct Turn {
    target: Timestamp,
    attempts: BTreeMap<&'static str, usize>,
    /// The rows of this instant whose delivery was tried.
    tried: HashSet<DueKey>,
    /// Rows that are still there after that. They wait for a follower.
    left: HashSet<DueKey>,
}

impl TurningWorker {
    /// The attempts after which a turn ends. A recurrence of each minute would keep it busy for hours.
    pub const MAX_ATTEMPTS: usize = 250_000;
    /// The most deliveries of one instant that are under way.
    const AT_ONCE: usize = 64;
    /// The number of due rows that one scan reads.
    const PAGE: usize = 256;

    /// A worker for a follower and its parts, and what asks it to turn the clock.
    #[must_use]
    pub fn new(
        follower: Follower,
        deliverer: Arc<Deliverer>,
        store: ConversationStore,
        clock: Arc<TurnableClock>,
        retention: Retention,
    ) -> (Turner, Self) {
        let (sender, requests) = mpsc::channel(1);
        (Turner(sender), Self { follower, deliverer, store, clock, retention, requests })
    }

    /// Works until `stop`, then finishes the deliveries that have begun. A turn is abandoned at the stop.
    ///
    /// The follower stops while the clock is turned, so that nothing else delivers.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = stop.child_token();
            let mut following = pin!(self.follower.clone().run(pause.clone()));
            let request = tokio::select! {
                () = &mut following => return,
                request = self.requests.recv() => request,
            };
            // Nobody can ask any more.
            let Some(Request { by, answer }) = request else { return following.await };
            pause.cancel();
            following.await;
            let turned = stop.run_until_cancelled(self.turn(by)).await;
            self.clock.release();
            if let Some(turned) = turned {
                // Whoever has asked may have left.
                let _ = answer.send(turned);
            }
        }
    }

    async fn turn(&self, by: Duration) -> Result<Turned, StoreError> {
        let target = self.clock.hold() + by;
        let attempts = Outcome::ALL.map(|outcome| (outcome.as_str(), 0)).into();
        let mut turn = Turn { target, attempts, tried: HashSet::new(), left: HashSet::new() };
        let mut is_complete = true;
        loop {
            let first = self.first_of_each_partition(&turn).await?;
            let Some(at) = first.values().min().copied() else { break };
            if turn.attempts.values().sum::<usize>() >= Self::MAX_ATTEMPTS {
                is_complete = false;
                break;
            }
            if at > self.clock.now() {
                self.clock.turn_to(at);
                turn.tried.clear();
            }
            self.deliver_due(&mut turn, first).await?;
        }
        if is_complete {
            self.clock.turn_to(target);
        }
        remove_expired(&self.store, &*self.clock, self.retention).await;
        let (now, pending) = (self.clock.now(), self.pending().await?);
        Ok(Turned { now, rest: now.until(target), attempts: turn.attempts, pending })
    }

    /// The time of the first row until the target, of each partition that has one.
    async fn first_of_each_partition(&self, turn: &Turn) -> Result<BTreeMap<Partition, Timestamp>, StoreError> {
        let mut first = BTreeMap::new();
        for partition in ConversationStore::partitions() {
            let rows = self.due(partition, turn.target, 1 + turn.left.len()).await?;
            if let Some(key) = rows.into_iter().find(|key| !turn.left.contains(key)) {
                first.insert(partition, key.at);
            }
        }
        Ok(first)
    }

    /// Delivers what is due now, at the same time, as it is without a turn. What becomes due by that is left to the next call.
    async fn deliver_due(&self, turn: &mut Turn, first: BTreeMap<Partition, Timestamp>) -> Result<(), StoreError> {
        let (now, mut due) = (self.clock.now(), Vec::new());
        for (partition, _) in first.into_iter().filter(|(_, at)| *at <= now) {
            let rows = self.due(partition, now, Self::PAGE + turn.left.len()).await?;
            for key in rows.into_iter().filter(|key| !turn.left.contains(key)).collect::<Vec<_>>() {
                if turn.tried.insert(key.clone()) {
                    due.push(key);
                } else {
                    turn.left.insert(key);
                }
            }
        }
        let deliver = |key: DueKey| async move { (self.deliverer.deliver(&key, None).await, key) };
        let mut delivered = stream::iter(due).map(deliver).buffer_unordered(Self::AT_ONCE);
        while let Some((outcome, key)) = delivered.next().await {
            if let DeliveryOutcome::Attempted { outcome, .. } = outcome? {
                // Somebody may redeliver it at this instant, and then it is due again.
                turn.tried.remove(&key);
                *turn.attempts.entry(outcome.as_str()).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The first due rows of a partition with a time until `last`.
    async fn due(&self, partition: Partition, last: Timestamp, limit: usize) -> Result<Vec<DueKey>, StoreError> {
        let (start, end) = (DueBound::Time(Timestamp::MIN), last + Duration::from_millis(1));
        Ok(self.store.due(partition, &start, end, limit).await?.into_iter().map(|row| row.key).collect())
    }

    async fn pending(&self) -> Result<usize, StoreError> {
        let mut count = 0;
        for partition in ConversationStore::partitions() {
            let mut behind = DueBound::Time(Timestamp::MIN);
            loop {
                let page = self.store.due(partition, &behind, Timestamp::MAX, Self::PAGE).await?;
                count += page.len();
                let Some(last) = page.into_iter().next_back() else { break };
                behind = DueBound::Row(last.key);
            }
        }
        Ok(count)
    }
}
