//! Which wake-ups are enqueued, and when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Part, Partition, PartitionSet, Slot, SlotWakeUp, StoreError, WakeUp, WakeUpQueue};
use crate::domain::Timestamp;
use crate::metrics;
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
    enqueued: Mutex<BTreeMap<Slot, Enqueued>>,
}

/// The wake-ups of a second.
#[derive(Default)]
struct Enqueued {
    partitions: PartitionSet,
    /// Is cancelled when the call that is enqueueing one has ended.
    under_way: Option<CancellationToken>,
}

/// The next step of a call that has set the time of a conversation.
enum Step {
    /// A wake-up of its second names its partition.
    Nothing,
    /// A wake-up of its second is being enqueued. If it does not name the partition, the next one does.
    Wait(CancellationToken),
    /// A wake-up that names these partitions. When the guard is dropped, those that wait for it go on.
    Enqueue(PartitionSet, DropGuard),
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
    /// The longest time that a call waits for a wake-up that another call is enqueueing.
    const MAX_WAIT: Duration = Duration::from_secs(1);
    /// The most wake-ups for which a call waits: two name all partitions.
    const WAITS: u32 = 2;
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
        let mut enqueued = self.of_seconds_to_come(now);
        // The queue counts the delay from when it gets the message. If that took long, the wake-up may be late.
        if now + delay <= slot.start() {
            let known = &mut enqueued.entry(slot).or_default().partitions;
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

    /// The wake-ups of this second and of those to come. Those of seconds that have passed are forgotten.
    fn of_seconds_to_come(&self, now: Timestamp) -> MutexGuard<'_, BTreeMap<Slot, Enqueued>> {
        let mut enqueued = lock(&self.enqueued);
        *enqueued = enqueued.split_off(&Slot::of(now));
        enqueued
    }

    /// The next step of a call that has set the time of a conversation in this partition.
    ///
    /// The first wake-up of a second names its partition, and the second one all others. So a second with many
    /// conversations costs a process two messages. Without the waits, each call that comes while the first two are being
    /// enqueued would enqueue one more, and its receiver would read the second again.
    fn step(&self, partition: Partition, slot: Slot, may_wait: bool) -> Step {
        let unread = slot.start() >= self.clock.now() + Self::SURE;
        let mut enqueued = self.of_seconds_to_come(self.clock.latest());
        let Enqueued { partitions: known, under_way } = enqueued.entry(slot).or_default();
        if unread && known.contains(partition) {
            return Step::Nothing;
        }
        let others = under_way.as_ref().filter(|others| !others.is_cancelled());
        if let Some(others) = others.filter(|_| unread && may_wait) {
            return Step::Wait(others.clone());
        }
        let done = CancellationToken::new();
        *under_way = Some(done.clone());
        let is_first = known.is_empty() || known.contains(partition);
        Step::Enqueue(if is_first { partition.into() } else { known.complement() }, done.drop_guard())
    }
}

#[async_trait]
impl Waker for WakeUps {
    async fn wake_at(&self, partition: Partition, at: Timestamp) {
        if at >= self.clock.now() + Self::NEAR {
            return;
        }
        let (slot, mut waits) = (Slot::of(at), Self::WAITS);
        loop {
            match self.step(partition, slot, waits > 0) {
                Step::Nothing => return,
                Step::Wait(others) => {
                    let ended = timeout(Self::MAX_WAIT, others.cancelled()).await;
                    // If the queue is slow, the calls wait for it side by side and not one after the other.
                    waits = if ended.is_ok() { waits - 1 } else { 0 };
                }
                Step::Enqueue(partitions, _done) => {
                    if let Err(error) = self.enqueue_slot(slot, partitions).await {
                        metrics::record(|metrics| metrics.wake_up_dropped("not_enqueued"));
                        tracing::warn!(
                            %slot, %partitions, %error, "wake-up not enqueued; the sweep will find what is due"
                        );
                    }
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "wake_ups_tests.rs"]
mod tests;
