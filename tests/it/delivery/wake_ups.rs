//! A wake-up is only a reason to look: whatever it says, nothing is sent early, twice, or to nobody.

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
async fn an_early_hint_of_up_to_two_seconds_is_held_until_the_time() {
    for early in [1, 10, 11, 1000, 2000].map(Duration::from_millis) {
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
async fn an_earlier_hint_is_put_again_for_the_rest_of_the_wait() {
    for early in [Duration::from_millis(2011), 3 * SECOND, 600 * SECOND] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(HOUR, |_| ()).await;
        harness.wait_until(NOON + HOUR - early).await;
        assert_eq!(harness.deliverer().deliver(&wake_up).await.unwrap(), DeliveryOutcome::Postponed);
        let put = harness.queue.puts().pop().unwrap();
        assert_eq!((put.wake_up, put.delay), (wake_up, early));
        assert!(harness.endpoint.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_gets_hints_far_too_early_still_delivers_on_time() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(HOUR, |_| ()).await;
    harness.start_worker();
    harness.store_many_hints(&wake_up, 5).await;
    tokio::time::sleep(2 * HOUR).await;
    let calls = harness.endpoint.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].at, NOON + HOUR);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_now_is_not_hinted_before_it_stands() {
    let harness = DeliveryHarness::new();
    harness.start_worker();
    tokio::time::sleep(SECOND).await;
    // A worker that got the wake-up during this commit would find nothing and drop it.
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
async fn fifty_hints_at_once_lead_to_one_delivery() {
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
async fn a_hint_for_nobody_or_for_somebody_elses_conversation_is_dropped() {
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
async fn a_stale_hint_neither_hurries_nor_multiplies_the_wait() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(HOUR, |_| ()).await;
    let puts = harness.queue.puts().len();
    let stale = WakeUp { generation: wake_up.generation - 1, ..wake_up };
    assert_eq!(harness.deliverer().deliver(&stale).await.unwrap(), DeliveryOutcome::NothingToDo);
    assert_eq!(harness.queue.puts().len(), puts, "whoever moved the conversation saw to its hint");
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hint_ahead_of_its_conversation_is_dropped_and_the_conversations_own_hint_is_not() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    let ahead = WakeUp { generation: wake_up.generation + 1, ..wake_up.clone() };
    assert_eq!(harness.deliverer().deliver(&ahead).await.unwrap(), DeliveryOutcome::NothingToDo);
    assert!(harness.endpoint.calls().is_empty());
    assert_eq!(led_to(&harness.deliverer().deliver(&wake_up).await.unwrap()), Some(Status::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_hint_after_the_end_is_dropped() {
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
    /// Shows the same wake-up many times, at once.
    async fn store_many_hints(&self, wake_up: &WakeUp, times: usize) {
        use mcp_scheduler::store::WakeUpQueue;
        for _ in 0..times {
            self.queue.enqueue(wake_up, Duration::ZERO).await.unwrap();
        }
    }
}
