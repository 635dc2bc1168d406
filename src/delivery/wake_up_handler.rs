//! What each kind of wake-up leads to, and the second waker: whoever is awake looks whether the sweeps keep up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::{RunReport, SlotRunner};
use crate::maintenance::{SweepReason, SweepReport, Sweeper};
use crate::store::{StoreError, WakeUp};
use crate::sync::lock;

/// Handles the wake-ups of a queue, and sweeps.
pub struct WakeUpHandler {
    runner: Arc<SlotRunner>,
    sweeper: Arc<Sweeper>,
    looked: Mutex<Option<Instant>>,
}

/// The result of a wake-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeUpOutcome {
    /// Due rows were run.
    Ran(RunReport),
    /// The dead man's switch was renewed.
    Switched,
}

impl WakeUpHandler {
    /// The pause between two looks at the watermark.
    const LOOK_EVERY: Duration = Duration::from_mins(1);

    /// A handler of wake-ups.
    pub fn new(runner: Arc<SlotRunner>, sweeper: Arc<Sweeper>) -> Self {
        Self { runner, sweeper, looked: Mutex::default() }
    }

    /// Handles a wake-up. After `Ok` its message can be deleted.
    ///
    /// # Errors
    /// [`StoreError`] if not everything was done. The same wake-up has to come again.
    pub async fn handle(&self, wake_up: &WakeUp) -> Result<WakeUpOutcome, StoreError> {
        if !matches!(wake_up, WakeUp::Switch(_)) {
            self.look();
        }
        match wake_up {
            WakeUp::Slot(slot) => self.runner.run(slot).await.map(WakeUpOutcome::Ran),
            WakeUp::Conversation { client, id } => {
                self.runner.run_conversation(client, *id).await.map(WakeUpOutcome::Ran)
            }
            WakeUp::Switch(slot) => self.sweeper.switched(*slot).await.map(|()| WakeUpOutcome::Switched),
        }
    }

    /// Sweeps because a minute has passed.
    ///
    /// # Errors
    /// As [`Sweeper::sweep`].
    pub async fn sweep(&self) -> Result<SweepReport, StoreError> {
        self.sweeper.sweep(SweepReason::Timer).await
    }

    /// Looks in the background whether the sweeps keep up, and sweeps if they do not: the timer may be dead. At most once
    /// a minute it does something.
    pub fn look(&self) {
        {
            let mut looked = lock(&self.looked);
            if looked.is_some_and(|at| at.elapsed() < Self::LOOK_EVERY) {
                return;
            }
            *looked = Some(Instant::now());
        }
        let sweeper = Arc::clone(&self.sweeper);
        tokio::spawn(async move {
            if let Err(error) = sweeper.sweep(SweepReason::Look).await {
                tracing::warn!(%error, "the look at the sweeps failed");
            }
        });
    }
}
