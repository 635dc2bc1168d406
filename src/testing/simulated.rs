//! A table in memory with injected faults.
//!
//! The conformance suite runs on it, so it keeps the promises of the real backends. It uses tokio's time, which tests
//! pause. Before each call it asks [`Faults`] which fault to inject.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::store::{
    CommitError, Etag, KeyRange, MemoryTable, Operation, Partition, Row, StoreError, Table, check_operations,
};

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
    table: MemoryTable,
    faults: Arc<dyn Faults>,
}

impl SimulatedTable {
    /// An empty table.
    pub fn new(faults: impl Faults) -> Self {
        Self { table: MemoryTable::default(), faults: Arc::new(faults) }
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
            Fault::None | Fault::Doubled => self.table.commit(partition, operations).await,
            Fault::Refused => Err(CommitError::Unavailable("simulated".into())),
            Fault::RequestLost => Err(CommitError::Unknown("simulated".into())),
            Fault::AnswerLost => {
                let _ = self.table.commit(partition, operations).await;
                Err(CommitError::Unknown("simulated".into()))
            }
        }
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.before_read().await?;
        self.table.get(partition, key).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.before_read().await?;
        self.table.scan(partition, range, limit).await
    }
}
