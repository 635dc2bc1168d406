//! What was dealt with goes from its queue beside the deliveries.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::store::{HintReceiver, ReceivedHint};

/// Removes hints from the queue they were received from.
///
/// A queue may take as long for one removal as for a receipt of many hints, so no delivery waits for a removal, and where
/// the queue is behind removals wait for receipts.
#[derive(Clone)]
pub(super) struct Removals {
    handled: mpsc::Sender<ReceivedHint>,
    /// One for each removal that may be under way.
    slots: Arc<Semaphore>,
}

impl Removals {
    /// How many hints wait to be removed before those who add more wait too.
    const WAITING: usize = 4096;
    /// How many removals are under way at once.
    const AT_ONCE: u32 = 4;
    /// For how long removals and receipts stand back for each other.
    const STAND_BACK: Duration = Duration::from_secs(1);

    /// Removes in one of these tasks what is added, until nobody is left who could add more.
    pub(super) fn start(receiver: Arc<dyn HintReceiver>, tasks: &TaskTracker) -> Self {
        let (handled, added) = mpsc::channel(Self::WAITING);
        let slots = Arc::new(Semaphore::new(Self::AT_ONCE as usize));
        tasks.spawn(remove(receiver, added, Arc::clone(&slots)));
        Self { handled, slots }
    }

    /// Adds a hint that was dealt with.
    pub(super) async fn add(&self, hint: ReceivedHint) {
        // Fails only where the other end has been dropped with its runtime; the hint is seen again.
        let _ = self.handled.send(hint).await;
    }

    /// Receives while no removal is under way, as long as neither has to wait long for the other: a removal may hang, and
    /// a queue that was behind may have nothing more to show.
    pub(super) async fn stand_back_for<T>(&self, receipt: impl Future<Output = T>) -> T {
        let alone = timeout(Self::STAND_BACK, self.slots.acquire_many(Self::AT_ONCE)).await;
        tokio::pin!(receipt);
        if let Ok(received) = timeout(Self::STAND_BACK, &mut receipt).await {
            return received;
        }
        drop(alone);
        receipt.await
    }
}

async fn remove(receiver: Arc<dyn HintReceiver>, mut added: mpsc::Receiver<ReceivedHint>, slots: Arc<Semaphore>) {
    let handled = stream::poll_fn(|context| added.poll_recv(context));
    let removed = handled.for_each_concurrent(Removals::AT_ONCE as usize, |hint| {
        let (receiver, slots) = (&receiver, &slots);
        async move {
            let _slot = slots.acquire().await;
            if let Err(error) = receiver.delete(&hint).await {
                tracing::warn!(conversation.id = %hint.hint.id, %error, "hint not removed; it will be seen again");
            }
        }
    });
    removed.await;
}
