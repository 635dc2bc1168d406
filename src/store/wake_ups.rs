//! Which wake-ups are enqueued, and when.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The wake-ups that this process has enqueued for seconds to come and for those that have just passed.
    enqueued: Mutex<BTreeMap<Slot, Enqueued>>,
}

/// The wake-ups of a second. They are numbered in the order in which calls begin to enqueue them.
#[derive(Default)]
struct Enqueued {
    /// The partitions of those that were enqueued in time for all rows of the second.
    partitions: PartitionSet,
    /// The number of the last one.
    last: u64,
    /// Is cancelled when the call that is enqueueing the last one has ended.
    under_way: Option<CancellationToken>,
    /// The partitions that the next one has to name, for the calls that wait for it.
    waiting: PartitionSet,
    /// The numbers of those that are in the queue.
    in_queue: BTreeSet<u64>,
}

/// The next step of a call that has set the time of a conversation.
enum Step {
    /// A wake-up of its second names its partition.
    Nothing,
    /// A wake-up of its second is being enqueued. The call goes on when that has ended.
    Wait(CancellationToken),
    /// The call enqueues the wake-up with this number, which names these partitions. When the guard is dropped, those that
    /// wait for it go on.
    Enqueue(u64, PartitionSet, DropGuard),
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
    /// The most wake-ups for which a call waits: the one under way, and the next one, which names its partition.
    const WAITS: u32 = 2;
    /// The wake-ups of a second are remembered for this time after it, for calls that share one.
    const KEPT: Duration = Duration::from_secs(5);
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
        let mut enqueued = self.seconds(now);
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

    /// The wake-ups of seconds to come and of those that have just passed. Those of earlier seconds are forgotten.
    fn seconds(&self, now: Timestamp) -> MutexGuard<'_, BTreeMap<Slot, Enqueued>> {
        let mut enqueued = lock(&self.enqueued);
        *enqueued = enqueued.split_off(&Slot::of(now - Self::KEPT));
        enqueued
    }

    /// The next step of a call that has set the time of a conversation in this partition. `named_by` is the number of the
    /// wake-up that names the partition for it, once it waits for one.
    ///
    /// The first wake-up of a second names its partition, and the second one all others. So a second with many
    /// conversations costs a process two messages. Later, the rows of the second may have been read. Then calls that come
    /// while a wake-up is being enqueued share the next one: it is begun after their commits, so whoever reads for it sees
    /// their rows.
    fn step(&self, partition: Partition, slot: Slot, named_by: &mut Option<u64>, may_wait: bool) -> Step {
        let unread = slot.start() >= self.clock.now() + Self::SURE;
        let mut seconds = self.seconds(self.clock.latest());
        let second = seconds.entry(slot).or_default();
        let is_named = named_by.is_some_and(|number| second.in_queue.contains(&number));
        if is_named || (unread && second.partitions.contains(partition)) {
            return Step::Nothing;
        }
        let others = second.under_way.as_ref().filter(|others| !others.is_cancelled());
        if let Some(others) = others.filter(|_| may_wait) {
            if named_by.is_none_or(|number| number < second.last) {
                second.waiting = second.waiting.union(partition.into());
                *named_by = Some(second.last + 1);
            }
            return Step::Wait(others.clone());
        }
        let done = CancellationToken::new();
        second.under_way = Some(done.clone());
        second.last += 1;
        let waiting = std::mem::take(&mut second.waiting).union(partition.into());
        let is_second = unread && !second.partitions.is_empty();
        let partitions = if is_second { second.partitions.complement() } else { waiting };
        Step::Enqueue(second.last, partitions, done.drop_guard())
    }

    /// Notes that the wake-up with this number is in the queue.
    fn note_enqueued(&self, slot: Slot, number: u64) {
        if let Some(second) = lock(&self.enqueued).get_mut(&slot) {
            second.in_queue.insert(number);
        }
    }
}

#[async_trait]
impl Waker for WakeUps {
    async fn wake_at(&self, partition: Partition, at: Timestamp) {
        if at >= self.clock.now() + Self::NEAR {
            return;
        }
        let (slot, mut waits, mut named_by) = (Slot::of(at), Self::WAITS, None);
        loop {
            match self.step(partition, slot, &mut named_by, waits > 0) {
                Step::Nothing => return,
                Step::Wait(others) => {
                    let ended = timeout(Self::MAX_WAIT, others.cancelled()).await;
                    // If the queue is slow, the calls wait for it side by side and not one after the other.
                    waits = if ended.is_ok() { waits - 1 } else { 0 };
                }
                Step::Enqueue(number, partitions, _done) => {
                    match self.enqueue_slot(slot, partitions).await {
                        Ok(()) => self.note_enqueued(slot, number),
                        Err(error) => {
                            metrics::record(|metrics| metrics.wake_up_dropped("not_enqueued"));
                            tracing::warn!(
                                %slot, %partitions, %error, "wake-up not enqueued; the sweep will find what is due"
                            );
                        }
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
