//! A table in memory with injected faults.
//!
//! The conformance suite runs on it, so it keeps the promises of the real backends. It uses tokio's time, which tests
//! pause. Before each call it asks [`Faults`] which fault to inject.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use crate::store::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table, check_operations};
use crate::sync::lock;

/// The fault of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// The call succeeds.
    #[default]
    None,
    /// The call is refused: it has no effect, and the caller learns that.
    Refused,
    /// The request is lost: the call has no effect, and the caller does not learn that.
    RequestLost,
    /// The response is lost: the call has its effect, and the caller does not learn that.
    AnswerLost,
    /// The call has its effect twice (queue only).
    Doubled,
}

/// Chooses the fault and the duration of each call.
pub trait Faults: Send + Sync + 'static {
    /// The fault of the next call.
    fn next(&self) -> Fault {
        Fault::None
    }

    /// The duration of the next call.
    fn latency(&self) -> Duration {
        Duration::ZERO
    }
}

/// No faults.
impl Faults for () {}

/// A table in memory.
#[derive(Clone)]
pub struct SimulatedTable {
    rows: Arc<Mutex<Rows>>,
    faults: Arc<dyn Faults>,
}

#[derive(Default)]
struct Rows {
    map: BTreeMap<(Partition, String), (u64, String)>,
    changes: u64,
}

impl SimulatedTable {
    /// An empty table.
    pub fn new(faults: impl Faults) -> Self {
        Self { rows: Arc::default(), faults: Arc::new(faults) }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        lock(&self.rows)
    }

    async fn fault(&self) -> Fault {
        tokio::time::sleep(self.faults.latency()).await;
        self.faults.next()
    }

    async fn before_read(&self) -> Result<(), StoreError> {
        match self.fault().await {
            Fault::None | Fault::Doubled => Ok(()),
            Fault::Refused | Fault::RequestLost | Fault::AnswerLost => Err(StoreError::Unavailable("simulated".into())),
        }
    }
}

#[async_trait]
impl Table for SimulatedTable {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        check_operations(&operations)?;
        match self.fault().await {
            Fault::None | Fault::Doubled => self.rows().apply(partition, &operations),
            Fault::Refused => Err(CommitError::Unavailable("simulated".into())),
            Fault::RequestLost => Err(CommitError::Unknown("simulated".into())),
            Fault::AnswerLost => {
                let _ = self.rows().apply(partition, &operations);
                Err(CommitError::Unknown("simulated".into()))
            }
        }
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.before_read().await?;
        let rows = self.rows();
        let found = rows.map.get(&(partition, key.to_owned()));
        Ok(found.map(|(version, value)| row(key, *version, value)))
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.before_read().await?;
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let rows = self.rows();
        let range = rows.map.range((partition, range.from.clone())..(partition, range.to.clone()));
        Ok(range.take(limit).map(|((_, key), (version, value))| row(key, *version, value)).collect())
    }
}

fn row(key: &str, version: u64, value: &str) -> Row {
    Row { key: key.to_owned(), value: value.to_owned(), etag: etag(version) }
}

fn etag(version: u64) -> Etag {
    Etag::new(version.to_string())
}

impl Rows {
    fn apply(&mut self, partition: Partition, operations: &[Operation]) -> Result<Vec<Option<Etag>>, CommitError> {
        let etag_of = |key: &str| self.map.get(&(partition, key.to_owned())).map(|(version, _)| etag(*version));
        let refused = operations.iter().position(|operation| {
            let current = etag_of(operation.key());
            !operation.is_applicable(current.as_ref())
        });
        match refused {
            Some(position) => Err(CommitError::Conflict { operation: Some(position) }),
            None => Ok(operations.iter().map(|operation| self.apply_one(partition, operation)).collect()),
        }
    }

    fn apply_one(&mut self, partition: Partition, operation: &Operation) -> Option<Etag> {
        match operation {
            Operation::Insert { key, value } | Operation::Replace { key, value, .. } => {
                self.changes += 1;
                self.map.insert((partition, key.clone()), (self.changes, value.clone()));
                Some(etag(self.changes))
            }
            Operation::Delete { key, .. } => {
                self.map.remove(&(partition, key.clone()));
                None
            }
        }
    }
}
