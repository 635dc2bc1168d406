//! Turns the clock forward, from one due time to the next.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::agenda::Agenda;
use crate::delivery::{Deliverer, DeliveryOutcome, Follower, NextDue};
use crate::domain::{Outcome, Retention, Timestamp};
use crate::maintenance::remove_expired;
use crate::store::{ConversationStore, DueBound, DueKey, StoreError};
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
    /// How far the clock was not turned, and why. None if it was turned to the end.
    pub rest: Option<(Duration, StoppedBy)>,
    /// The number of attempts with each outcome.
    pub attempts: BTreeMap<&'static str, usize>,
    /// The number of conversations that wait for a later time.
    pub pending: usize,
}

/// Why a turn has ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedBy {
    /// It took too long. A turn by the rest goes on.
    Time,
    /// Each delivery has led to another one for the same instant, again and again, so the clock does not get on.
    Loop,
}

/// Why the clock was not turned.
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
    next_due: Arc<NextDue>,
    clock: Arc<TurnableClock>,
    retention: Retention,
    requests: mpsc::Receiver<Request>,
    /// The deliveries under way. Those to an endpoint that hangs may outlast the turn, and the next turn waits for them.
    deliveries: JoinSet<(DueKey, Result<DeliveryOutcome, StoreError>)>,
    /// How many times in a row something was due without a turn of the clock in between.
    rounds: usize,
}

/// One turn of the clock.
struct Turn {
    target: Timestamp,
    agenda: Agenda,
    attempts: BTreeMap<&'static str, usize>,
}

impl TurningWorker {
    /// The time after which a turn ends. A recurrence of each minute would keep it busy for hours.
    pub const MAX_TIME: Duration = Duration::from_mins(1);
    /// The deliveries of one instant that may be the consequence of each other.
    pub const MAX_ROUNDS: usize = 1000;
    /// The most deliveries of one instant that are under way.
    const AT_ONCE: usize = 64;
    /// The number of due rows that are counted at once.
    const PAGE: usize = 256;

    /// A worker for a follower and its parts, and what asks it to turn the clock. `next_due` is told of each time that a
    /// commit sets.
    #[must_use]
    pub fn new(
        follower: Follower,
        deliverer: Arc<Deliverer>,
        store: ConversationStore,
        next_due: Arc<NextDue>,
        clock: Arc<TurnableClock>,
        retention: Retention,
    ) -> (Turner, Self) {
        let (sender, requests) = mpsc::channel(1);
        let deliveries = JoinSet::new();
        let worker = Self { follower, deliverer, store, next_due, clock, retention, requests, deliveries, rounds: 0 };
        (Turner(sender), worker)
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
            let turned = stop.run_until_cancelled(self.turn(by, following)).await;
            self.clock.release();
            if let Some(turned) = turned {
                // Whoever has asked may have left.
                let _ = answer.send(turned);
            }
        }
    }

    async fn turn(&mut self, by: Duration, following: impl Future<Output = ()>) -> Result<Turned, StoreError> {
        let (end, attempts) =
            (Instant::now() + Self::MAX_TIME, Outcome::ALL.map(|outcome| (outcome.as_str(), 0)).into());
        // The clock runs until then: the follower may have begun deliveries that wait for their time.
        if timeout_at(end, following).await.is_err() {
            let (now, rest) = (self.clock.now(), Some((by, StoppedBy::Time)));
            return Ok(Turned { now, rest, attempts, pending: self.pending().await? });
        }
        let target = self.clock.hold() + by;
        let mut turn = Turn { target, agenda: Agenda::until(target, self.store.clone()), attempts };
        let stopped_by = match timeout_at(end, self.turn_to_target(&mut turn)).await {
            Ok(result) => result?,
            Err(_) => Some(StoppedBy::Time),
        };
        remove_expired(&self.store, &*self.clock, self.retention).await;
        let (now, pending) = (self.clock.now(), self.pending().await?);
        // Also what is due at the target may take too long.
        let rest = stopped_by.map(|by| (now.until(target).max(Duration::from_millis(1)), by));
        Ok(Turned { now, rest, attempts: turn.attempts, pending })
    }

    /// Turns the clock to the target, unless it would never get there.
    async fn turn_to_target(&mut self, turn: &mut Turn) -> Result<Option<StoppedBy>, StoreError> {
        loop {
            while self.finish_one(turn).await {}
            for (partition, at) in self.next_due.take_rows() {
                turn.agenda.read_again(partition, at);
            }
            let Some(at) = turn.agenda.first().await? else { break };
            if at > self.clock.now() {
                self.turn_clock_to(at);
            } else if self.rounds == Self::MAX_ROUNDS {
                self.rounds = 0;
                return Ok(Some(StoppedBy::Loop));
            }
            self.rounds += 1;
            for key in turn.agenda.take_until(self.clock.now()).await? {
                if self.deliveries.len() == Self::AT_ONCE {
                    self.finish_one(turn).await;
                }
                let deliverer = Arc::clone(&self.deliverer);
                self.deliveries.spawn(async move {
                    let delivered = deliverer.deliver(&key, None).await;
                    (key, delivered)
                });
            }
        }
        self.turn_clock_to(turn.target);
        Ok(None)
    }

    fn turn_clock_to(&mut self, time: Timestamp) {
        self.clock.turn_to(time);
        self.rounds = 0;
    }

    /// Waits for one of the deliveries under way. Returns false if there is none.
    async fn finish_one(&mut self, turn: &mut Turn) -> bool {
        match self.deliveries.join_next().await {
            None => return false,
            Some(Ok((key, Ok(DeliveryOutcome::Attempted { outcome, .. })))) => {
                // Somebody may redeliver it at this instant, and then it is due again.
                turn.agenda.put_back(&key);
                *turn.attempts.entry(outcome.as_str()).or_default() += 1;
            }
            // Its time is now the end of a lease.
            Some(Ok((key, Ok(DeliveryOutcome::Abandoned)))) => turn.agenda.read_again(key.partition(), key.at),
            // If its row is still there, the follower delivers it after the turn.
            Some(Ok((_, Ok(_)))) => {}
            Some(Ok((key, Err(error)))) => {
                tracing::warn!(conversation.id = %key.id, %error, "delivery postponed until the clock was turned");
            }
            Some(Err(error)) => tracing::error!(%error, "a delivery panicked"),
        }
        true
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
