//! The wake-up queue in memory, for a process that is its own worker.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::time::DelayQueue;

use super::{Receipt, ReceivedWakeUp, StoreError, WakeUp, WakeUpQueue, WakeUpReceiver};
use crate::domain::Timestamp;

/// A wake-up queue in memory, for a process that is its own worker.
///
/// Its wake-ups are lost when the process ends. [`WakeUpQueue::retained_since`] is therefore the time at which the
/// queue was created, and the first sweep enqueues the wake-ups of all conversations that are due soon. The queue
/// contains only wake-ups of the next ten minutes, so conversations that are due next year need no memory.
pub struct MemoryQueue {
    created: Timestamp,
    sender: mpsc::UnboundedSender<(WakeUp, Instant)>,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    arriving: mpsc::UnboundedReceiver<(WakeUp, Instant)>,
    delayed: DelayQueue<WakeUp>,
}

impl MemoryQueue {
    /// A wake-up is shown this much early: the time that a worker needs to read and claim a conversation, and the
    /// precision of the timer.
    const LEAD: Duration = Duration::from_millis(15);
    /// Twice the time that the sweep looks ahead, so that either the scheduler or the sweep enqueues each wake-up.
    const HORIZON: Duration = Duration::from_mins(10);

    /// An empty queue that was created now.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let (sender, arriving) = mpsc::unbounded_channel();
        Self { created: now, sender, waiting: Mutex::new(Waiting { arriving, delayed: DelayQueue::new() }) }
    }
}

#[async_trait]
impl WakeUpQueue for MemoryQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        // The receiver lives as long as `self`, so the channel is never closed.
        let _ = self.sender.send((wake_up.clone(), Instant::now() + delay.saturating_sub(Self::LEAD)));
        Ok(())
    }

    fn horizon(&self) -> Duration {
        Self::HORIZON
    }

    fn retained_since(&self) -> Timestamp {
        self.created
    }
}

#[async_trait]
impl WakeUpReceiver for MemoryQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        let mut waiting = self.waiting.lock().await;
        Ok(waiting.take(max).await)
    }

    async fn delete(&self, _: &ReceivedWakeUp) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Waiting {
    async fn take(&mut self, max: usize) -> Vec<ReceivedWakeUp> {
        let mut taken = Vec::new();
        loop {
            while let Ok((wake_up, visible)) = self.arriving.try_recv() {
                self.delayed.insert_at(wake_up, visible);
            }
            while taken.len() < max {
                match futures_util::FutureExt::now_or_never(next(&mut self.delayed)) {
                    Some(Some(wake_up)) => taken.push(shown(wake_up)),
                    Some(None) | None => break,
                }
            }
            if !taken.is_empty() || max == 0 {
                return taken;
            }
            tokio::select! {
                biased; // a simulation with the same seed must take the same branch each time
                arrived = self.arriving.recv() => {
                    if let Some((wake_up, visible)) = arrived {
                        self.delayed.insert_at(wake_up, visible);
                    }
                }
                Some(wake_up) = next(&mut self.delayed), if !self.delayed.is_empty() => {
                    taken.push(shown(wake_up));
                }
            }
        }
    }
}

fn shown(wake_up: WakeUp) -> ReceivedWakeUp {
    ReceivedWakeUp { wake_up, receipt: Receipt::default() }
}

async fn next(delayed: &mut DelayQueue<WakeUp>) -> Option<WakeUp> {
    std::future::poll_fn(|context| delayed.poll_expired(context))
        .await
        .map(tokio_util::time::delay_queue::Expired::into_inner)
}
