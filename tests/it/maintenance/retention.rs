//! Final conversations are removed when their retention is over.

use std::time::Duration;

use mcp_scheduler::domain::{ConversationId, Retention};
use mcp_scheduler::maintenance::remove_expired;
use mcp_scheduler::scheduler::SchedulerError;
use mcp_scheduler::store::{ConversationStore, KeyRange, Table as _};
use mcp_scheduler::testing::Fault;

use super::{HOUR, MINUTE, sweep};
use crate::support::delivery_harness::{DeliveryHarness, NOON};

const MONTH: Duration = Duration::from_hours(30 * 24);

/// Schedules and cancels conversations.
async fn cancelled(harness: &DeliveryHarness, count: usize) -> Vec<ConversationId> {
    let mut cancelled = Vec::new();
    for _ in 0..count {
        let id = harness.schedule(2 * MONTH, |_| {}).await.id;
        harness.scheduler.cancel(&harness.client, id).await.unwrap();
        cancelled.push(id);
    }
    cancelled
}

/// The number of all rows of conversations.
async fn left(harness: &DeliveryHarness) -> usize {
    let mut left = 0;
    for partition in ConversationStore::partitions() {
        for prefix in ["m~", "x~", "r~", "p~", "d~"] {
            left += harness.rows.scan(partition, &KeyRange::prefix(prefix), 10_000).await.unwrap().len();
        }
    }
    left
}

#[tokio::test(start_paused = true)]
async fn a_sweep_removes_what_ended_longer_ago_than_the_retention() {
    let harness = DeliveryHarness::new();
    let ids = cancelled(&harness, 500).await;
    let live = harness.schedule(2 * MONTH, |_| {}).await.id;
    harness.wait_until(NOON + MONTH).await;
    sweep(&harness).await;
    assert_eq!(left(&harness).await, 1503);
    tokio::time::sleep(HOUR).await;
    sweep(&harness).await;
    assert_eq!(left(&harness).await, 3);
    for id in ids {
        for result in [
            harness.scheduler.get(&harness.client, id).await.map(drop),
            harness.scheduler.redeliver(&harness.client, id).await.map(drop),
            harness.scheduler.cancel(&harness.client, id).await.map(drop),
        ] {
            assert!(matches!(result, Err(SchedulerError::NotFound)), "{result:?}");
        }
    }
    assert!(harness.scheduler.get(&harness.client, live).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_new_retention_applies_to_conversations_that_have_ended() {
    let harness = DeliveryHarness::new();
    cancelled(&harness, 3).await;
    tokio::time::sleep(25 * HOUR).await;
    for (days, expected) in [("30", 9), ("2", 9), ("1", 0)] {
        let retention: Retention = days.parse().unwrap();
        remove_expired(&harness.store, &*harness.clock, retention).await;
        assert_eq!(left(&harness).await, expected, "{days}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_with_its_own_store_removes_conversations_once_a_minute() {
    let harness = DeliveryHarness::in_one_process();
    cancelled(&harness, 50).await;
    let follower = harness.start();
    harness.wait_until(NOON + MONTH - MINUTE).await;
    assert_eq!(left(&harness).await, 150);
    tokio::time::sleep(3 * MINUTE).await;
    assert_eq!(left(&harness).await, 0);
    follower.abort();
}

/// The process dies, or the answer is lost, at each call of a removal.
#[tokio::test(start_paused = true)]
async fn a_removal_that_was_interrupted_goes_on_later() {
    for fault in [Fault::Refused, Fault::RequestLost, Fault::AnswerLost] {
        for calls_before in 0..40 {
            let harness = DeliveryHarness::new();
            cancelled(&harness, 20).await;
            tokio::time::sleep(MONTH + HOUR).await;
            let mut faults = vec![Fault::None; calls_before];
            faults.extend([fault, Fault::None]);
            harness.table.next_calls(&faults);
            remove_expired(&harness.store, &*harness.clock, Retention::default()).await;
            assert_eq!(left(&harness).await % 3, 0, "all rows of a conversation go together");
            harness.table.forget();
            remove_expired(&harness.store, &*harness.clock, Retention::default()).await;
            assert_eq!(left(&harness).await, 0, "{fault:?} after {calls_before} calls");
        }
    }
}
