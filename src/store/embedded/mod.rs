//! The store on a laptop: an embedded log-structured store in one directory.
//!
//! Reads call the engine directly. Commits go to one writer thread. It takes all waiting commits, checks their
//! conditions in order, and makes them durable with one write and one fsync (docs/decisions/0002-embedded-store.md).

mod engine;
mod journal_repair;
mod writer;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::engine::Engine;
use self::writer::{Commit, Writer};
use super::table::check_operations;
use super::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table};
use crate::private_files::{make_private_dir, open_private};

/// The tables of one installation, in a directory that one process at a time can use.
pub struct EmbeddedStore {
    engine: Arc<Engine>,
    writer: Writer,
    /// Keeps other processes out of the directory while the store is open.
    _lock: Lock,
}

/// The lock on the directory. It is released explicitly, because closing the file does not release it while a child
/// process that is being started has a copy of the file descriptor.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // An error is ignored: the lock ends with the process in any case.
        let _ = self.0.unlock();
    }
}

/// The reason why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error("{0} is in use by another process; stop that one, or set SCHEDULER_DATA_DIR to another directory")]
    Locked(PathBuf),
    /// A newer version of this program has written the store.
    #[error(
        "{path} was written by a newer version (format {found}, this version reads up to {known}); start that version"
    )]
    Newer {
        /// The path of the store.
        path: PathBuf,
        /// The version of its format.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// The directory or the store cannot be read or written.
    #[error("{path} cannot be opened: {reason}")]
    Failed {
        /// The path of the store.
        path: PathBuf,
        /// The error of the file system or of the engine.
        reason: String,
    },
}

impl EmbeddedStore {
    /// Opens the store in a directory, or creates it there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("store");
        let failed = |reason: String| OpenError::Failed { path: path.clone(), reason };
        make_private_dir(dir).map_err(|e| failed(e.to_string()))?;
        let lock = open_private(&dir.join("lock")).map_err(|e| failed(e.to_string()))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked(dir.to_owned()),
            TryLockError::Error(error) => failed(error.to_string()),
        })?;
        let lock = Lock(lock);
        if !path.try_exists().map_err(|e| failed(e.to_string()))? {
            let draft = dir.join("store.new");
            remove(&draft).map_err(|e| failed(e.to_string()))?;
            // The engine cannot open a store whose creation was interrupted (fjall 3.1). So the store is created under
            // another name and renamed when it is complete.
            drop(Engine::open(&draft)?);
            fs::rename(&draft, &path).and_then(|()| File::open(dir)?.sync_all()).map_err(|e| failed(e.to_string()))?;
        }
        let engine = Arc::new(Engine::open(&path)?);
        let writer = Writer::start(Arc::clone(&engine)).map_err(|e| failed(e.to_string()))?;
        Ok(Self { engine, writer, _lock: lock })
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
        Arc::new(EmbeddedTable { name, engine: Arc::clone(&self.engine), commits: self.writer.commits() })
    }

    /// Waits for the commits under way, and closes the store. Acknowledged commits are already durable.
    pub fn close(self) {
        self.writer.stop();
    }
}

/// Removes the incomplete store that an interrupted creation has left.
fn remove(draft: &Path) -> io::Result<()> {
    match fs::remove_dir_all(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

struct EmbeddedTable {
    name: &'static str,
    engine: Arc<Engine>,
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
        self.engine.get(&self.key(partition, key))?.map(|value| value.row(key)).transpose()
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let prefix = self.name.len() + partition.as_str().len() + 2;
        self.engine.scan(&self.key(partition, &range.from), &self.key(partition, &range.to), limit, |key, value| {
            let key = key.get(prefix..).and_then(|k| std::str::from_utf8(k).ok()).unwrap_or_default();
            value.row(key)
        })
    }
}
