//! Our own worker: does what the Functions host does where there is one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
    /// How many hints that were dealt with wait to be removed from the queue before deliveries wait too.
    const HANDLED: usize = 4096;
    /// How many removals are under way at once.
    const REMOVALS: u32 = 4;
    /// For how long removals and the receipt of what is overdue stand back for each other.
    const STAND_BACK: Duration = Duration::from_secs(1);
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
        let (handled, removable) = mpsc::channel(Self::HANDLED);
        let removals = Arc::new(Semaphore::new(Self::REMOVALS as usize));
        deliveries.spawn(remove(Arc::clone(&self.receiver), removable, Arc::clone(&removals)));
        tokio::select! {
            biased; // a simulated run must be the same every time
            () = self.sweep_forever() => {}
            () = self.deliver_forever(&deliveries, handled, &removals) => {}
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

    async fn deliver_forever(
        &self,
        deliveries: &TaskTracker,
        handled: mpsc::Sender<ReceivedHint>,
        removals: &Semaphore,
    ) {
        let (in_hand, mut behind) = (Arc::new(Semaphore::new(Self::IN_HAND)), false);
        loop {
            // Only this loop takes permits: there is room for as many hints as there are permits now.
            drop(in_hand.acquire_many(Self::BATCH).await);
            let receipt = self.receiver.receive(in_hand.available_permits());
            let received = match if behind { ahead_of(removals, receipt).await } else { receipt.await } {
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
                let handled = handled.clone();
                deliveries.spawn(async move {
                    handle(&deliverer, &*hints, &hint).await;
                    // Fails only where nobody is left to remove it; then it is seen again.
                    let _ = handled.send(hint).await;
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

/// Receives while no removal is under way, as long as neither has to wait long for the other: a removal may hang, and a
/// queue that was behind may have nothing more to show.
async fn ahead_of<T>(removals: &Semaphore, receipt: impl Future<Output = T>) -> T {
    let alone = timeout(Worker::STAND_BACK, removals.acquire_many(Worker::REMOVALS)).await;
    tokio::pin!(receipt);
    if let Ok(received) = timeout(Worker::STAND_BACK, &mut receipt).await {
        return received;
    }
    drop(alone);
    receipt.await
}

/// Removes from the queue what was dealt with, until there is nobody who could send more.
async fn remove(
    receiver: Arc<dyn HintReceiver>,
    mut removable: mpsc::Receiver<ReceivedHint>,
    removals: Arc<Semaphore>,
) {
    let handled = stream::poll_fn(|context| removable.poll_recv(context));
    let removed = handled.for_each_concurrent(Worker::REMOVALS as usize, |received| {
        let (receiver, removals) = (&receiver, &removals);
        async move {
            let _turn = removals.acquire().await;
            if let Err(error) = receiver.delete(&received).await {
                tracing::warn!(
                    conversation.id = %received.hint.id, %error, "hint not removed; it will be seen again"
                );
            }
        }
    });
    removed.await;
}
