//! The shared transactions of a process, with a check that a commit gets only its own conflict.

use std::sync::Arc;

use async_trait::async_trait;
use mcp_scheduler::store::{CommitError, Etag, GroupedTable, KeyRange, Operation, Partition, Row, StoreError, Table};

use super::process::Process;
use super::world::World;

pub struct OwnConflicts {
    world: Arc<World>,
    table: GroupedTable,
}

impl OwnConflicts {
    pub fn new(world: &Arc<World>, process: Process) -> Self {
        Self { world: Arc::clone(world), table: GroupedTable::new(Arc::new(process)) }
    }

    /// Whether a condition that fails once fails for ever: an etag never comes back, and a main row is never deleted.
    fn stays_broken(operation: &Operation) -> bool {
        match operation {
            Operation::Insert { key, .. } => key.starts_with("m~"),
            Operation::Replace { if_match, .. } | Operation::Delete { if_match, .. } => if_match.is_some(),
        }
    }
}

#[async_trait]
impl Table for OwnConflicts {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        let result = self.table.commit(partition, operations.clone()).await;
        if let Err(CommitError::Conflict { operation: Some(position) }) = &result {
            let operation = &operations[*position];
            let current = self.world.stored(partition, operation.key()).await;
            if Self::stays_broken(operation) && operation.is_applicable(current.as_ref().map(|row| &row.etag)) {
                let (now, key) = (self.world.now(), operation.key());
                self.world
                    .checker(|checker| checker.violated(now, &format!("G {key} has the conflict of another commit")));
            }
        }
        result
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.table.get(partition, key).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.table.scan(partition, range, limit).await
    }
}
