//! The worker inside the binary: receives wake-ups and sweeps when no Functions host does it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Deliverer;
use super::processed::ProcessedMessages;
use crate::maintenance::Sweeper;
use crate::store::{ReceivedWakeUp, WakeUpQueue, WakeUpReceiver};
use crate::time::Pacemaker;

/// Receives wake-ups, delivers their conversations, and sweeps once a minute.
pub struct Worker {
    deliverer: Arc<Deliverer>,
    sweeper: Sweeper,
    wake_ups: Arc<dyn WakeUpQueue>,
    receiver: Arc<dyn WakeUpReceiver>,
    is_exclusive: bool,
}

impl Worker {
    /// The most wake-ups that are handled at one time: those that have a permit of their client, and some that are sent
    /// away. Clients together never hold all permits, so there is room to receive the wake-ups of others.
    const MAX_CONCURRENT: usize = Deliverer::MAX_IN_FLIGHT + 4 * Self::BATCH as usize;
    /// The most messages that a storage queue returns at once. The worker receives only when it has room for that
    /// many. Otherwise a busy worker would send one request for each message.
    const BATCH: u32 = 32;
    const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
    /// The pause after the store has failed.
    const RETRY_DELAY: Duration = Duration::from_secs(5);

    /// A worker on a queue.
    pub fn new(
        deliverer: Arc<Deliverer>,
        sweeper: Sweeper,
        wake_ups: Arc<dyn WakeUpQueue>,
        receiver: Arc<dyn WakeUpReceiver>,
    ) -> Self {
        Self { deliverer, sweeper, wake_ups, receiver, is_exclusive: false }
    }

    /// The same for a process with exclusive use of its store: every process that took a lease earlier has ended.
    #[must_use]
    pub fn with_exclusive_store(self) -> Self {
        Self { is_exclusive: true, ..self }
    }

    /// Ends the leases of earlier processes at once, so that their attempts are repeated without waiting for the
    /// leases to run out.
    async fn reclaim_leases(&self) {
        match self.sweeper.reclaim_leases().await {
            Ok(0) => {}
            Ok(reclaimed) => tracing::info!(reclaimed, "repeating the attempts that an earlier process did not finish"),
            Err(error) => tracing::warn!(%error, "not all leases were reclaimed; the others will run out"),
        }
    }

    /// Works until `stop`, then finishes the deliveries that have begun.
    pub async fn run(self, stop: CancellationToken) {
        if self.is_exclusive {
            self.reclaim_leases().await;
        }
        let deliveries = TaskTracker::new();
        let processed = ProcessedMessages::start(Arc::clone(&self.receiver), &deliveries);
        tokio::select! {
            biased; // a simulated run must be the same every time
            () = self.sweep_forever() => {}
            () = self.deliver_forever(&deliveries, processed) => {}
            () = stop.cancelled() => {}
        }
        deliveries.close();
        deliveries.wait().await;
    }

    async fn sweep_forever(&self) {
        let mut pacemaker = Pacemaker::new(self.sweeper.clock());
        // The clock may have been set back before the start. A store of several processes follows the clock of the
        // storage, which nobody sets.
        let mut rows_may_be_ahead = self.is_exclusive;
        loop {
            match self.sweeper.sweep().await {
                Ok(report) => tracing::debug!(
                    seen = report.seen,
                    enqueued = report.enqueued,
                    overdue_seconds = report.overdue.as_secs(),
                    poison_queue_length = report.poison_queue_length,
                    "sweep finished"
                ),
                Err(error) => tracing::warn!(%error, "sweep failed"),
            }
            if rows_may_be_ahead {
                rows_may_be_ahead = self.sweep_ahead().await;
            }
            rows_may_be_ahead |= pacemaker.pause(Self::SWEEP_INTERVAL).await && self.is_exclusive;
        }
    }

    /// Wakes the conversations whose lease or pause a clock wrote that was ahead. Returns whether another sweep may
    /// find one.
    async fn sweep_ahead(&self) -> bool {
        match self.sweeper.sweep_ahead().await {
            Ok(0) => false,
            Ok(found) => {
                tracing::warn!(found, "the clock was set back; ending the leases and pauses that were written before");
                true
            }
            Err(error) => {
                tracing::warn!(%error, "not all leases and pauses were compared with the clock");
                true
            }
        }
    }

    async fn deliver_forever(&self, deliveries: &TaskTracker, processed: ProcessedMessages) {
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
                let (deliverer, wake_ups) = (Arc::clone(&self.deliverer), Arc::clone(&self.wake_ups));
                let processed = processed.clone();
                deliveries.spawn(async move {
                    handle(&deliverer, &*wake_ups, &wake_up).await;
                    processed.add(wake_up).await;
                    drop(permit);
                });
            }
        }
    }
}

async fn handle(deliverer: &Deliverer, wake_ups: &dyn WakeUpQueue, received: &ReceivedWakeUp) {
    let id = received.wake_up.id;
    let Err(error) = deliverer.deliver(&received.wake_up).await else { return };
    tracing::warn!(conversation.id = %id, %error, "delivery postponed");
    if let Err(error) = wake_ups.enqueue(&received.wake_up, Worker::RETRY_DELAY).await {
        // The due row still exists, so the sweep will find the conversation.
        tracing::warn!(conversation.id = %id, %error, "wake-up not enqueued; the sweep will enqueue it");
    }
}
