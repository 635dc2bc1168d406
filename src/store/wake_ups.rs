//! Which wake-ups are enqueued, and when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::{Part, Partition, PartitionSet, Slot, SlotWakeUp, StoreError, WakeUp, WakeUpQueue};
use crate::domain::Timestamp;
use crate::sync::lock;
use crate::time::Clock;

/// Sees to it that a worker looks at a conversation when its time has come.
#[async_trait]
pub trait Waker: Send + Sync + 'static {
    /// The time of a conversation in this partition was set, by a commit that is done.
    ///
    /// It cannot fail: if no wake-up can be enqueued, the sweep finds the conversation.
    async fn wake_at(&self, partition: Partition, at: Timestamp);
}

/// Enqueues wake-ups in a queue that all processes share.
pub struct WakeUps {
    queue: Arc<dyn WakeUpQueue>,
    clock: Arc<dyn Clock>,
    /// The wake-ups that this process has enqueued for seconds to come.
    enqueued: Mutex<BTreeMap<Slot, PartitionSet>>,
}

impl WakeUps {
    /// A conversation that is due within this time of its commit needs a wake-up. A sweep surely sees one that is due
    /// later: it looks three minutes ahead, every minute.
    pub const NEAR: Duration = Duration::from_mins(4);
    /// The rows of a second may be read this long before the second begins.
    pub const LEAD: Duration = Duration::from_secs(1);
    /// Nobody has read the rows of a second that is this far ahead. It is `LEAD`, the second by which a date is cut, and
    /// the difference between two clocks of the storage.
    const SURE: Duration = Duration::from_secs(5);
    /// A wake-up that comes this early is held in memory.
    pub const HOLD: Duration = Duration::from_secs(5);
    /// A wake-up further ahead was enqueued by nobody: the dead man's switch is 15 minutes ahead.
    pub const MAX_AHEAD: Duration = Duration::from_mins(16);

    /// Wake-ups in this queue.
    pub fn new(queue: Arc<dyn WakeUpQueue>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, clock, enqueued: Mutex::default() }
    }

    /// Enqueues a wake-up for all due rows of a second in these partitions.
    ///
    /// # Errors
    /// As [`WakeUpQueue::enqueue`].
    pub async fn enqueue_slot(&self, slot: Slot, partitions: PartitionSet) -> Result<(), StoreError> {
        let delay = self.delay(slot);
        self.queue.enqueue(&WakeUp::of_slot(slot, partitions), delay).await?;
        let now = self.clock.latest();
        let mut enqueued = lock(&self.enqueued);
        *enqueued = enqueued.split_off(&Slot::of(now));
        // The queue counts the delay from when it gets the message. If that took long, the wake-up may be late.
        if now + delay <= slot.start() {
            let known = enqueued.entry(slot).or_default();
            *known = known.union(partitions);
        }
        Ok(())
    }

    /// Enqueues a wake-up for rows that this process leaves to others. It comes at once, or after a pause.
    ///
    /// # Errors
    /// As [`WakeUpQueue::enqueue`].
    pub async fn enqueue_part(
        &self,
        slot: Slot,
        partitions: PartitionSet,
        part: Part,
        pause: Duration,
    ) -> Result<(), StoreError> {
        let early = self.delay(slot);
        let delay = if early <= Self::HOLD { pause } else { early };
        self.queue.enqueue(&WakeUp::Slot(SlotWakeUp { slot, partitions, part: Some(part) }), delay).await
    }

    /// Enqueues the same wake-up again, because it came too early.
    ///
    /// # Errors
    /// As [`WakeUpQueue::enqueue`].
    pub async fn enqueue_again(&self, wake_up: &SlotWakeUp) -> Result<(), StoreError> {
        self.queue.enqueue(&WakeUp::Slot(wake_up.clone()), self.delay(wake_up.slot)).await
    }

    /// Enqueues the dead man's switch.
    ///
    /// # Errors
    /// As [`WakeUpQueue::enqueue`].
    pub async fn enqueue_switch(&self, slot: Slot) -> Result<(), StoreError> {
        self.enqueue_switch_after(slot, self.delay(slot)).await
    }

    /// Enqueues the dead man's switch with a delay that does not depend on the clock.
    ///
    /// # Errors
    /// As [`WakeUpQueue::enqueue`].
    pub async fn enqueue_switch_after(&self, slot: Slot, delay: Duration) -> Result<(), StoreError> {
        self.queue.enqueue(&WakeUp::Switch(slot), delay).await
    }

    /// The approximate length of the poison queue.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        self.queue.poison_queue_length().await
    }

    /// The delay of a wake-up. Its whole seconds are rounded down, so that it comes early and not late.
    fn delay(&self, slot: Slot) -> Duration {
        let ahead = self.clock.latest().until(slot.start());
        Duration::from_secs(ahead.saturating_sub(Self::LEAD).as_secs())
    }

    /// The partitions that the next wake-up of this second should name. Empty if none is needed.
    ///
    /// The first names its partition, and the second all others. So a second with many conversations costs a process two
    /// messages.
    fn wanted(&self, partition: Partition, slot: Slot) -> PartitionSet {
        let known = lock(&self.enqueued).get(&slot).copied().unwrap_or_default();
        let unread = slot.start() >= self.clock.now() + Self::SURE;
        match known {
            known if known.contains(partition) => {
                if unread {
                    PartitionSet::default()
                } else {
                    partition.into()
                }
            }
            known if known.is_empty() => partition.into(),
            known => known.complement(),
        }
    }
}

#[async_trait]
impl Waker for WakeUps {
    async fn wake_at(&self, partition: Partition, at: Timestamp) {
        if at >= self.clock.now() + Self::NEAR {
            return;
        }
        let slot = Slot::of(at);
        let partitions = self.wanted(partition, slot);
        if partitions.is_empty() {
            return;
        }
        if let Err(error) = self.enqueue_slot(slot, partitions).await {
            tracing::warn!(%slot, %partitions, %error, "wake-up not enqueued; the sweep will find what is due");
        }
    }
}

#[cfg(test)]
#[path = "wake_ups_tests.rs"]
mod tests;
