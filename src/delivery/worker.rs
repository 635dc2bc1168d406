//! The worker of a service on a storage account without the Functions host: it receives the wake-ups and sweeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::WakeUpHandler;
use super::processed::ProcessedMessages;
use crate::store::{ReceivedWakeUp, WakeUpReceiver};

/// Receives wake-ups, runs what they name, and sweeps once a minute.
pub struct Worker {
    handler: Arc<WakeUpHandler>,
    receiver: Arc<dyn WakeUpReceiver>,
}

impl Worker {
    /// The most wake-ups that are handled at one time. Each runs up to 64 deliveries, most of which wait for permits while
    /// the endpoints of a client hang. The wake-ups of other clients need room beside them.
    const MAX_CONCURRENT: usize = 16 * Self::BATCH as usize;
    /// The most messages that a storage queue returns at once. The worker receives only when it has room for that
    /// many. Otherwise a busy worker would send one request for each message.
    const BATCH: u32 = 32;
    const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
    /// The pause after the queue has failed.
    const RETRY_DELAY: Duration = Duration::from_secs(5);

    /// A worker on a queue.
    pub fn new(handler: Arc<WakeUpHandler>, receiver: Arc<dyn WakeUpReceiver>) -> Self {
        Self { handler, receiver }
    }

    /// Handles the wake-ups that this worker receives.
    #[must_use]
    pub fn handler(&self) -> Arc<WakeUpHandler> {
        Arc::clone(&self.handler)
    }

    /// Works until `stop`, then finishes the deliveries that have begun.
    pub async fn run(self, stop: CancellationToken) {
        let runs = TaskTracker::new();
        let processed = ProcessedMessages::start(Arc::clone(&self.receiver), &runs);
        tokio::select! {
            biased; // a simulated run must be the same every time
            () = self.sweep_forever() => {}
            () = self.receive_forever(&runs, processed) => {}
            () = stop.cancelled() => {}
        }
        runs.close();
        runs.wait().await;
    }

    async fn sweep_forever(&self) {
        loop {
            let began = Instant::now();
            match self.handler.sweep().await {
                Ok(report) => tracing::debug!(
                    enqueued = report.enqueued,
                    overdue_seconds = report.overdue.as_secs(),
                    poison_queue_length = report.poison_queue_length,
                    "sweep finished"
                ),
                Err(error) => tracing::warn!(%error, "sweep failed"),
            }
            tokio::time::sleep_until(began + Self::SWEEP_INTERVAL).await;
        }
    }

    async fn receive_forever(&self, runs: &TaskTracker, processed: ProcessedMessages) {
        let (room, mut queue_is_behind) = (Arc::new(Semaphore::new(Self::MAX_CONCURRENT)), false);
        loop {
            // Only this loop takes permits, so there is room for a batch until it takes some.
            drop(room.acquire_many(Self::BATCH).await);
            let receive = self.receiver.receive(room.available_permits());
            let received = if queue_is_behind { processed.receive_first(receive).await } else { receive.await };
            let received = match received {
                Ok(received) => received,
                Err(error) => {
                    tracing::warn!(%error, "no wake-ups received");
                    tokio::time::sleep(Self::RETRY_DELAY).await;
                    continue;
                }
            };
            queue_is_behind = received.len() >= Self::BATCH as usize;
            for wake_up in received {
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let (handler, processed) = (Arc::clone(&self.handler), processed.clone());
                runs.spawn(async move {
                    handle(&handler, &processed, wake_up).await;
                    drop(permit);
                });
            }
        }
    }
}

async fn handle(handler: &WakeUpHandler, processed: &ProcessedMessages, received: ReceivedWakeUp) {
    match handler.handle(&received.wake_up).await {
        Ok(_) => processed.add(received).await,
        // The message comes again, and the sweep runs what is overdue by then.
        Err(error) => tracing::warn!(%error, "a wake-up was not handled; it comes again"),
    }
}
