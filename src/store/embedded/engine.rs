//! The storage engine fjall: its options, and the encoding of values.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode};

use super::{OpenError, journal_repair};
use crate::store::{Cause, Etag, Row, StoreError};

/// The version of the format that this code writes. It is also the newest version that it reads.
const FORMAT: u32 = 1;
/// The keys of the format version and of the number of times that the store was opened. No row key begins with NUL.
const FORMAT_KEY: &[u8] = b"\0format";
const OPENED_KEY: &[u8] = b"\0opened";

pub(super) struct Engine {
    database: Database,
    rows: Keyspace,
    /// The number of the last change. The upper bits are the number of times that the store was opened, so no number is
    /// used twice.
    change: AtomicU64,
    /// Set when a write has failed, and never reset, because rows in memory may then not be on the disk.
    failed: AtomicBool,
}

/// A stored value: the number of the row's last change, followed by the text.
pub(super) struct Value(fjall::Slice);

impl Value {
    const PREFIX: usize = size_of::<u64>();

    fn encode(change: u64, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::PREFIX + text.len());
        bytes.extend_from_slice(&change.to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    /// The number of the row's last change. No change has the number 0.
    pub(super) fn change(&self) -> u64 {
        self.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    pub(super) fn row(&self, key: &str) -> Result<Row, StoreError> {
        let text = self.0.get(Self::PREFIX..).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let corrupt =
            || StoreError::Corrupt { key: key.to_owned(), reason: "it is not a value of this store".to_owned() };
        let value = text.ok_or_else(corrupt)?.to_owned();
        Ok(Row { key: key.to_owned(), value, etag: etag(self.change()) })
    }
}

pub(super) fn etag(change: u64) -> Etag {
    Etag::new(change.to_string())
}

impl Engine {
    const CACHE_BYTES: u64 = 16 << 20;
    /// Commits wait for the disk while a memtable is flushed: with this size and 20,000 schedules per second, three
    /// times per second. A larger size would need more memory: under load there are two or three memtables, and they
    /// cause most of the growth of the process.
    const MEMTABLE_BYTES: u64 = 8 << 20;
    const TABLE_BYTES: u64 = 16 << 20;
    const JOURNAL_BYTES: u64 = 64 << 20;
    /// Values from this size on are stored outside the sorted tables, so that compaction does not copy texts.
    const SEPARATE_FROM_BYTES: u32 = 512;
    const OPENED_SHIFT: u32 = 40;

    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error: fjall::Error| match error {
            fjall::Error::Locked => OpenError::Locked(path.to_owned()),
            other => OpenError::Failed { path: path.to_owned(), reason: other.to_string() },
        };
        let database = match Self::database(path) {
            Err(fjall::Error::JournalRecovery(_)) if journal_repair::truncate_torn_tail(path).unwrap_or(false) => {
                tracing::warn!(path = %path.display(), "the last write to the store is incomplete; it was not acknowledged and is dropped");
                Self::database(path)
            }
            result => result,
        };
        let database = database.map_err(failed)?;
        let rows = database.keyspace("rows", Self::options).map_err(failed)?;
        let number = |key: &[u8]| Ok(rows.get(key)?.and_then(|v| v.first_chunk().map(|b| u64::from_be_bytes(*b))));
        let found = number(FORMAT_KEY).map_err(failed)?.map_or(FORMAT, |n| u32::try_from(n).unwrap_or(u32::MAX));
        if found > FORMAT {
            return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        let opened = number(OPENED_KEY).map_err(failed)?.unwrap_or(0) + 1;
        let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&rows, FORMAT_KEY, u64::from(FORMAT).to_be_bytes());
        batch.insert(&rows, OPENED_KEY, opened.to_be_bytes());
        batch.commit().map_err(failed)?;
        Ok(Self {
            database,
            rows,
            change: AtomicU64::new(opened << Self::OPENED_SHIFT),
            failed: AtomicBool::new(false),
        })
    }

    fn database(path: &Path) -> fjall::Result<Database> {
        Database::builder(path)
            .cache_size(Self::CACHE_BYTES)
            // One thread is enough. With two, the second one uses CPU while the first one compacts (fjall 3.1).
            .worker_threads(1)
            .max_journaling_size(Self::JOURNAL_BYTES)
            .max_cached_files(Some(256))
            .manual_journal_persist(true)
            .open()
    }

    fn options() -> KeyspaceCreateOptions {
        KeyspaceCreateOptions::default()
            .max_memtable_size(Self::MEMTABLE_BYTES)
            .manual_journal_persist(true)
            .compaction_strategy(std::sync::Arc::new(
                fjall::compaction::Leveled::default().with_table_target_size(Self::TABLE_BYTES).with_l0_threshold(4),
            ))
            .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(Self::SEPARATE_FROM_BYTES)))
    }

    /// Refuses all calls after a failed write. All acknowledged commits are on the disk, and the next start reads them.
    fn check(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("a write has failed; check the disk and restart".into()));
        }
        Ok(())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.check()?;
        Ok(self.rows.get(key).map_err(unavailable)?.map(Value))
    }

    pub(super) fn scan<T>(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
        mut read: impl FnMut(&[u8], &Value) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.check()?;
        let entries = self.rows.range(from..to).take(limit);
        entries
            .map(|entry| {
                let (key, value) = entry.into_inner().map_err(unavailable)?;
                read(&key, &Value(value))
            })
            .collect()
    }

    /// An empty batch of changes.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { engine: self, batch: self.database.batch().durability(Some(PersistMode::SyncData)) }
    }
}

pub(super) struct Batch<'a> {
    engine: &'a Engine,
    batch: OwnedWriteBatch,
}

impl Batch<'_> {
    /// Writes a row and returns the number of the change.
    pub(super) fn put(&mut self, key: &[u8], text: &str) -> u64 {
        let change = self.engine.change.fetch_add(1, Ordering::Relaxed) + 1;
        self.batch.insert(&self.engine.rows, key, Value::encode(change, text));
        change
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        self.batch.remove(&self.engine.rows, key);
    }

    /// Makes all changes of the batch durable, or none.
    pub(super) fn commit(self) -> Result<(), Cause> {
        let result = self.batch.commit();
        self.engine.failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result.map_err(Into::into)
    }
}

fn unavailable(error: fjall::Error) -> StoreError {
    StoreError::Unavailable(error.into())
}
