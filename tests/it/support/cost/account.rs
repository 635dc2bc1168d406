//! A storage account, the processes that use it, and the endpoints to which they deliver.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::outbound::{EndpointResponse, Exchange, OutboundRequest, Route, RouteError, Sender};
use mcp_scheduler::store::{
    CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table, WakeUp, WakeUpQueue,
};
use mcp_scheduler::testing::{SimulatedQueue, SimulatedTable};
use mcp_scheduler::time::{Clock, Entropy, StorageClock, VirtualClock};

use super::counts::{Counts, Kind};
use crate::support::delivery_harness::route_by_name;
use crate::support::simulation::seeded_rng::SeededRng;

/// 2030-01-01T12:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_893_499_200_000);

/// A storage account, and the time. Each operation takes a few milliseconds, as in a data centre.
pub struct Account {
    pub clock: VirtualClock,
    pub rng: SeededRng,
    pub queue: SimulatedQueue,
    table: SimulatedTable,
    counts: Mutex<Counts>,
    delivered: Mutex<Delivered>,
}

/// What the endpoints have received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivered {
    pub requests: u64,
    /// The greatest time from a due time to the request.
    pub lateness: Duration,
}

impl Account {
    /// An empty account. Needs paused time.
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            clock: VirtualClock::starting_at(START),
            rng: SeededRng::new(seed),
            // The host hides a message that it has received for ten minutes.
            queue: SimulatedQueue::new(()).hidden_for(Duration::from_mins(10)),
            table: SimulatedTable::new(()),
            counts: Mutex::default(),
            delivered: Mutex::default(),
        })
    }

    pub fn count(&self, kind: Kind) {
        self.count_many(kind, 1);
    }

    pub fn count_many(&self, kind: Kind, number: u64) {
        self.counts.lock().unwrap().add(kind, number);
    }

    /// What was counted since the last call.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }

    pub fn delivered(&self) -> Delivered {
        *self.delivered.lock().unwrap()
    }

    pub async fn sleep_until(&self, time: Timestamp) {
        tokio::time::sleep(self.clock.now().until(time)).await;
    }

    /// One way of an operation. There and back it takes 2 to 8 ms.
    pub async fn travel(&self) {
        tokio::time::sleep(Duration::from_millis(1 + self.rng.below(4))).await;
    }
}

impl Entropy for Account {
    fn fill(&self, buffer: &mut [u8]) {
        self.rng.fill(buffer);
    }
}

/// One process. It follows the time that the account tells.
#[derive(Clone)]
pub struct Process {
    pub account: Arc<Account>,
    pub clock: Arc<StorageClock>,
    /// The kind of its commits.
    commit: Kind,
}

impl Process {
    pub fn new(account: &Arc<Account>, commit: Kind) -> Self {
        let clock = Arc::new(StorageClock::new(Arc::new(account.clock)));
        Self { account: Arc::clone(account), clock, commit }
    }

    async fn call<T>(&self, kind: Kind, call: impl Future<Output = T>) -> T {
        let sent = self.clock.since_boot();
        self.account.travel().await;
        self.account.count(kind);
        let result = call.await;
        let date = Timestamp::from_millis(self.account.clock.now().as_secs() * 1000);
        self.account.travel().await;
        self.clock.learn(date, sent);
        result
    }
}

#[async_trait]
impl Table for Process {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        self.call(self.commit, self.account.table.commit(partition, operations)).await
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.call(Kind::Read, self.account.table.get(partition, key)).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        const PAGE: usize = 1000;
        assert!(limit <= PAGE, "a scan of more rows takes several operations");
        self.call(Kind::Scan, self.account.table.scan(partition, range, limit)).await
    }
}

#[async_trait]
impl WakeUpQueue for Process {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        self.call(Kind::Put, self.account.queue.enqueue(wake_up, delay)).await
    }

    async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        self.call(Kind::Length, self.account.queue.poison_queue_length()).await
    }
}

#[async_trait]
impl Sender for Process {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        route_by_name(endpoint)
    }

    /// An endpoint that accepts every conversation after 50 to 150 ms.
    async fn send(&self, request: OutboundRequest, _: Route) -> Exchange {
        let (_, due) = request.headers.iter().find(|(name, _)| name == "scheduler-scheduled-time").unwrap();
        let lateness = Timestamp::parse(due.expose()).unwrap().until(self.account.clock.now());
        {
            let mut delivered = self.account.delivered.lock().unwrap();
            delivered.requests += 1;
            delivered.lateness = delivered.lateness.max(lateness);
        }
        let takes = 50 + self.account.rng.below(100);
        tokio::time::sleep(Duration::from_millis(takes)).await;
        let response = EndpointResponse { status: 200, retry_after: None, excerpt: String::new(), body: None };
        Exchange { duration_ms: takes, result: Ok(response) }
    }
}
