//! The store on a laptop: an embedded log-structured store in one directory.
//!
//! Reads call the engine directly. Commits go to one writer thread. It takes all waiting commits, checks their
//! conditions in order, and makes them durable with one write and one fsync. A keeper thread reopens the store after a
//! failed write (docs/decisions/0002-embedded-store.md, docs/reliability.md).

mod compactor;
mod engine;
mod journals;
mod keeper;
mod mark;
mod opening;
mod place;
mod readable;
mod repair;
mod shared;
mod writer;

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, mpsc};

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::engine::EngineOptions;
use self::keeper::Keeper;
pub use self::opening::OpenError;
use self::readable::Readable;
pub use self::repair::{Repair, RepairReport};
use self::shared::Shared;
use self::writer::{Commit, Writer};
use super::table::check_operations;
use super::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table};
use crate::private_files::{make_private_dir, open_private};

/// The tables of one installation, in a directory that one process at a time can use.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    writer: Writer,
    keeper: Keeper,
    given_up: CancellationToken,
    /// Keeps other processes out of the directory while the store is open.
    _lock: Lock,
}

/// The lock on the directory. It is released explicitly, because closing the file does not release it while a child
/// process that is being started has a copy of the file descriptor.
struct Lock(File);

impl Lock {
    fn take(dir: &Path) -> Result<Self, OpenError> {
        let failed = |error: io::Error| OpenError::failed(&dir.join("store"), &error);
        let lock = open_private(&dir.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked(dir.to_owned()),
            TryLockError::Error(error) => failed(error),
        })?;
        Ok(Self(lock))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An error is ignored: the lock ends with the process in any case.
        let _ = self.0.unlock();
    }
}

impl EmbeddedStore {
    /// The number of files that the store keeps open, unless the caller sets another number.
    const MAX_FILES: usize = 256;

    /// Opens the store in a directory, or creates it there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, Self::MAX_FILES)
    }

    /// Opens the store in a directory, or creates it there. It keeps up to `max_files` files open, at least 10.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(dir: &Path, max_files: usize) -> Result<Self, OpenError> {
        let failed = |error: io::Error| OpenError::failed(&dir.join("store"), &error);
        make_private_dir(dir).map_err(failed)?;
        let lock = Lock::take(dir)?;
        let options = EngineOptions { max_files: max_files.max(10), background: true, salvage: false };
        opening::create(dir, options)?;
        let (engine, mark) = opening::open(dir, options, 0)?;
        let (shared, given_up) = (Arc::new(Shared::new(dir.to_owned(), engine)), CancellationToken::new());
        let keeper = Keeper::start(Arc::clone(&shared), options, mark, given_up.clone()).map_err(failed)?;
        let writer = Writer::start(Arc::clone(&shared), keeper.wake_up()).map_err(failed)?;
        Ok(Self { shared, writer, keeper, given_up, _lock: lock })
    }

    /// The table of conversations.
    #[must_use]
    pub fn conversations(&self) -> Arc<dyn Table> {
        self.table("c")
    }

    /// The table of clients.
    #[must_use]
    pub fn clients(&self) -> Arc<dyn Table> {
        self.table("k")
    }

    /// A table of the store. Its name is one letter, because the name is part of every key.
    fn table(&self, name: &'static str) -> Arc<dyn Table> {
        Arc::new(EmbeddedTable { name, shared: Arc::clone(&self.shared), commits: self.writer.commits() })
    }

    /// Is cancelled when the store could neither write nor be reopened for a minute. Then the process should end.
    #[must_use]
    pub const fn given_up(&self) -> &CancellationToken {
        &self.given_up
    }

    /// Waits for the commits under way, and closes the store. Acknowledged commits are already durable.
    pub fn close(self) {
        self.writer.stop();
        self.keeper.stop();
    }
}

struct EmbeddedTable {
    name: &'static str,
    shared: Arc<Shared>,
    commits: mpsc::Sender<Commit>,
}

impl EmbeddedTable {
    /// The engine's key of a row. NUL separates its parts. No name and no row key contains NUL, so rows of different
    /// tables or partitions cannot have the same key.
    fn key(&self, partition: Partition, key: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.name.len() + partition.as_str().len() + key.len() + 2);
        for part in [self.name, "\0", partition.as_str(), "\0", key] {
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[async_trait]
impl Table for EmbeddedTable {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        check_operations(&operations)?;
        let operations = operations.into_iter().map(|o| (self.key(partition, o.key()), o)).collect();
        let (reply, result) = oneshot::channel();
        let stopped = || CommitError::Unavailable("the store is closed".into());
        self.commits.send(Commit { operations, reply }).map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        let value = self.shared.read(|engine| engine.get(&self.key(partition, key)))?;
        value.map(|value| value.row(key)).transpose()
    }

    /// Rows that are damaged on the disk are passed over and logged, so that they do not hide the others.
    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let prefix = self.name.len() + partition.as_str().len() + 2;
        let (from, to) = (self.key(partition, &range.from), self.key(partition, &range.to));
        self.shared.read(|engine| {
            let readable = Readable::read(engine, &from, &to, limit)?;
            for place in &readable.unreadable {
                tracing::error!(
                    place,
                    "the store is damaged here and passes over this place; stop the service and run \
                     `mcp-scheduler repair` to see what is lost"
                );
            }
            let rows = readable.rows.iter().map(|(key, value)| {
                let key = key.get(prefix..).and_then(|k| std::str::from_utf8(k).ok()).unwrap_or_default();
                value.row(key)
            });
            rows.collect()
        })
    }
}
