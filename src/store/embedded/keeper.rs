//! The keeper of an open store: raises the mark, notices damage to the place of the store, reopens the store after a
//! failed write, and has it compacted.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::compactor::Compactor;
use super::engine::{Engine, EngineOptions};
use super::journals::Journals;
use super::mark::Mark;
use super::opening::{OpenError, open};
use super::shared::Shared;

/// A thread that looks after an open store.
pub(super) struct Keeper {
    wake_up: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// `given_up` is cancelled when the store could not be reopened for a minute.
    pub(super) fn start(
        shared: Arc<Shared>,
        options: EngineOptions,
        mark: Mark,
        given_up: CancellationToken,
    ) -> io::Result<Self> {
        let (wake_up, woken) = mpsc::channel();
        let mut state = State {
            shared,
            options,
            mark,
            given_up,
            failing_since: None,
            reopened: None,
            compactor: Compactor::default(),
        };
        let run = move || {
            loop {
                match woken.recv_timeout(State::PERIOD) {
                    Ok(()) | Err(mpsc::RecvTimeoutError::Timeout) => state.look(),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return state.close(),
                }
            }
        };
        let thread = thread::Builder::new().name("store-keeper".to_owned()).spawn(run)?;
        Ok(Self { wake_up, thread })
    }

    /// Wakes the keeper when a write has failed.
    pub(super) fn wake_up(&self) -> mpsc::Sender<()> {
        self.wake_up.clone()
    }

    /// Closes the store. The last commit must have been acknowledged.
    pub(super) fn stop(self) {
        drop(self.wake_up);
        let _ = self.thread.join();
    }
}

struct State {
    shared: Arc<Shared>,
    options: EngineOptions,
    mark: Mark,
    given_up: CancellationToken,
    /// The store has not been able to write since then.
    failing_since: Option<Instant>,
    reopened: Option<Instant>,
    compactor: Compactor,
}

impl State {
    const PERIOD: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_mins(1);
    /// A store that fails so soon after it was reopened has failed in the background again.
    const RELAPSE: Duration = Duration::from_secs(10);
    /// The time after which the work in the background is tried again.
    const CONVALESCENCE: Duration = Duration::from_mins(10);

    fn look(&mut self) {
        if let Err(cause) = self.shared.write(Engine::check).and_then(|checked| checked) {
            self.shared.fail(&cause);
        } else if let Err(error) = self.mark.raise(self.shared.acknowledged()) {
            self.shared.fail(&format!("store.mark: {error}").into());
        } else if !self.options.background && self.reopened.is_none_or(|at| at.elapsed() > Self::CONVALESCENCE) {
            self.shared.fail(&"the work in the background is tried again".into());
        }
        if self.shared.has_failed() {
            self.reopen();
        } else if self.options.background {
            let _ = self.shared.write(|engine| self.compactor.look(engine));
        }
    }

    fn reopen(&mut self) {
        let relapsed = self.reopened.take().is_some_and(|at| at.elapsed() < Self::RELAPSE);
        if self.failing_since.is_none() {
            self.options.background = !relapsed;
        }
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        match self.try_reopen() {
            Ok(()) => {
                self.failing_since = None;
                self.reopened = Some(Instant::now());
                tracing::info!(
                    acknowledged = self.shared.acknowledged(),
                    "the store was reopened: it has everything that was acknowledged, and writes again"
                );
                if !self.options.background {
                    tracing::error!(
                        "the store's work in the background failed again at once, so the store goes on without it for \
                         ten minutes and grows meanwhile. If this line comes again, files of the store are damaged: \
                         stop the service and run `mcp-scheduler repair`"
                    );
                }
            }
            Err(error) => {
                let seconds = since.elapsed().as_secs();
                tracing::error!(%error, seconds, "the store cannot be reopened yet");
                if since.elapsed() >= Self::PATIENCE {
                    self.given_up.cancel();
                }
            }
        }
    }

    fn try_reopen(&mut self) -> Result<(), OpenError> {
        self.compactor.wait();
        let dir = self.shared.dir.clone();
        let failed = |error: io::Error| OpenError::failed(&dir.join("store"), &error);
        // What needs most space comes first, while the present engine can still read.
        let journals = Journals::copy(&dir).map_err(failed)?;
        self.shared.replace(None);
        // After a failed sync the system may show bytes that are not on the disk. New files are synced anew.
        journals.put_back().map_err(failed)?;
        let (engine, mark) = open(&dir, self.options, self.shared.acknowledged())?;
        self.mark = mark;
        self.shared.replace(Some(engine));
        Ok(())
    }

    fn close(mut self) {
        self.compactor.wait();
        if !self.shared.has_failed()
            && let Err(error) = self.mark.raise(self.shared.acknowledged())
        {
            tracing::warn!(%error, "store.mark was not written; it is up to a second old");
        }
        self.shared.replace(None);
    }
}
