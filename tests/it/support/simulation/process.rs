//! A process that can freeze or die at each of its calls.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::delivery::{Deliverer, Worker};
use mcp_scheduler::domain::{ErrorClass, Timestamp};
use mcp_scheduler::maintenance::Sweeper;
use mcp_scheduler::outbound::{EndpointResponse, Exchange, OutboundRequest, Route, RouteError, Sender};
use mcp_scheduler::store::WakeUp;
use mcp_scheduler::store::{
    CommitError, ConversationStore, Etag, GroupedTable, KeyRange, Operation, Partition, ReceivedWakeUp, Row,
    StoreError, Table, WakeUpQueue, WakeUpReceiver,
};
use mcp_scheduler::time::{Clock, Entropy, MachineClock, StorageClock, VirtualClock};
use tokio_util::sync::CancellationToken;

use super::world::World;
use crate::support::app::SIGNING_SECRET;
use crate::support::delivery_harness::route_by_name;

/// One process. After its death, its calls do nothing and never return. A call that was under way still has its effect.
///
/// It runs on a machine of its own, whose clock may be wrong, and follows the time that the table tells.
#[derive(Clone)]
pub struct Process {
    world: Arc<World>,
    dead: CancellationToken,
    pub clock: Arc<StorageClock>,
}

/// The clock of a machine that nobody has set right.
struct WrongClock {
    right: VirtualClock,
    ahead_ms: i64,
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.right.now().as_millis() + self.ahead_ms)
    }
}

impl MachineClock for WrongClock {
    fn since_boot(&self) -> Duration {
        self.right.since_boot()
    }
}

/// The random numbers of the world, which all processes share, as the service reads them.
struct WorldEntropy(Arc<World>);

impl Entropy for WorldEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.rng().fill(buffer);
        if let (true, Some(last)) = (self.0.is_crowded, buffer.last_mut()) {
            // The last digit of an id is its partition.
            *last &= 0xf0;
        }
    }
}

pub fn entropy(world: &Arc<World>) -> Arc<dyn Entropy> {
    Arc::new(WorldEntropy(Arc::clone(world)))
}

impl Process {
    pub fn new(world: &Arc<World>) -> Self {
        let ahead_ms = 1000 * world.rng().pick(&[0, 0, 90, -90, 3600, -3600]);
        let clock = Arc::new(StorageClock::new(Arc::new(WrongClock { right: world.clock, ahead_ms })));
        Self { world: Arc::clone(world), dead: CancellationToken::new(), clock }
    }

    /// The conversations, as this process reads and changes them.
    pub fn store(&self) -> ConversationStore {
        let table = GroupedTable::new(Arc::new(self.clone()));
        ConversationStore::with_projection(Arc::new(table), self.world.projection.clone())
    }

    /// Starts the real worker in its own process.
    pub fn start_worker(world: &Arc<World>) -> Self {
        let process = Self::new(world);
        let wake_ups: Arc<dyn WakeUpQueue> = Arc::new(process.clone());
        let store = process.store();
        let clock = Arc::clone(&process.clock);
        let deliverer = Deliverer::new(
            store.clone(),
            Arc::clone(&wake_ups),
            Arc::new(process.clone()),
            SIGNING_SECRET.parse().unwrap(),
            Arc::clone(&clock) as _,
            entropy(world),
        );
        let sweeper = Sweeper::new(store, Arc::clone(&wake_ups), clock);
        let worker = Worker::new(Arc::new(deliverer), sweeper, wake_ups, Arc::new(process.clone()));
        let dead = process.dead.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = dead.cancelled() => {}
                () = worker.run(CancellationToken::new()) => {}
            }
        });
        process
    }

    pub fn kill(&self) {
        self.dead.cancel();
    }

    /// Returns when the process has died by itself or been killed.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.may_die_or_freeze().await;
        let result = call.await;
        self.may_die_or_freeze().await;
        result
    }

    /// Sends a request to the table, whose response has a date unless it is lost.
    async fn ask<T, E>(&self, call: impl Future<Output = Result<T, E>>, is_lost: fn(&E) -> bool) -> Result<T, E> {
        let sent = self.clock.since_boot();
        let result = call.await;
        let answered = self.world.now().as_secs();
        self.may_die_or_freeze().await;
        if !result.as_ref().is_err_and(is_lost) {
            self.clock.learn(Timestamp::from_millis(answered * 1000), sent);
        }
        result
    }

    async fn may_die_or_freeze(&self) {
        let (rng, faults) = (self.world.rng(), self.world.faults());
        if !faults.is_stopped() {
            if rng.chance(faults.process_dies) {
                self.world.checker(|checker| checker.tally.deaths += 1);
                self.kill();
            }
            if rng.chance(faults.process_freezes) {
                self.world.checker(|checker| checker.tally.freezes += 1);
                tokio::time::sleep(rng.up_to(Duration::from_mins(4))).await;
            }
        }
        self.still_alive().await;
    }

    async fn still_alive(&self) {
        if self.dead.is_cancelled() {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Table for Process {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        let is_lost = |error: &CommitError| matches!(error, CommitError::Unknown(_));
        self.call(self.ask(self.world.commit(partition, operations), is_lost)).await
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.call(self.ask(self.world.get(partition, key), |_| true)).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        // There are sixteen scans a minute. A process would die at them nearly always, and rarely at another call.
        self.still_alive().await;
        let rows = self.world.scan(partition, range, limit).await;
        self.still_alive().await;
        rows
    }
}

#[async_trait]
impl WakeUpQueue for Process {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        let (rng, faults) = (self.world.rng(), self.world.faults());
        let early = !faults.is_stopped() && rng.chance(faults.wake_up_early);
        let delay = if early { delay.saturating_sub(rng.up_to(Duration::from_secs(90))) } else { delay };
        self.call(self.world.queue.enqueue(wake_up, delay)).await
    }

    fn horizon(&self) -> Duration {
        self.world.queue.horizon()
    }

    fn retained_since(&self) -> Timestamp {
        self.world.queue.retained_since()
    }
}

#[async_trait]
impl WakeUpReceiver for Process {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        tokio::select! {
            biased;
            () = self.died() => pending().await,
            received = self.world.queue.receive(max) => received,
        }
    }

    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError> {
        self.world.queue.delete(received).await
    }
}

#[async_trait]
impl Sender for Process {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        route_by_name(endpoint)
    }

    /// The endpoint: it accepts the conversation or not, after some time, and its answer may come too late.
    ///
    /// A process does not freeze between its last check and the first byte: only the endpoint itself could detect that.
    async fn send(&self, request: OutboundRequest, _: Route) -> Exchange {
        self.still_alive().await;
        let (world, rng) = (&self.world, self.world.rng());
        let sending = world.checker(|checker| checker.saw_begin(world.now(), &request));
        let takes_it = rng.chance(world.faults().endpoint_takes_it);
        let answers = rng.chance(900);
        let takes = if answers { rng.up_to(request.timeout) } else { request.timeout };
        tokio::time::sleep(takes).await;
        world.checker(|checker| checker.saw_end(world.now(), &sending, takes_it));
        self.may_die_or_freeze().await;
        let status = if takes_it { 200 } else { rng.pick(&[503, 503, 503, 429, 410]) };
        let answer = EndpointResponse { status, retry_after: None, excerpt: String::new() };
        Exchange {
            duration_ms: u64::try_from(takes.as_millis()).unwrap(),
            result: if answers { Ok(answer) } else { Err(ErrorClass::TotalTimeout) },
        }
    }
}
