//! Our own worker: does what the Functions host does where there is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::removals::Removals;
use super::{Deliverer, Sweeper};
use crate::store::{HintQueue, HintReceiver, ReceivedHint, StoreError};

/// Takes hints from a queue and delivers what they point at; sweeps once a minute.
pub struct Worker {
    deliverer: Arc<Deliverer>,
    sweeper: Sweeper,
    hints: Arc<dyn HintQueue>,
    receiver: Arc<dyn HintReceiver>,
}

impl Worker {
    /// How many hints are worked on at once. Those beyond the deliverer's own limit have read their
    /// conversation and wait for their turn.
    const IN_HAND: usize = 512;
    /// No hints are asked for until there is room for as many as a storage queue hands over at once:
    /// it takes as long for one, and a full worker would else ask for each.
    const BATCH: u32 = 32;
    const SWEEP_EVERY: Duration = Duration::from_mins(1);
    /// After the store has failed.
    const RETRY: Duration = Duration::from_secs(5);

    /// A worker on a queue.
    pub fn new(
        deliverer: Arc<Deliverer>,
        sweeper: Sweeper,
        hints: Arc<dyn HintQueue>,
        receiver: Arc<dyn HintReceiver>,
    ) -> Self {
        Self { deliverer, sweeper, hints, receiver }
    }

    /// Takes over from workers that are known to be gone, without waiting for their leases to run
    /// out. Only for a process that is the only one its store can have.
    pub async fn take_over(&self) {
        match self.sweeper.release_leases().await {
            Ok(0) => {}
            Ok(released) => tracing::info!(released, "attempts under way when the service last ended are tried again"),
            Err(error) => tracing::warn!(%error, "not all leases were released; they will run out"),
        }
    }

    /// Works until `stop`, then finishes the deliveries that have begun.
    pub async fn run(self, stop: CancellationToken) {
        let deliveries = TaskTracker::new();
        let removals = Removals::start(Arc::clone(&self.receiver), &deliveries);
        tokio::select! {
            biased; // a simulated run must be the same every time
            () = self.sweep_forever() => {}
            () = self.deliver_forever(&deliveries, removals) => {}
            () = stop.cancelled() => {}
        }
        deliveries.close();
        deliveries.wait().await;
    }

    async fn sweep_forever(&self) {
        loop {
            match self.sweeper.sweep().await {
                Ok(swept) => tracing::debug!(
                    seen = swept.seen,
                    hinted = swept.hinted,
                    overdue_seconds = swept.overdue.as_secs(),
                    poisoned = swept.poisoned,
                    "swept"
                ),
                Err(error) => tracing::warn!(%error, "sweep failed"),
            }
            tokio::time::sleep(Self::SWEEP_EVERY).await;
        }
    }

    async fn deliver_forever(&self, deliveries: &TaskTracker, removals: Removals) {
        let (in_hand, mut behind) = (Arc::new(Semaphore::new(Self::IN_HAND)), false);
        loop {
            // Only this loop takes permits: there is room for as many hints as there are permits now.
            drop(in_hand.acquire_many(Self::BATCH).await);
            let receipt = self.receiver.receive(in_hand.available_permits());
            let received = match if behind { removals.stand_back_for(receipt).await } else { receipt.await } {
                Ok(received) => received,
                Err(error) => {
                    tracing::warn!(%error, "no hints received");
                    tokio::time::sleep(Self::RETRY).await;
                    continue;
                }
            };
            behind = received.len() >= Self::BATCH as usize;
            for hint in received {
                let Ok(permit) = Arc::clone(&in_hand).acquire_owned().await else { return };
                let (deliverer, hints) = (Arc::clone(&self.deliverer), Arc::clone(&self.hints));
                let removals = removals.clone();
                deliveries.spawn(async move {
                    handle(&deliverer, &*hints, &hint).await;
                    removals.add(hint).await;
                    drop(permit);
                });
            }
        }
    }
}

async fn handle(deliverer: &Deliverer, hints: &dyn HintQueue, received: &ReceivedHint) {
    let id = received.hint.id;
    match deliverer.deliver(&received.hint).await {
        Ok(_) => {}
        // Nothing gets better by trying again soon; the sweep comes by, less and less often.
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Refused(_))) => {
            tracing::error!(conversation.id = %id, %error, "conversation cannot be delivered");
        }
        Err(error) => {
            tracing::warn!(conversation.id = %id, %error, "delivery put off");
            if let Err(error) = hints.put(&received.hint, Worker::RETRY).await {
                // The due row still stands: the sweep will come by.
                tracing::warn!(conversation.id = %id, %error, "hint not put");
            }
        }
    }
}
