//! A process that may freeze or die at any of its calls.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::clock::Entropy;
use mcp_scheduler::delivery::{Answer, Deliverer, DeliveryRequest, Exchange, Sender, Sweeper, Worker};
use mcp_scheduler::domain::{ErrorClass, Hint, Timestamp};
use mcp_scheduler::store::{
    ConversationStore, Etag, HintQueue, HintReceiver, KeyRange, Operation, Partition, ReceivedHint, Row, StoreError,
    Table,
};
use tokio_util::sync::CancellationToken;

use super::world::World;
use crate::support::app::SIGNING_SECRET;

/// One process. Once it is dead, none of its calls does anything or returns; what it had asked for
/// by then happens all the same.
#[derive(Clone)]
pub struct Process {
    world: Arc<World>,
    dead: CancellationToken,
}

/// The world's chance as seen by the product: the same numbers for everybody.
struct Chance(Arc<World>);

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.dice().fill(buffer);
    }
}

pub fn entropy(world: &Arc<World>) -> Arc<dyn Entropy> {
    Arc::new(Chance(Arc::clone(world)))
}

impl Process {
    pub fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), dead: CancellationToken::new() }
    }

    /// Starts the real worker in a process of its own.
    pub fn start_worker(world: &Arc<World>) -> Self {
        let process = Self::new(world);
        let hints: Arc<dyn HintQueue> = Arc::new(process.clone());
        let store = ConversationStore::new(Arc::new(process.clone()));
        let clock = Arc::new(world.clock);
        let deliverer = Deliverer::new(
            store.clone(),
            Arc::clone(&hints),
            Arc::new(process.clone()),
            SIGNING_SECRET.parse().unwrap(),
            Arc::clone(&clock) as _,
            entropy(world),
        );
        let sweeper = Sweeper::new(store, Arc::clone(&hints), clock);
        let worker = Worker::new(Arc::new(deliverer), sweeper, hints, Arc::new(process.clone()));
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
        self.hazard().await;
        let result = call.await;
        self.hazard().await;
        result
    }

    async fn hazard(&self) {
        let (dice, weather) = (self.world.dice(), self.world.weather());
        if !weather.is_calm() {
            if dice.chance(weather.process_dies) {
                self.world.judge(|judge| judge.tally.deaths += 1);
                self.kill();
            }
            if dice.chance(weather.process_freezes) {
                self.world.judge(|judge| judge.tally.freezes += 1);
                tokio::time::sleep(dice.up_to(Duration::from_mins(4))).await;
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
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, StoreError> {
        self.call(self.world.commit(partition, operations)).await
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.call(self.world.get(partition, key)).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        // Sixteen a minute: these would be nearly all of the calls that a process dies at.
        self.still_alive().await;
        let rows = self.world.scan(partition, range, limit).await;
        self.still_alive().await;
        rows
    }
}

#[async_trait]
impl HintQueue for Process {
    async fn put(&self, hint: &Hint, delay: Duration) -> Result<(), StoreError> {
        let (dice, weather) = (self.world.dice(), self.world.weather());
        let early = !weather.is_calm() && dice.chance(weather.hint_early);
        let delay = if early { delay.saturating_sub(dice.up_to(Duration::from_secs(90))) } else { delay };
        self.call(self.world.queue.put(hint, delay)).await
    }

    fn horizon(&self) -> Duration {
        self.world.queue.horizon()
    }

    fn remembers_since(&self) -> Timestamp {
        self.world.queue.remembers_since()
    }
}

#[async_trait]
impl HintReceiver for Process {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedHint>, StoreError> {
        tokio::select! {
            biased;
            () = self.died() => pending().await,
            received = self.world.queue.receive(max) => received,
        }
    }

    async fn delete(&self, received: &ReceivedHint) -> Result<(), StoreError> {
        self.world.queue.delete(received).await
    }
}

#[async_trait]
impl Sender for Process {
    /// The endpoint: takes it or does not, in its own time, and its answer may come too late.
    ///
    /// A process does not freeze between its last check and the first byte: nothing but the endpoint
    /// itself could guard against that.
    async fn send(&self, request: DeliveryRequest) -> Exchange {
        self.still_alive().await;
        let (world, dice) = (&self.world, self.world.dice());
        let sending = world.judge(|judge| judge.saw_begin(world.now(), &request));
        let takes_it = dice.chance(world.weather().endpoint_takes_it);
        let answers = dice.chance(900);
        let takes = if answers { dice.up_to(request.timeout) } else { request.timeout };
        tokio::time::sleep(takes).await;
        world.judge(|judge| judge.saw_end(world.now(), &sending, takes_it));
        self.hazard().await;
        let status = if takes_it { 200 } else { dice.pick(&[503, 503, 503, 429, 410]) };
        let answer = Answer { status, retry_after: None, excerpt: String::new() };
        Exchange {
            duration_ms: u64::try_from(takes.as_millis()).unwrap(),
            result: if answers { Ok(answer) } else { Err(ErrorClass::TotalTimeout) },
        }
    }
}
