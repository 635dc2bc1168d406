//! The wake-up queue in memory, for a process that is its own worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::{Receipt, ReceivedWakeUp, StoreError, WakeUp, WakeUpQueue, WakeUpReceiver};
use crate::domain::Timestamp;
use crate::time::{Clock, longest_sleep};

/// A wake-up queue in memory, for a process that is its own worker.
///
/// Its wake-ups are lost when the process ends. [`WakeUpQueue::retained_since`] is therefore the time at which the
/// queue was created, and the first sweep enqueues the wake-ups of all conversations that are due soon. The queue
/// contains only wake-ups of the next ten minutes, so conversations that are due next year need no memory.
///
/// A delay ends at a time of the clock and not after a time of the timer: the clock may be set, and a timer stands still
/// while the machine is suspended.
pub struct MemoryQueue {
    clock: Arc<dyn Clock>,
    created: Timestamp,
    sender: mpsc::UnboundedSender<(Timestamp, WakeUp)>,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    arriving: mpsc::UnboundedReceiver<(Timestamp, WakeUp)>,
    /// The wake-ups by the time at which they are shown, and by their order of arrival.
    delayed: BTreeMap<(Timestamp, u64), WakeUp>,
    arrived: u64,
}

impl MemoryQueue {
    /// A wake-up is shown this much early: the time that a worker needs to read and claim a conversation, and the
    /// precision of the timer.
    const LEAD: Duration = Duration::from_millis(15);
    /// Twice the time that the sweep looks ahead, so that either the scheduler or the sweep enqueues each wake-up.
    const HORIZON: Duration = Duration::from_mins(10);

    /// An empty queue that was created now.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (sender, arriving) = mpsc::unbounded_channel();
        let waiting = Mutex::new(Waiting { arriving, delayed: BTreeMap::new(), arrived: 0 });
        Self { created: clock.now(), clock, sender, waiting }
    }
}

#[async_trait]
impl WakeUpQueue for MemoryQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        // The receiver lives as long as `self`, so the channel is never closed.
        let _ = self.sender.send((self.clock.now() + delay.saturating_sub(Self::LEAD), wake_up.clone()));
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
        Ok(waiting.take(&*self.clock, max).await)
    }

    async fn delete(&self, _: &ReceivedWakeUp) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Waiting {
    async fn take(&mut self, clock: &dyn Clock, max: usize) -> Vec<ReceivedWakeUp> {
        loop {
            while let Ok(arrived) = self.arriving.try_recv() {
                self.insert(arrived);
            }
            let now = clock.now();
            let mut taken = Vec::new();
            while taken.len() < max {
                match self.delayed.first_entry() {
                    Some(first) if first.key().0 <= now => taken.push(shown(first.remove())),
                    _ => break,
                }
            }
            if !taken.is_empty() || max == 0 {
                return taken;
            }
            let rest = self.delayed.keys().next().map(|(at, _)| now.until(*at));
            tokio::select! {
                biased; // a simulation with the same seed must take the same branch each time
                Some(arrived) = self.arriving.recv() => self.insert(arrived),
                () = tokio::time::sleep(longest_sleep(rest.unwrap_or_default())), if rest.is_some() => {}
            }
        }
    }

    fn insert(&mut self, (at, wake_up): (Timestamp, WakeUp)) {
        self.arrived += 1;
        self.delayed.insert((at, self.arrived), wake_up);
    }
}

fn shown(wake_up: WakeUp) -> ReceivedWakeUp {
    ReceivedWakeUp { wake_up, receipt: Receipt::default() }
}
