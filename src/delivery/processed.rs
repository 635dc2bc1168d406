//! Deletes processed messages in the background, so that deliveries do not wait.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::store::{ReceivedWakeUp, WakeUpReceiver};

/// Deletes the messages of processed wake-ups.
///
/// A queue may take as long to delete one message as to return many. So no delivery waits for a deletion, and while
/// the queue is behind, deletions wait for receives.
#[derive(Clone)]
pub(super) struct ProcessedMessages {
    processed: mpsc::Sender<ReceivedWakeUp>,
    /// One permit for each deletion that may be under way.
    slots: Arc<Semaphore>,
}

impl ProcessedMessages {
    /// The most messages that wait for their deletion before deliveries wait too.
    const MAX_WAITING: usize = 4096;
    /// The most deletions that are under way at one time.
    const MAX_CONCURRENT: u32 = 4;
    /// The longest time that deletions and receives wait for each other.
    const MAX_WAIT: Duration = Duration::from_secs(1);

    /// Deletes, in one of these tasks, the messages that are added, until all values of this type are dropped.
    pub(super) fn start(receiver: Arc<dyn WakeUpReceiver>, tasks: &TaskTracker) -> Self {
        let (processed, added) = mpsc::channel(Self::MAX_WAITING);
        let slots = Arc::new(Semaphore::new(Self::MAX_CONCURRENT as usize));
        tasks.spawn(delete_all(receiver, added, Arc::clone(&slots)));
        Self { processed, slots }
    }

    /// Adds a wake-up that has been processed.
    pub(super) async fn add(&self, wake_up: ReceivedWakeUp) {
        // This fails only when the runtime is shutting down. The message is received again then.
        let _ = self.processed.send(wake_up).await;
    }

    /// Receives while no deletion is under way. Neither waits longer than [`Self::MAX_WAIT`] for the other: a deletion
    /// may hang, and a queue that was behind may have no more messages.
    pub(super) async fn receive_first<T>(&self, receive: impl Future<Output = T>) -> T {
        let all_slots = timeout(Self::MAX_WAIT, self.slots.acquire_many(Self::MAX_CONCURRENT)).await;
        tokio::pin!(receive);
        if let Ok(received) = timeout(Self::MAX_WAIT, &mut receive).await {
            return received;
        }
        drop(all_slots);
        receive.await
    }
}

async fn delete_all(
    receiver: Arc<dyn WakeUpReceiver>,
    mut added: mpsc::Receiver<ReceivedWakeUp>,
    slots: Arc<Semaphore>,
) {
    let processed = stream::poll_fn(|context| added.poll_recv(context));
    let deletions = processed.for_each_concurrent(ProcessedMessages::MAX_CONCURRENT as usize, |wake_up| {
        let (receiver, slots) = (&receiver, &slots);
        async move {
            let _slot = slots.acquire().await;
            if let Err(error) = receiver.delete(&wake_up).await {
                let id = wake_up.receipt.message;
                tracing::warn!(messaging.message.id = id, %error, "message not deleted; it will be received again");
            }
        }
    });
    deletions.await;
}
