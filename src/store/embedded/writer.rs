//! The writer thread. It joins waiting commits into one write and one fsync (group commit).

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::engine::{BatchError, Engine, etag};
use super::shared::Shared;
use crate::store::{Cause, CommitError, Etag, Operation};

/// A commit that waits for the writer. Each operation has the engine's key of its row.
pub(super) struct Commit {
    pub(super) operations: Vec<(Vec<u8>, Operation)>,
    pub(super) reply: oneshot::Sender<Result<Vec<Option<Etag>>, CommitError>>,
}

pub(super) struct Writer {
    commits: mpsc::Sender<Commit>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// The largest number of commits that share one fsync.
    const MAX_GROUP: usize = 512;

    /// `failure` wakes the keeper when a write has failed.
    pub(super) fn start(shared: Arc<Shared>, failure: mpsc::Sender<()>) -> io::Result<Self> {
        let (commits, waiting) = mpsc::channel();
        let run = move || run(&shared, &waiting, &failure);
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(run)?;
        Ok(Self { commits, thread })
    }

    pub(super) fn commits(&self) -> mpsc::Sender<Commit> {
        self.commits.clone()
    }

    /// Lets the writer finish the waiting commits, and ends it.
    pub(super) fn stop(self) {
        // The port refuses a commit without operations, so it can serve as the signal to end.
        let (reply, _) = oneshot::channel();
        let _ = self.commits.send(Commit { operations: Vec::new(), reply });
        let _ = self.thread.join();
    }
}

fn run(shared: &Shared, waiting: &mpsc::Receiver<Commit>, failure: &mpsc::Sender<()>) {
    let mut group = Vec::with_capacity(Writer::MAX_GROUP);
    while let Ok(first) = waiting.recv() {
        group.push(first);
        // On a busy machine, other threads run first, and their commits share the fsync. Otherwise this returns at once.
        thread::yield_now();
        group.extend(waiting.try_iter().take(Writer::MAX_GROUP - 1));
        let last = group.iter().any(|commit| commit.operations.is_empty());
        match shared.write(|engine| write(engine, &mut group)) {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => {
                shared.fail(&cause);
                let _ = failure.send(());
            }
            Err(cause) => {
                let text = cause.to_string();
                for Commit { reply, .. } in group.drain(..) {
                    let _ = reply.send(Err(CommitError::Unavailable(text.clone().into())));
                }
            }
        }
        if last {
            return;
        }
    }
}

/// Writes a group of commits. A commit whose conditions do not hold fails alone. If the write fails, all commits of the
/// group fail with an unknown result.
///
/// All replies are sent after the write, also those about a conflict. The conflict may be with another commit of the
/// group, and a caller that then reads must see the row of that commit.
fn write(engine: &Engine, group: &mut Vec<Commit>) -> Result<(), Cause> {
    let mut batch = engine.batch();
    let mut overlay = Overlay { engine, changed: HashMap::with_capacity(group.len() * 2) };
    let mut written = Vec::with_capacity(group.len());
    let mut failed = Vec::new();
    for Commit { operations, reply } in group.drain(..) {
        if let Err(error) = overlay.check(&operations) {
            failed.push((error, reply));
            continue;
        }
        let mut etags = Vec::with_capacity(operations.len());
        for (key, operation) in operations {
            let change = match &operation {
                Operation::Insert { value, .. } | Operation::Replace { value, .. } => Some(batch.put(&key, value)),
                Operation::Delete { .. } => {
                    batch.delete(&key);
                    None
                }
            };
            overlay.changed.insert(key, change);
            etags.push(change.map(etag));
        }
        written.push((etags, reply));
    }
    let nothing = written.iter().all(|(etags, _): &(Vec<_>, _)| etags.is_empty());
    let result = if nothing { Ok(()) } else { batch.commit() };
    for (etags, reply) in written {
        let _ = reply.send(match &result {
            Ok(()) => Ok(etags),
            Err(BatchError::Refused(cause)) => Err(CommitError::Unavailable(cause.to_string().into())),
            Err(BatchError::Unknown(cause)) => Err(CommitError::Unknown(cause.to_string().into())),
        });
    }
    for (error, reply) in failed {
        let _ = reply.send(Err(error));
    }
    result.map_err(BatchError::into_cause)
}

/// The rows of the store as they will be after the group is written.
struct Overlay<'a> {
    engine: &'a Engine,
    /// The number of the last change of each row that this group changes. `None` for a deleted row.
    changed: HashMap<Vec<u8>, Option<u64>>,
}

impl Overlay<'_> {
    fn check(&self, operations: &[(Vec<u8>, Operation)]) -> Result<(), CommitError> {
        for (position, (key, operation)) in operations.iter().enumerate() {
            let change = match self.changed.get(key) {
                Some(change) => *change,
                None => self.engine.get(key)?.map(|value| value.change()),
            };
            if !operation.is_applicable(change.map(etag).as_ref()) {
                return Err(CommitError::Conflict { operation: Some(position) });
            }
        }
        Ok(())
    }
}
