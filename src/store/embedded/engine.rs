//! The storage engine fjall: its options, and the encoding of values.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{
    AbstractTree as _, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode,
};

use super::OpenError;
use super::journals::{decode_sequence, encode_sequence, truncate_torn_tail};
use super::place::Place;
use crate::store::{Cause, Etag, Row, StoreError};

/// The version of the format that this code writes. It is also the newest version that it reads.
const FORMAT: u32 = 1;
/// The keys of the format version, of the number of times that the store was opened, and of the number of the last
/// commit. No row key begins with NUL.
const FORMAT_KEY: &[u8] = b"\0format";
const OPENED_KEY: &[u8] = b"\0opened";
const SEQUENCE_KEY: &[u8] = b"\0sequence";

/// How the engine runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct EngineOptions {
    /// How many files it keeps open.
    pub(super) max_files: usize,
    /// Whether it moves data from memory to tables and compacts them. Reading, writing and recovery work without.
    pub(super) background: bool,
    /// Whether its own entries may be damaged, because the store is only read.
    pub(super) salvage: bool,
}

/// A store that was recovered, and to which nothing has been written yet.
pub(super) struct Recovered {
    database: Database,
    rows: Keyspace,
    path: PathBuf,
    opened: u64,
    /// The number of the last commit that was found.
    pub(super) sequence: u64,
    /// The number of the last commit that is in tables, and so needs no journal.
    pub(super) persisted: u64,
}

pub(super) struct Engine {
    database: Database,
    rows: Keyspace,
    path: PathBuf,
    place: Place,
    /// The number of the last change. The upper bits are the number of times that the store was opened, so no number is
    /// used twice.
    change: AtomicU64,
    /// The number of the last commit.
    sequence: AtomicU64,
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

impl Recovered {
    /// Opens a store, or creates it.
    pub(super) fn open(path: &Path, options: EngineOptions) -> Result<Self, OpenError> {
        let failed = |error: fjall::Error| match error {
            fjall::Error::Locked => OpenError::Locked(path.to_owned()),
            damage if is_damage(&damage) => OpenError::damaged(path, &damage),
            other => OpenError::failed(path, &other),
        };
        let database = match Engine::database(path, options) {
            Err(fjall::Error::JournalRecovery(_)) if truncate_torn_tail(path).unwrap_or(false) => {
                Engine::database(path, options)
            }
            result => result,
        };
        let database = database.map_err(failed)?;
        let rows = database.keyspace("rows", Engine::options).map_err(failed)?;
        // This is read first, because a flush in the background would raise it.
        let persisted = rows.tree.get_highest_persisted_seqno();
        let persisted = match persisted {
            Some(last) if !options.salvage => {
                rows.tree.get(SEQUENCE_KEY, last + 1).map_err(|error| failed(error.into()))?
            }
            _ => None,
        };
        let get = |key: &[u8]| match rows.get(key) {
            Err(damage) if options.salvage && is_damage(&damage) => Ok(None),
            result => result,
        };
        let number = |key: &[u8]| Ok(get(key)?.and_then(|v| v.first_chunk().map(|b| u64::from_be_bytes(*b))));
        let found = number(FORMAT_KEY).map_err(failed)?.map_or(FORMAT, |n| u32::try_from(n).unwrap_or(u32::MAX));
        if found > FORMAT {
            return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        let opened = number(OPENED_KEY).map_err(failed)?.unwrap_or(0);
        let sequence = get(SEQUENCE_KEY).map_err(failed)?.as_deref().and_then(decode_sequence);
        Ok(Self {
            path: path.to_owned(),
            opened,
            sequence: sequence.unwrap_or(0),
            persisted: persisted.as_deref().and_then(decode_sequence).unwrap_or(0),
            database,
            rows,
        })
    }

    /// Makes the store writable, and counts this opening.
    pub(super) fn start(self) -> Result<Engine, OpenError> {
        let (path, opened) = (self.path.clone(), self.opened + 1);
        let failed = |error: Cause| OpenError::failed(&path, &error);
        let engine = self.into_engine().map_err(|error| failed(error.into()))?;
        engine.change.store(opened << Engine::OPENED_SHIFT, Ordering::Relaxed);
        let mut batch = engine.batch();
        batch.writes.insert(&engine.rows, FORMAT_KEY, u64::from(FORMAT).to_be_bytes());
        batch.writes.insert(&engine.rows, OPENED_KEY, opened.to_be_bytes());
        batch.commit().map_err(|error| failed(error.into_cause()))?;
        Ok(engine)
    }

    /// Makes a new store writable that will contain rows of another store. `change` is the highest change number of
    /// those rows, so that no etag is used twice.
    pub(super) fn start_after(mut self, change: u64) -> Result<Engine, OpenError> {
        self.opened = self.opened.max(change >> Engine::OPENED_SHIFT);
        self.start()
    }

    /// The engine for reading: nothing is written.
    pub(super) fn into_engine(self) -> io::Result<Engine> {
        Ok(Engine {
            place: Place::of(&self.path)?,
            path: self.path,
            database: self.database,
            rows: self.rows,
            change: AtomicU64::new(self.opened << Engine::OPENED_SHIFT),
            sequence: AtomicU64::new(self.sequence),
        })
    }
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

    fn database(path: &Path, options: EngineOptions) -> fjall::Result<Database> {
        let builder = Database::builder(path)
            .cache_size(Self::CACHE_BYTES)
            // One thread is enough. With two, the second one uses CPU while the first one compacts (fjall 3.1).
            .worker_threads_unchecked(usize::from(options.background))
            .max_journaling_size(Self::JOURNAL_BYTES)
            .max_cached_files(Some(options.max_files))
            .manual_journal_persist(true);
        // Some damage makes the engine panic instead of returning an error.
        catch_unwind(AssertUnwindSafe(|| builder.open())).unwrap_or(Err(fjall::Error::Unrecoverable))
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

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let value = self.rows.get(key).map_err(|error| unreadable(key, error))?;
        Ok(value.map(Value))
    }

    /// Reads up to `limit` rows from `from` on, and stops at the first row that cannot be read.
    pub(super) fn read(&self, from: &[u8], to: &[u8], limit: usize) -> Stretch {
        let mut stretch = Stretch { rows: Vec::new(), end: End::Reached };
        for entry in self.rows.range(from..to).take(limit) {
            let key = RefCell::new(None);
            let row = entry.into_inner_if(|found| {
                key.replace(Some(found.clone()));
                true
            });
            match row {
                Ok((key, value)) => stretch.rows.extend(value.map(|value| (key, Value(value)))),
                Err(error) => {
                    stretch.end = if is_damage(&error) {
                        End::Damaged { key: key.into_inner(), error }
                    } else {
                        End::Failed(error)
                    };
                    break;
                }
            }
        }
        stretch
    }

    /// Checks that the engine accepts writes and that its files are in place. The engine may have failed in the
    /// background.
    pub(super) fn check(&self) -> Result<(), Cause> {
        self.database.persist(PersistMode::Buffer)?;
        Ok(self.place.check_all()?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn next_change(&self) -> u64 {
        self.change.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the last change.
    pub(super) fn changes(&self) -> u64 {
        self.change.load(Ordering::Relaxed)
    }

    /// The entries of the tables, about.
    pub(super) fn entries(&self) -> Entries {
        Entries { all: self.rows.tree.approximate_len() as u64, removals: self.rows.tree.tombstone_count() }
    }

    /// The work of a compaction of all tables. The engine keeps the files of before for readers, and removes them at the
    /// latest when it is closed.
    pub(super) fn compaction(&self) -> impl FnOnce() -> fjall::Result<()> + Send + use<> {
        let rows = self.rows.clone();
        move || rows.major_compact()
    }

    /// The number of the last commit.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// An empty batch of changes. Only the writer makes batches, one at a time.
    pub(super) fn batch(&self) -> Batch<'_> {
        let mut writes = self.database.batch().durability(Some(PersistMode::SyncData));
        let sequence = self.sequence() + 1;
        writes.insert(&self.rows, SEQUENCE_KEY, encode_sequence(sequence));
        Batch { engine: self, writes, sequence }
    }
}

/// How many entries the tables of the engine have.
#[derive(Clone, Copy)]
pub(super) struct Entries {
    pub(super) all: u64,
    /// The entries that say that a row was removed. They and older entries of that row still take space.
    pub(super) removals: u64,
}

/// Rows that were read.
pub(super) struct Stretch {
    pub(super) rows: Vec<(fjall::Slice, Value)>,
    pub(super) end: End,
}

/// The reason why a read ended.
pub(super) enum End {
    Reached,
    /// A row cannot be read: the one with this key or, without one, some that follow.
    Damaged {
        key: Option<fjall::Slice>,
        error: fjall::Error,
    },
    Failed(fjall::Error),
}

pub(super) struct Batch<'a> {
    engine: &'a Engine,
    writes: OwnedWriteBatch,
    sequence: u64,
}

/// Why a batch was not acknowledged.
pub(super) enum BatchError {
    /// Nothing was written.
    Refused(Cause),
    /// It may be on the disk.
    Unknown(Cause),
}

impl BatchError {
    pub(super) fn into_cause(self) -> Cause {
        match self {
            Self::Refused(cause) | Self::Unknown(cause) => cause,
        }
    }
}

impl Batch<'_> {
    /// Writes a row and returns the number of the change.
    pub(super) fn put(&mut self, key: &[u8], text: &str) -> u64 {
        let change = self.engine.next_change();
        self.writes.insert(&self.engine.rows, key, Value::encode(change, text));
        change
    }

    /// Writes a row of another store with its change number.
    pub(super) fn copy(&mut self, key: fjall::Slice, value: Value) {
        self.writes.insert(&self.engine.rows, key, value.0);
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        self.engine.next_change();
        self.writes.remove(&self.engine.rows, key);
    }

    /// Makes all changes of the batch durable, or none.
    pub(super) fn commit(self) -> Result<(), BatchError> {
        match self.writes.commit() {
            // The engine checks this before it writes.
            Err(error @ fjall::Error::Poisoned) => return Err(BatchError::Refused(error.into())),
            Err(error) => return Err(BatchError::Unknown(error.into())),
            Ok(()) => {}
        }
        // The sync of a deleted file succeeds too, so the result of the sync is not enough.
        self.engine.place.check().map_err(|error| BatchError::Unknown(error.into()))?;
        self.engine.sequence.store(self.sequence, Ordering::Release);
        Ok(())
    }
}

/// Whether the error means that bytes on the disk are damaged. Other errors are temporary.
fn is_damage(error: &fjall::Error) -> bool {
    let fjall::Error::Storage(storage) = error else { return !matches!(error, fjall::Error::Io(_)) };
    let io = std::error::Error::source(storage).and_then(|source| source.downcast_ref::<io::Error>());
    io.is_none_or(|error| matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData))
}

/// The error of a read. A damaged row stays unreadable; other errors are temporary.
fn unreadable(key: &[u8], error: fjall::Error) -> StoreError {
    if is_damage(&error) {
        StoreError::Corrupt { key: printable(key), reason: format!("the store is damaged here ({error})") }
    } else {
        StoreError::Unavailable(error.into())
    }
}

/// A key of the engine as text for people, with slashes in the place of NUL.
pub(super) fn printable(key: &[u8]) -> String {
    String::from_utf8_lossy(key).replace('\0', "/")
}
