//! How a worker receives and deletes messages while the queue has a backlog.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use mcp_scheduler::store::{DueKey, ReceivedWakeUp, StoreError, WakeUp, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::SimulatedQueue;

use crate::support::delivery_harness::DeliveryHarness;

const BATCH: usize = 32;
/// By then all conversations are scheduled. The sweep does not see them, because they are further ahead than it looks.
const SOON: Duration = Duration::from_mins(5);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A queue that returns at most a batch and takes some time for each call, like a storage queue.
#[derive(Clone)]
struct SlowQueue(Arc<Inner>);

struct Inner {
    wake_ups: SimulatedQueue,
    delete_latency: Duration,
    deleting: AtomicUsize,
    deleted: AtomicUsize,
    received: AtomicUsize,
    /// The number of calls to receive that asked for less than a batch.
    small_receives: AtomicUsize,
    /// The number of wake-ups that were received right after a full batch.
    received_after_full_batch: AtomicUsize,
    /// The number of deletes in flight during those calls to receive.
    deletes_in_the_way: AtomicUsize,
    last_received: AtomicUsize,
}

impl SlowQueue {
    const RECEIVE_LATENCY: Duration = Duration::from_millis(100);

    fn with_delete_latency(delete_latency: Duration) -> Self {
        Self(Arc::new(Inner {
            wake_ups: SimulatedQueue::new(()),
            delete_latency,
            deleting: AtomicUsize::new(0),
            deleted: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
            small_receives: AtomicUsize::new(0),
            received_after_full_batch: AtomicUsize::new(0),
            deletes_in_the_way: AtomicUsize::new(0),
            last_received: AtomicUsize::new(0),
        }))
    }
}

#[async_trait]
impl WakeUpQueue for SlowQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        self.0.wake_ups.enqueue(wake_up, delay).await
    }
}

#[async_trait]
impl WakeUpReceiver for SlowQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        let (queue, behind) = (&self.0, self.0.last_received.load(SeqCst) == BATCH);
        queue.small_receives.fetch_add(usize::from(max < BATCH), SeqCst);
        tokio::time::sleep(Self::RECEIVE_LATENCY).await;
        let deletes_in_the_way = queue.deleting.load(SeqCst);
        let shown = queue.wake_ups.receive(max.min(BATCH)).await?;
        if behind && !shown.is_empty() {
            queue.received_after_full_batch.fetch_add(shown.len(), SeqCst);
            queue.deletes_in_the_way.fetch_add(deletes_in_the_way, SeqCst);
        }
        queue.received.fetch_add(shown.len(), SeqCst);
        queue.last_received.store(shown.len(), SeqCst);
        Ok(shown)
    }

    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError> {
        self.0.deleting.fetch_add(1, SeqCst);
        tokio::time::sleep(self.0.delete_latency).await;
        self.0.deleting.fetch_sub(1, SeqCst);
        self.0.deleted.fetch_add(1, SeqCst);
        self.0.wake_ups.delete(received).await
    }
}

/// A service whose queue has a message for each of these conversations, which are due.
async fn work_on(queue: &SlowQueue, due_at_once: usize) -> DeliveryHarness {
    let harness = DeliveryHarness::with_queue(queue.clone());
    let all = join_all((0..due_at_once).map(|_| harness.schedule(SOON, |_| {}))).await;
    enqueue_each(&harness, all).await;
    tokio::time::sleep(SOON).await;
    harness.start_worker();
    harness
}

/// Enqueues a message for each conversation. The first release wrote such messages, and each leads to one delivery.
async fn enqueue_each(harness: &DeliveryHarness, all: Vec<DueKey>) {
    for DueKey { client, id, .. } in all {
        harness.queue.enqueue(&WakeUp::Conversation { client, id }, SOON).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn slow_deletes_do_not_delay_deliveries() {
    let queue = SlowQueue::with_delete_latency(Duration::from_hours(1));
    let harness = work_on(&queue, 3000).await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert_eq!(harness.endpoint.calls().len(), 3000);
}

#[tokio::test(start_paused = true)]
async fn overdue_wake_ups_are_received_before_deletes_and_in_full_batches() {
    let queue = SlowQueue::with_delete_latency(150 * MILLISECOND);
    let harness = work_on(&queue, 3200).await;
    harness.endpoint.set_latency("example.com", 50 * MILLISECOND);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let Inner { deleted, received, small_receives, received_after_full_batch, deletes_in_the_way, .. } = &*queue.0;
    assert_eq!(harness.endpoint.calls().len(), 3200);
    assert!(received.load(SeqCst) >= 3200);
    assert_eq!(deleted.load(SeqCst), received.load(SeqCst));
    assert!(received_after_full_batch.load(SeqCst) > 3000);
    assert_eq!(deletes_in_the_way.load(SeqCst), 0);
    assert_eq!(small_receives.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_receives_only_when_it_has_room_for_a_batch() {
    let queue = SlowQueue::with_delete_latency(MILLISECOND);
    let harness = DeliveryHarness::with_queue(queue.clone());
    let mut all = Vec::new();
    // More than the worker handles at one time, and they end one by one.
    for number in 0..1500_u32 {
        let host = format!("slow-{number}.example");
        harness.endpoint.set_latency(&host, Duration::from_secs(2) + MILLISECOND * number);
        all.push(harness.schedule(SOON, |request| request.endpoint = Some(format!("https://{host}/hook"))).await);
    }
    enqueue_each(&harness, all).await;
    tokio::time::sleep(SOON).await;
    harness.start_worker();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(harness.endpoint.calls().len(), 1500);
    assert_eq!(queue.0.small_receives.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn processed_messages_are_deleted_while_the_queue_is_empty() {
    let queue = SlowQueue::with_delete_latency(MILLISECOND);
    let harness = work_on(&queue, 2 * BATCH).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(harness.endpoint.calls().len(), 2 * BATCH);
    assert!(queue.0.received.load(SeqCst) >= 2 * BATCH);
    assert_eq!(queue.0.deleted.load(SeqCst), queue.0.received.load(SeqCst));
}
