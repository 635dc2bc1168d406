//! A due row only says which conversation to read: a wrong, early or repeated one sends nothing early or twice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::Status;
use mcp_scheduler::store::DueKey;

use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON, led_to};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_started_early_waits_for_its_time() {
    for early in [1, 10, 11, 1000, 5000].map(Duration::from_millis) {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(HOUR, |_| ()).await;
        harness.wait_until(due.at - early).await;
        assert_eq!(led_to(&harness.deliverer().deliver(&due, None).await.unwrap()), Some(Status::Completed));
        let calls = harness.endpoint.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].at, NOON + HOUR, "{early:?} early");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_the_delivery_and_one_that_is_set_forward_does_not_hurry_it() {
    for jump in [-10, -3600, 1] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(HOUR, |_| ()).await;
        harness.wait_until(NOON + HOUR - 2 * SECOND).await;
        let deliverer = harness.deliverer();
        let delivery = tokio::spawn(async move { deliverer.deliver(&due, None).await });
        tokio::time::sleep(SECOND / 2).await;
        harness.clock.jump(jump);
        assert_eq!(led_to(&delivery.await.unwrap().unwrap()), Some(Status::Completed));
        assert!(harness.endpoint.calls()[0].at >= NOON + HOUR, "the clock jumped by {jump} s");
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_deliveries_of_one_row_at_once_send_one_request() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(HOUR, |_| ()).await;
    harness.wait_until(NOON + HOUR - SECOND).await;
    let workers = [harness.deliverer(), harness.deliverer(), harness.deliverer()];
    let deliveries = (0..50).map(|i| {
        let (worker, due) = (Arc::clone(&workers[i % 3]), due.clone());
        tokio::spawn(async move { worker.deliver(&due, None).await.unwrap() })
    });
    let delivered: Vec<_> = join_all(deliveries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(delivered.iter().filter(|d| led_to(d) == Some(Status::Completed)).count(), 1);
    assert_eq!(delivered.iter().filter(|d| **d == DeliveryOutcome::NothingToDo).count(), 49);
    assert_eq!(harness.endpoint.calls().len(), 1);
    assert_eq!(harness.read(due.id).await.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_an_unknown_conversation_or_a_wrong_client_is_dropped() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let foreign = DueKey { client: "bob".parse().unwrap(), ..due.clone() };
    let unknown = DueKey { id: "01890000-0000-7000-8000-000000000000".parse().unwrap(), ..due };
    for due in [foreign, unknown] {
        assert_eq!(harness.deliverer().deliver(&due, None).await.unwrap(), DeliveryOutcome::NothingToDo);
    }
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_row_with_a_time_that_the_conversation_does_not_have_is_dropped_and_enqueues_nothing() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let before = harness.queue.enqueued().len();
    for at in [due.at - SECOND, due.at - Duration::from_millis(1), due.at + Duration::from_millis(1), due.at + HOUR] {
        let stale = DueKey { at, ..due.clone() };
        assert_eq!(harness.deliverer().deliver(&stale, None).await.unwrap(), DeliveryOutcome::NothingToDo);
    }
    assert_eq!((harness.now(), harness.queue.enqueued().len()), (NOON, before));
    assert!(harness.endpoint.calls().is_empty());
    assert_eq!(led_to(&harness.deliverer().deliver(&due, None).await.unwrap()), Some(Status::Completed));
}

#[tokio::test(start_paused = true)]
async fn the_row_of_an_attempt_that_is_over_is_dropped() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(500)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let deliverer = harness.deliverer();
    deliverer.deliver(&due, None).await.unwrap();
    assert_eq!(deliverer.deliver(&due, None).await.unwrap(), DeliveryOutcome::NothingToDo);
    let retry = harness.next_due(&due).await.unwrap();
    assert_eq!(led_to(&deliverer.deliver(&retry, None).await.unwrap()), Some(Status::Completed));
    for late in [due, retry] {
        assert_eq!(deliverer.deliver(&late, None).await.unwrap(), DeliveryOutcome::NothingToDo);
    }
    assert_eq!(harness.endpoint.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_due_now_gets_its_wake_up_after_its_commit() {
    for make in [DeliveryHarness::new, DeliveryHarness::in_one_process] {
        let harness = make();
        harness.start();
        tokio::time::sleep(SECOND).await;
        // A worker that looked during this commit would find no row, and nobody would look again.
        harness.table.next_call_takes(4 * SECOND);
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(harness.endpoint.calls().len(), 1);
        assert_eq!(harness.read(due.id).await.status(), Status::Completed);
    }
}
