//! What all processes of a run share: the clock, the table, the queue and the checker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{
    CommitError, ConversationStore, Etag, KeyRange, Operation, Partition, Projection, Row, StoreError, Table,
};
use mcp_scheduler::testing::{Fault, SimulatedQueue, SimulatedTable};
use mcp_scheduler::time::{Clock, VirtualClock};

use super::extra_row;
use super::invariant_checker::InvariantChecker;
use super::seeded_rng::{FaultPlan, QueueFaults, SeededRng};

/// 2030-01-01T12:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_893_499_200_000);

pub struct World {
    random: Arc<(SeededRng, FaultPlan)>,
    pub clock: VirtualClock,
    table: SimulatedTable,
    pub queue: SimulatedQueue,
    pub projection: Projection,
    /// Whether all conversations are in one partition and due at nearly the same time, so that their commits meet.
    pub is_crowded: bool,
    checker: Mutex<InvariantChecker>,
}

impl World {
    /// A world whose events all follow from the seed. Needs paused time.
    pub fn new(seed: u64) -> Arc<Self> {
        Self::create(seed, Projection::default(), false)
    }

    /// A world whose commits share transactions.
    pub fn crowded(seed: u64) -> Arc<Self> {
        Self::create(seed, Projection::default(), true)
    }

    /// A world whose conversations have more kinds of rows.
    pub fn with_projection(seed: u64, projection: Projection) -> Arc<Self> {
        Self::create(seed, projection, false)
    }

    fn create(seed: u64, projection: Projection, is_crowded: bool) -> Arc<Self> {
        let rng = SeededRng::new(seed);
        let faults = FaultPlan::of(&rng);
        let random = Arc::new((rng, faults));
        Arc::new(Self {
            clock: VirtualClock::starting_at(START),
            table: SimulatedTable::new(()),
            queue: SimulatedQueue::new(QueueFaults(Arc::clone(&random))),
            projection,
            is_crowded,
            checker: Mutex::new(InvariantChecker::default()),
            random,
        })
    }

    pub fn rng(&self) -> &SeededRng {
        &self.random.0
    }

    pub fn faults(&self) -> &FaultPlan {
        &self.random.1
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn checker<T>(&self, ask: impl FnOnce(&mut InvariantChecker) -> T) -> T {
        ask(&mut self.checker.lock().unwrap())
    }

    /// Commits with a fault of this run's plan. The checker sees each commit that was applied.
    pub async fn commit(
        &self,
        partition: Partition,
        operations: Vec<Operation>,
    ) -> Result<Vec<Option<Etag>>, CommitError> {
        self.network_latency().await;
        match self.faults().on_table_call(self.rng()) {
            Fault::None | Fault::Doubled => self.apply(partition, operations).await,
            Fault::Refused => Err(CommitError::Unavailable("simulated".into())),
            Fault::RequestLost => Err(CommitError::Unknown("simulated".into())),
            Fault::AnswerLost => {
                let _ = self.apply(partition, operations).await;
                Err(CommitError::Unknown("simulated".into()))
            }
        }
    }

    pub async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.before_read().await?;
        self.table.get(partition, key).await
    }

    pub async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.before_read().await?;
        self.table.scan(partition, range, limit).await
    }

    /// All rows of the table.
    pub async fn all_rows(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for partition in ConversationStore::partitions() {
            for prefix in ["m~", "d~", "p~", extra_row::PREFIX] {
                let rows = self.table.scan(partition, &KeyRange::prefix(prefix), usize::MAX).await.unwrap();
                all.extend(rows.into_iter().map(|row| (row.key, row.value)));
            }
        }
        all
    }

    async fn apply(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        let result = self.table.commit(partition, operations.clone()).await;
        if result.is_ok() {
            // No await separates this from the commit, so the checker sees all changes in their order.
            let now = self.now();
            self.checker(|checker| checker.saw_commit(now, &operations));
        }
        result
    }

    async fn before_read(&self) -> Result<(), StoreError> {
        self.network_latency().await;
        match self.faults().on_table_call(self.rng()) {
            Fault::None | Fault::Doubled => Ok(()),
            _ => Err(StoreError::Unavailable("simulated".into())),
        }
    }

    async fn network_latency(&self) {
        if !self.faults().is_stopped() {
            tokio::time::sleep(self.rng().up_to(Duration::from_millis(40))).await;
        }
    }
}
