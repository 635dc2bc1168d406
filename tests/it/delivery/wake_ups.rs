//! A wake-up only says which conversation to read: a wrong, early or repeated one sends nothing early or twice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::Status;
use mcp_scheduler::store::WakeUp;

use crate::support::delivery_harness::{DeliveryHarness, NOON, led_to};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_wake_up_up_to_two_seconds_early_is_held_until_the_due_time() {
    for early in [1, 10, 11, 1000, 5000].map(Duration::from_millis) {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(HOUR, |_| ()).await;
        harness.wait_until(NOON + HOUR - early).await;
        assert_eq!(led_to(&harness.deliverer().deliver(&wake_up).await.unwrap()), Some(Status::Completed));
        let calls = harness.endpoint.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].at, NOON + HOUR, "{early:?} early");
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_wake_up_is_enqueued_again_for_the_rest_of_the_wait() {
    for early in [Duration::from_millis(5011), 6 * SECOND, 600 * SECOND] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(HOUR, |_| ()).await;
        harness.wait_until(NOON + HOUR - early).await;
        assert_eq!(harness.deliverer().deliver(&wake_up).await.unwrap(), DeliveryOutcome::Postponed);
        let enqueued = harness.queue.enqueued().pop().unwrap();
        assert_eq!((enqueued.wake_up, enqueued.delay), (wake_up, early));
        assert!(harness.endpoint.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_receives_wake_ups_far_too_early_delivers_on_time() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(HOUR, |_| ()).await;
    harness.start_worker();
    harness.enqueue_many_times(&wake_up, 5).await;
    tokio::time::sleep(2 * HOUR).await;
    let calls = harness.endpoint.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].at, NOON + HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_due_now_gets_its_wake_up_after_its_commit() {
    let harness = DeliveryHarness::new();
    harness.start_worker();
    tokio::time::sleep(SECOND).await;
    // A worker that receives the wake-up during this commit would find no conversation and drop the wake-up.
    harness.table.next_call_takes(4 * SECOND);
    harness.schedule(Duration::ZERO, |_| ()).await;
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(harness.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_the_delivery_and_one_that_is_set_forward_does_not_hurry_it() {
    for jump in [-10, -3600, 1] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(HOUR, |_| ()).await;
        harness.wait_until(NOON + HOUR - 2 * SECOND).await;
        let deliverer = harness.deliverer();
        let delivery = tokio::spawn(async move { deliverer.deliver(&wake_up).await });
        tokio::time::sleep(SECOND / 2).await;
        harness.clock.jump(jump);
        assert_eq!(led_to(&delivery.await.unwrap().unwrap()), Some(Status::Completed));
        assert!(harness.endpoint.calls()[0].at >= NOON + HOUR, "the clock jumped by {jump} s");
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_wake_ups_at_once_lead_to_one_delivery() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(HOUR, |_| ()).await;
    harness.wait_until(NOON + HOUR - SECOND).await;
    let workers = [harness.deliverer(), harness.deliverer(), harness.deliverer()];
    let deliveries = (0..50).map(|i| {
        let (worker, wake_up) = (Arc::clone(&workers[i % 3]), wake_up.clone());
        tokio::spawn(async move { worker.deliver(&wake_up).await.unwrap() })
    });
    let delivered: Vec<_> = join_all(deliveries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(delivered.iter().filter(|d| led_to(d) == Some(Status::Completed)).count(), 1);
    assert_eq!(delivered.iter().filter(|d| **d == DeliveryOutcome::NothingToDo).count(), 49);
    assert_eq!(harness.endpoint.calls().len(), 1);
    assert_eq!(harness.read(wake_up.id).await.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_for_an_unknown_conversation_or_a_wrong_client_is_dropped() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    let foreign = WakeUp { client: "bob".parse().unwrap(), ..wake_up.clone() };
    let unknown = WakeUp { id: "01890000-0000-7000-8000-000000000000".parse().unwrap(), ..wake_up };
    for wake_up in [foreign, unknown] {
        assert_eq!(harness.deliverer().deliver(&wake_up).await.unwrap(), DeliveryOutcome::NothingToDo);
    }
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stale_wake_up_neither_sends_early_nor_enqueues_another() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(HOUR, |_| ()).await;
    let before = harness.queue.enqueued().len();
    let stale = WakeUp { generation: wake_up.generation - 1, ..wake_up };
    assert_eq!(harness.deliverer().deliver(&stale).await.unwrap(), DeliveryOutcome::NothingToDo);
    assert_eq!(harness.queue.enqueued().len(), before, "the change of generation enqueued its own wake-up");
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_of_a_future_generation_is_dropped_and_the_current_one_is_not() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    let ahead = WakeUp { generation: wake_up.generation + 1, ..wake_up.clone() };
    assert_eq!(harness.deliverer().deliver(&ahead).await.unwrap(), DeliveryOutcome::NothingToDo);
    assert!(harness.endpoint.calls().is_empty());
    assert_eq!(led_to(&harness.deliverer().deliver(&wake_up).await.unwrap()), Some(Status::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_for_a_final_conversation_is_dropped() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    let deliverer = harness.deliverer();
    deliverer.deliver(&wake_up).await.unwrap();
    for _ in 0..3 {
        assert_eq!(deliverer.deliver(&wake_up).await.unwrap(), DeliveryOutcome::NothingToDo);
    }
    assert_eq!(harness.endpoint.calls().len(), 1);
}

impl DeliveryHarness {
    /// Enqueues the same wake-up several times, without a delay.
    async fn enqueue_many_times(&self, wake_up: &WakeUp, times: usize) {
        use mcp_scheduler::store::WakeUpQueue;
        for _ in 0..times {
            self.queue.enqueue(wake_up, Duration::ZERO).await.unwrap();
        }
    }
}
