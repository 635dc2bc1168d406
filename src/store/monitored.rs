//! A table that measures its operations, and remembers whether anything could be stored lately.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table};
use crate::metrics;
use crate::sync::lock;

/// A table, and the time since when its commits fail.
pub(super) struct MonitoredTable {
    table: Arc<dyn Table>,
    failing: Mutex<Option<Failing>>,
}

/// Commits have failed, and none has succeeded since.
#[derive(Clone, Copy)]
struct Failing {
    first: Instant,
    last: Instant,
}

impl MonitoredTable {
    /// How long commits may fail before the service counts as unhealthy. A failure so long ago says nothing any more.
    const PATIENCE: Duration = Duration::from_mins(1);

    pub(super) fn new(table: Arc<dyn Table>) -> Self {
        Self { table, failing: Mutex::default() }
    }

    /// Whether nothing could be stored for a minute although it was tried.
    pub(super) fn is_failing(&self) -> bool {
        let failing = *lock(&self.failing);
        failing.is_some_and(|f| f.first.elapsed() >= Self::PATIENCE && f.last.elapsed() <= Self::PATIENCE)
    }

    fn note(&self, result: Result<&Vec<Option<Etag>>, &CommitError>) {
        let mut failing = lock(&self.failing);
        match result {
            Err(CommitError::Unavailable(_) | CommitError::Unknown(_)) => {
                let now = Instant::now();
                let first = failing.filter(|f| f.last.elapsed() <= Self::PATIENCE).map_or(now, |f| f.first);
                *failing = Some(Failing { first, last: now });
            }
            Ok(_) | Err(CommitError::Conflict { .. }) => *failing = None,
            Err(CommitError::Refused(_)) => {}
        }
    }
}

fn measure(operation: &'static str, error: Option<&'static str>, began: Instant) {
    metrics::record(|metrics| metrics.storage(operation, error, began.elapsed()));
}

#[async_trait]
impl Table for MonitoredTable {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        let began = Instant::now();
        let result = self.table.commit(partition, operations).await;
        measure("commit", result.as_ref().err().map(CommitError::as_str), began);
        self.note(result.as_ref());
        result
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        let began = Instant::now();
        let result = self.table.get(partition, key).await;
        measure("get", result.as_ref().err().map(StoreError::as_str), began);
        result
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        let began = Instant::now();
        let result = self.table.scan(partition, range, limit).await;
        measure("scan", result.as_ref().err().map(StoreError::as_str), began);
        result
    }
}
