//! What all processes of a run share: the time, the table, the queue and the checker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{
    CommitError, ConversationStore, Etag, KeyRange, Operation, Partition, Projection, Row, StoreError, Table,
};
use mcp_scheduler::testing::{Fault, Faults, SimulatedQueue, SimulatedTable};
use mcp_scheduler::time::{Clock, VirtualClock};

use super::extra_row;
use super::fault_plan::{FaultPlan, Profile, TableFault};
use super::host::SweepRun;
use super::index_rows;
use super::invariant_checker::InvariantChecker;
use super::machine::{Machine, Offset};
use super::seeded_rng::SeededRng;

/// 2030-01-01T12:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_893_499_200_000);

pub struct World {
    random: Arc<(SeededRng, FaultPlan)>,
    clock: VirtualClock,
    /// The clock of the machine in a run of one process.
    pub machine: Machine,
    table: SimulatedTable,
    pub queue: SimulatedQueue,
    pub projection: Projection,
    /// The texts of the requests with an idempotency key.
    pub keyed: Mutex<Vec<String>>,
    checker: Mutex<InvariantChecker>,
}

impl World {
    /// A world whose events all follow from the seed. Needs paused time.
    pub fn new(seed: u64, profile: Profile, projection: Projection) -> Arc<Self> {
        let rng = SeededRng::new(seed);
        let faults = FaultPlan::of(&rng, profile);
        let random = Arc::new((rng, faults));
        let clock = VirtualClock::starting_at(START);
        let faults = QueueFaults { random: Arc::clone(&random), clock };
        Arc::new(Self {
            clock,
            machine: Machine { right: clock, offset: Offset::default() },
            table: SimulatedTable::new(()),
            queue: SimulatedQueue::new(faults).hidden_for(Duration::from_mins(10)),
            projection,
            keyed: Mutex::default(),
            checker: Mutex::new(InvariantChecker::new(profile, random.1.date_error)),
            random,
        })
    }

    pub fn rng(&self) -> &SeededRng {
        &self.random.0
    }

    pub fn faults(&self) -> &FaultPlan {
        &self.random.1
    }

    /// The right time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time since the run began.
    pub fn elapsed(&self) -> Duration {
        START.until(self.now())
    }

    /// The time that decides about deliveries: that of the storage, or that of the only machine.
    pub fn deciding(&self) -> Timestamp {
        self.machine.now()
    }

    /// A machine whose clock may be wrong.
    pub fn other_machine(&self) -> Machine {
        let ahead = self.rng().pick(&[0, 0, 90, -90, 3600, -3600]);
        Machine { right: self.clock, offset: Offset::of_seconds(ahead) }
    }

    /// The date of a response of the table: whole seconds, and not always right.
    pub fn date(&self) -> Timestamp {
        let error = self.faults().date_error;
        let date = if error.is_zero() { self.now() } else { self.now() - error + self.rng().up_to(2 * error) };
        Timestamp::from_millis(date.as_secs() * 1000)
    }

    pub fn checker<T>(&self, ask: impl FnOnce(&mut InvariantChecker) -> T) -> T {
        ask(&mut self.checker.lock().unwrap())
    }

    /// Commits with a fault of this run's plan. The checker sees each commit that was applied.
    pub async fn commit(
        self: &Arc<Self>,
        partition: Partition,
        operations: Vec<Operation>,
    ) -> Result<Vec<Option<Etag>>, CommitError> {
        self.network_latency().await;
        match self.faults().on_table_call(self.rng(), SweepRun::is_current()) {
            TableFault::None => self.apply(partition, operations).await,
            TableFault::Refused => Err(CommitError::Unavailable("simulated".into())),
            TableFault::RequestLost => Err(CommitError::Unknown("simulated".into())),
            TableFault::AnswerLost => {
                let _ = self.apply(partition, operations).await;
                Err(CommitError::Unknown("simulated".into()))
            }
            TableFault::AppliedLater => {
                let (world, after) = (Arc::clone(self), self.rng().up_to(Duration::from_secs(90)));
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    let _ = world.apply(partition, operations).await;
                });
                Err(CommitError::Unknown("simulated".into()))
            }
        }
    }

    pub async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        if SweepRun::is_current() {
            self.checker(|checker| checker.punctuality.sweep_reads(key));
        }
        self.before_read().await?;
        self.table.get(partition, key).await
    }

    pub async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.before_read().await?;
        self.table.scan(partition, range, limit).await
    }

    /// A row as it is in the table, without a fault.
    pub async fn stored(&self, partition: Partition, key: &str) -> Option<Row> {
        self.table.get(partition, key).await.unwrap()
    }

    /// All rows of the table.
    pub async fn all_rows(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for partition in ConversationStore::partitions() {
            for prefix in ["m~", "d~", "p~", extra_row::PREFIX].into_iter().chain(index_rows::PREFIXES) {
                let rows = self.table.scan(partition, &KeyRange::prefix(prefix), usize::MAX).await.unwrap();
                all.extend(rows.into_iter().map(|row| (row.key, row.value)));
            }
        }
        all
    }

    /// I10: a request with an idempotency key leads to one conversation, however often it is repeated.
    pub fn check_keys(&self, rows: &BTreeMap<String, String>) -> Vec<String> {
        let keyed = self.keyed.lock().unwrap();
        let is_doubled = |text: &&String| rows.values().filter(|value| value.contains(text.as_str())).count() > 1;
        keyed.iter().filter(is_doubled).map(|text| format!("{} I10 there are two of {text:.40}", self.now())).collect()
    }

    async fn apply(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        let result = self.table.commit(partition, operations.clone()).await;
        if result.is_ok() {
            // No await separates this from the commit, so the checker sees all changes in their order.
            let (now, deciding) = (self.now(), self.deciding());
            let of_conversations: Vec<_> = operations.into_iter().filter(|o| !is_of_key(o)).collect();
            self.checker(|checker| checker.saw_commit(now, deciding, &of_conversations));
        }
        result
    }

    async fn before_read(&self) -> Result<(), StoreError> {
        self.network_latency().await;
        match self.faults().on_table_call(self.rng(), SweepRun::is_current()) {
            TableFault::None => Ok(()),
            _ => Err(StoreError::Unavailable("simulated".into())),
        }
    }

    async fn network_latency(&self) {
        tokio::time::sleep(self.rng().up_to(Duration::from_millis(40))).await;
    }
}

/// Whether an operation changes a row of an idempotency key.
fn is_of_key(operation: &Operation) -> bool {
    ["k~", "e~"].iter().any(|prefix| operation.key().starts_with(prefix))
}

/// The faults of the queue.
struct QueueFaults {
    random: Arc<(SeededRng, FaultPlan)>,
    clock: VirtualClock,
}

impl Faults for QueueFaults {
    fn next(&self) -> Fault {
        let (rng, plan) = &*self.random;
        plan.on_queue_call(rng, START.until(self.clock.now()), SweepRun::is_current())
    }

    fn latency(&self) -> Duration {
        self.random.0.up_to(Duration::from_millis(40))
    }
}
