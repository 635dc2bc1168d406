//! The table on a laptop: an embedded log-structured store in one directory.
//!
//! Reads go straight to the engine. Commits go to one writer thread, which takes all that are waiting,
//! checks their conditions in order, and makes them durable with one write and one fsync
//! (docs/decisions/0002-embedded-store.md).

mod engine;
mod journal_repair;
mod writer;

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::engine::Engine;
use self::writer::{Commit, Writer};
use super::table::check_operations;
use super::{CommitError, Etag, KeyRange, Operation, Partition, Row, StoreError, Table};

/// The embedded store: the tables of one installation, in one directory, for one process.
pub struct EmbeddedStore {
    engine: Arc<Engine>,
    writer: Writer,
    /// Held as long as the store is open.
    _lock: Lock,
}

/// The right to the directory. Given back in so many words: to close the file is not enough while another
/// process that is just being started has a copy of it.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Fails only for a file that is no lock, and ends with the process in any case.
        let _ = self.0.unlock();
    }
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{0} is in use by another process; stop that one, or set SCHEDULER_DATA_DIR to another directory")]
    Locked(PathBuf),
    /// A newer version has written it.
    #[error(
        "{path} was written by a newer version (format {found}, this version reads up to {known}); start that version"
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// It cannot be read.
    #[error("{path} cannot be opened: {reason}")]
    Failed {
        /// Where.
        path: PathBuf,
        /// What the engine says.
        reason: String,
    },
}

impl EmbeddedStore {
    /// Opens the store in a directory, or makes one.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join("store");
        let failed = |reason: String| OpenError::Failed { path: path.clone(), reason };
        make_private_dir(dir).map_err(|e| failed(e.to_string()))?;
        let lock = File::create(dir.join("lock")).map_err(|e| failed(e.to_string()))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked(dir.to_owned()),
            TryLockError::Error(error) => failed(error.to_string()),
        })?;
        let lock = Lock(lock);
        if !path.try_exists().map_err(|e| failed(e.to_string()))? {
            let draft = dir.join("store.new");
            remove(&draft).map_err(|e| failed(e.to_string()))?;
            // The engine cannot open a store whose making was cut short (fjall 3.1), so it is made
            // beside its place and moved there whole.
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

    /// Names are as short as can be: they are part of every key.
    fn table(&self, name: &'static str) -> Arc<dyn Table> {
        Arc::new(EmbeddedTable { name, engine: Arc::clone(&self.engine), commits: self.writer.commits() })
    }

    /// Waits for the commits under way. What was acknowledged is durable already.
    pub fn close(self) {
        self.writer.stop();
    }
}

/// Makes a directory that only its owner can enter, if there is none.
///
/// # Errors
/// What the file system says.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// What a making that was cut short has left.
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
    /// The engine's key of a row. NUL is in no name and no row key, so tables and partitions cannot
    /// run into each other.
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
