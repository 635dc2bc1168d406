//! A table with random faults that writes down each transaction it has applied.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::store::{
    CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table, check_operations,
};
use mcp_scheduler::testing::SimulatedTable;
use tokio::time::sleep;

use crate::support::simulation::seeded_rng::SeededRng;

type CommitResult = Result<Vec<Option<Etag>>, CommitError>;

/// A transaction that was applied.
pub struct Applied {
    pub partition: Partition,
    pub operations: Vec<Operation>,
    pub etags: Vec<Option<Etag>>,
}

#[derive(Clone)]
pub struct Journal {
    rng: Arc<SeededRng>,
    table: SimulatedTable,
    applied: Arc<Mutex<Vec<Applied>>>,
    /// How many of a thousand transactions have a fault.
    faults: u64,
}

impl Journal {
    pub fn new(rng: Arc<SeededRng>) -> Self {
        let faults = rng.pick(&[0, 50, 300]);
        Self { rng, table: SimulatedTable::new(()), applied: Arc::default(), faults }
    }

    /// The number of transactions that were applied until now.
    pub fn len(&self) -> usize {
        self.applied.lock().unwrap().len()
    }

    pub fn take(&self) -> Vec<Applied> {
        std::mem::take(&mut self.applied.lock().unwrap())
    }

    async fn apply(&self, partition: Partition, operations: Vec<Operation>) -> CommitResult {
        let etags = self.table.commit(partition, operations.clone()).await?;
        // No await separates this from the commit, so the transactions are in the order of their effects.
        self.applied.lock().unwrap().push(Applied { partition, operations, etags: etags.clone() });
        Ok(etags)
    }

    fn apply_late(&self, partition: Partition, operations: Vec<Operation>) {
        let journal = self.clone();
        tokio::spawn(async move {
            sleep(journal.rng.up_to(Duration::from_secs(3))).await;
            let _ = journal.apply(partition, operations).await;
        });
    }

    async fn fail(&self, partition: Partition, operations: Vec<Operation>) -> CommitResult {
        let unknown = || CommitError::Unknown("simulated".into());
        match self.rng.below(6) {
            0 => Err(CommitError::Unavailable("simulated".into())),
            1 => Err(CommitError::Refused("simulated".to_owned())),
            2 => Err(unknown()),
            3 => self.apply(partition, operations).await.and(Err(unknown())),
            4 => {
                self.apply_late(partition, operations);
                Err(unknown())
            }
            // The service does not name the operation.
            _ => self.apply(partition, operations).await.map_err(|error| match error {
                CommitError::Conflict { .. } => CommitError::Conflict { operation: None },
                other => other,
            }),
        }
    }
}

#[async_trait]
impl Table for Journal {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> CommitResult {
        check_operations(&operations).expect("the layer sends only transactions that the service allows");
        let longest = Duration::from_millis(self.rng.pick(&[5, 50, 50, 4000]));
        sleep(self.rng.up_to(longest)).await;
        let result = if self.rng.chance(self.faults) {
            self.fail(partition, operations).await
        } else {
            self.apply(partition, operations).await
        };
        sleep(self.rng.up_to(longest)).await;
        result
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.table.get(partition, key).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.table.scan(partition, range, limit).await
    }
}
