//! A table that counts what is read from it and notes the keys that are read and written.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::store::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table};
use mcp_scheduler::testing::SimulatedTable;

pub struct CountingTable {
    table: SimulatedTable,
    scans: AtomicUsize,
    rows: AtomicUsize,
    bytes: AtomicUsize,
    keys: Mutex<Vec<String>>,
    /// How long each scan blocks its thread, as a scan of the embedded store does while it reads from the disk.
    scan_blocks: Duration,
    /// The scans that are under way, and the highest number of them.
    scans_at_once: Mutex<(usize, usize)>,
}

/// What was read since the last call of [`CountingTable::take`].
#[derive(Debug, PartialEq, Eq)]
pub struct Counted {
    /// The number of scans.
    pub scans: usize,
    /// The rows that scans returned.
    pub rows: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The keys of point reads and of commits.
    pub keys: Vec<String>,
}

impl CountingTable {
    pub fn new() -> Self {
        Self::with_slow_scans(Duration::ZERO)
    }

    pub fn with_slow_scans(scan_blocks: Duration) -> Self {
        Self {
            table: SimulatedTable::new(()),
            scans: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            keys: Mutex::default(),
            scan_blocks,
            scans_at_once: Mutex::default(),
        }
    }

    pub fn take(&self) -> Counted {
        let keys = std::mem::take(&mut *self.keys.lock().unwrap());
        let (scans, rows) = (self.scans.swap(0, SeqCst), self.rows.swap(0, SeqCst));
        Counted { scans, rows, bytes: self.bytes.swap(0, SeqCst), keys }
    }

    /// The highest number of scans that were under way at one time.
    pub fn most_scans(&self) -> usize {
        self.scans_at_once.lock().unwrap().1
    }

    fn note(&self, key: &str) {
        self.keys.lock().unwrap().push(key.to_owned());
    }
}

#[async_trait]
impl Table for CountingTable {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        for operation in &operations {
            self.note(operation.key());
        }
        self.table.commit(partition, operations).await
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.note(key);
        self.table.get(partition, key).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        if !self.scan_blocks.is_zero() {
            {
                let mut scans = self.scans_at_once.lock().unwrap();
                scans.0 += 1;
                scans.1 = scans.1.max(scans.0);
            }
            std::thread::sleep(self.scan_blocks);
            self.scans_at_once.lock().unwrap().0 -= 1;
        }
        let rows = self.table.scan(partition, range, limit).await?;
        self.scans.fetch_add(1, SeqCst);
        self.rows.fetch_add(rows.len(), SeqCst);
        self.bytes.fetch_add(rows.iter().map(|row| row.value.len()).sum(), SeqCst);
        Ok(rows)
    }
}
