//! The engine of an open store, shared by its readers, its writer and its keeper.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::engine::Engine;
use crate::store::{Cause, StoreError};

/// The engine of an open store. It is replaced after a failed write.
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    engine: RwLock<Option<Engine>>,
    /// A write has failed, so the engine takes no more. What it can read is still right.
    failed: AtomicBool,
    acknowledged: AtomicU64,
}

impl Shared {
    pub(super) fn new(dir: PathBuf, engine: Engine) -> Self {
        let acknowledged = AtomicU64::new(engine.sequence());
        Self { dir, engine: RwLock::new(Some(engine)), failed: AtomicBool::new(false), acknowledged }
    }

    /// Reads, also from an engine that can no longer write.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Engine) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.engine.read().unwrap_or_else(PoisonError::into_inner) {
            Some(engine) => work(engine),
            None => Err(StoreError::Unavailable(unavailable())),
        }
    }

    /// Does work that writes, if writing is possible.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Engine) -> T) -> Result<T, Cause> {
        match &*self.engine.read().unwrap_or_else(PoisonError::into_inner) {
            Some(engine) if !self.has_failed() => {
                let result = work(engine);
                self.acknowledged.fetch_max(engine.sequence(), Ordering::AcqRel);
                Ok(result)
            }
            _ => Err(unavailable()),
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Stops the writing, until the engine is replaced.
    pub(super) fn fail(&self, cause: &Cause) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(
                error = %cause, file.directory = %self.dir.display(),
                "the store cannot write: requests get 503 until it can; it reopens itself as soon as the disk, the \
                 limit of open files or the directory allow it"
            );
        }
    }

    /// The number of the last commit that was acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Puts an engine in the place of the present one, or closes it.
    pub(super) fn replace(&self, next: Option<Engine>) {
        let failed = next.is_none();
        let previous = {
            let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(next) = &next {
                self.acknowledged.fetch_max(next.sequence(), Ordering::AcqRel);
            }
            std::mem::replace(&mut *engine, next)
        };
        // To close it takes as long as the work that it does in the background.
        drop(previous);
        self.failed.store(failed, Ordering::Release);
    }
}

fn unavailable() -> Cause {
    "a write has failed; the store reopens itself when it can".into()
}
