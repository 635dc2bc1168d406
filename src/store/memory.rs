//! A table in memory, of which nothing is kept.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table, check_operations};
use crate::sync::lock;

/// A table in memory. It ends with the process, so unlike other tables it survives no crash.
#[derive(Clone, Default)]
pub struct MemoryTable(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    partitions: BTreeMap<Partition, BTreeMap<String, (u64, String)>>,
    changes: u64,
}

#[async_trait]
impl Table for MemoryTable {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        check_operations(&operations)?;
        lock(&self.0).apply(partition, operations)
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        let rows = lock(&self.0);
        let found = rows.partitions.get(&partition).and_then(|rows| rows.get(key));
        Ok(found.map(|(version, value)| row(key, *version, value)))
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        let rows = lock(&self.0);
        let Some(rows) = rows.partitions.get(&partition).filter(|_| range.from < range.to) else {
            return Ok(Vec::new());
        };
        let found = rows.range::<str, _>((Bound::Included(&*range.from), Bound::Excluded(&*range.to))).take(limit);
        Ok(found.map(|(key, (version, value))| row(key, *version, value)).collect())
    }
}

fn row(key: &str, version: u64, value: &str) -> Row {
    Row { key: key.to_owned(), value: value.to_owned(), etag: etag(version) }
}

fn etag(version: u64) -> Etag {
    Etag::new(version.to_string())
}

impl Rows {
    fn apply(&mut self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        let rows = self.partitions.entry(partition).or_default();
        let refused = operations.iter().position(|operation| {
            let current = rows.get(operation.key()).map(|(version, _)| etag(*version));
            !operation.is_applicable(current.as_ref())
        });
        if let Some(position) = refused {
            return Err(CommitError::Conflict { operation: Some(position) });
        }
        let apply = |operation| match operation {
            Operation::Insert { key, value } | Operation::Replace { key, value, .. } => {
                self.changes += 1;
                rows.insert(key, (self.changes, value));
                Some(etag(self.changes))
            }
            Operation::Delete { key, .. } => {
                rows.remove(&key);
                None
            }
        };
        Ok(operations.into_iter().map(apply).collect())
    }
}
