//! What a worker does while a queue has more to show than it can deliver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::WakeUp;
use mcp_scheduler::store::{MemoryQueue, ReceivedWakeUp, StoreError, WakeUpQueue, WakeUpReceiver};

use crate::support::delivery_harness::{DeliveryHarness, NOON};

const BATCH: usize = 32;
const MILLISECOND: Duration = Duration::from_millis(1);

/// A queue that hands over so many at once and takes its time, like a storage queue.
#[derive(Clone)]
struct SlowQueue(Arc<Inner>);

struct Inner {
    wake_ups: MemoryQueue,
    removal: Duration,
    removing: AtomicUsize,
    removed: AtomicUsize,
    /// How many receipts were asked for less than it hands over at once.
    small: AtomicUsize,
    /// How many wake-ups were shown by receipts that followed a full one.
    shown_behind: AtomicUsize,
    /// How many removals were under way during those receipts.
    in_the_way: AtomicUsize,
    last: AtomicUsize,
}

impl SlowQueue {
    const RECEIPT: Duration = Duration::from_millis(100);

    fn whose_removals_take(removal: Duration) -> Self {
        Self(Arc::new(Inner {
            wake_ups: MemoryQueue::new(NOON),
            removal,
            removing: AtomicUsize::new(0),
            removed: AtomicUsize::new(0),
            small: AtomicUsize::new(0),
            shown_behind: AtomicUsize::new(0),
            in_the_way: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
        }))
    }
}

#[async_trait]
impl WakeUpQueue for SlowQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        self.0.wake_ups.enqueue(wake_up, delay).await
    }

    fn horizon(&self) -> Duration {
        self.0.wake_ups.horizon()
    }

    fn retained_since(&self) -> Timestamp {
        self.0.wake_ups.retained_since()
    }
}

#[async_trait]
impl WakeUpReceiver for SlowQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        let (queue, behind) = (&self.0, self.0.last.load(SeqCst) == BATCH);
        queue.small.fetch_add(usize::from(max < BATCH), SeqCst);
        tokio::time::sleep(Self::RECEIPT).await;
        let in_the_way = queue.removing.load(SeqCst);
        let shown = queue.wake_ups.receive(max.min(BATCH)).await?;
        if behind && !shown.is_empty() {
            queue.shown_behind.fetch_add(shown.len(), SeqCst);
            queue.in_the_way.fetch_add(in_the_way, SeqCst);
        }
        queue.last.store(shown.len(), SeqCst);
        Ok(shown)
    }

    async fn delete(&self, _: &ReceivedWakeUp) -> Result<(), StoreError> {
        self.0.removing.fetch_add(1, SeqCst);
        tokio::time::sleep(self.0.removal).await;
        self.0.removing.fetch_sub(1, SeqCst);
        self.0.removed.fetch_add(1, SeqCst);
        Ok(())
    }
}

async fn work_on(queue: &SlowQueue, due_at_once: usize) -> DeliveryHarness {
    let harness = DeliveryHarness::with_queue(queue.clone());
    join_all((0..due_at_once).map(|_| harness.schedule(Duration::from_secs(1), |_| {}))).await;
    harness.start_worker();
    harness
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_slow_to_remove_holds_no_delivery_up() {
    let queue = SlowQueue::whose_removals_take(Duration::from_hours(1));
    let harness = work_on(&queue, 3000).await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert_eq!(harness.endpoint.calls().len(), 3000);
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_is_received_ahead_of_removals_and_in_full_batches() {
    let queue = SlowQueue::whose_removals_take(250 * MILLISECOND);
    let harness = work_on(&queue, 3200).await;
    harness.endpoint.takes("example.com", 50 * MILLISECOND);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let Inner { removed, small, shown_behind, in_the_way, .. } = &*queue.0;
    assert_eq!((harness.endpoint.calls().len(), removed.load(SeqCst)), (3200, 3200));
    assert!(shown_behind.load(SeqCst) > 3000);
    assert_eq!(in_the_way.load(SeqCst), 0);
    assert_eq!(small.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_worker_asks_for_hints_when_it_has_room_for_a_batch() {
    let queue = SlowQueue::whose_removals_take(MILLISECOND);
    let harness = DeliveryHarness::with_queue(queue.clone());
    // More than it has in hand, and they end one by one.
    for number in 0..1500_u32 {
        let host = format!("slow-{number}.example");
        harness.endpoint.takes(&host, Duration::from_secs(2) + MILLISECOND * number);
        harness
            .schedule(Duration::from_secs(1), |request| request.endpoint = Some(format!("https://{host}/hook")))
            .await;
    }
    harness.start_worker();
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(harness.endpoint.calls().len(), 1500);
    assert_eq!(queue.0.small.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn removals_do_not_wait_for_hints_to_come() {
    let queue = SlowQueue::whose_removals_take(MILLISECOND);
    let harness = work_on(&queue, 2 * BATCH).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.endpoint.calls().len(), 2 * BATCH);
    assert_eq!(queue.0.removed.load(SeqCst), 2 * BATCH);
}
