//! Expired idempotency keys are removed, and deliveries do not wait for it.

use std::ops::Range;
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{IdempotentRequest, NewConversation, Retention, Sha256};
use mcp_scheduler::maintenance::{SweepReason, remove_expired};
use mcp_scheduler::store::{ConversationStore, KeyRange, Table as _};
use mcp_scheduler::testing::Fault;

use super::{HOUR, LATER, MINUTE, sweep};
use crate::support::delivery_harness::{DeliveryHarness, NOON};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Schedules conversations with a key each, in all partitions.
async fn schedule(harness: &DeliveryHarness, numbers: Range<u16>) {
    for number in numbers {
        let [a, b] = number.to_be_bytes();
        let mut key = [a; 32];
        key[31] = b;
        let request = IdempotentRequest { key: Sha256::new(key), fingerprint: Sha256::new([0; 32]) };
        harness.scheduler.schedule_once(&harness.client, new_conversation(harness), &request).await.unwrap();
    }
}

fn new_conversation(harness: &DeliveryHarness) -> NewConversation {
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some((LATER + 100 * HOUR).to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    request.validate(harness.now(), harness.scheduler.endpoint_policy()).unwrap()
}

/// The numbers of key rows and of expiry rows.
async fn left(harness: &DeliveryHarness) -> (usize, usize) {
    let mut left = (0, 0);
    for partition in ConversationStore::partitions() {
        left.0 += harness.rows.scan(partition, &KeyRange::prefix("k~"), 10_000).await.unwrap().len();
        left.1 += harness.rows.scan(partition, &KeyRange::prefix("e~"), 10_000).await.unwrap().len();
    }
    left
}

#[tokio::test(start_paused = true)]
async fn a_sweep_removes_all_keys_that_are_a_day_old() {
    let harness = DeliveryHarness::new();
    schedule(&harness, 0..2000).await;
    tokio::time::sleep(HOUR).await;
    schedule(&harness, 2000..2003).await;
    harness.wait_until(NOON + 24 * HOUR - MILLISECOND).await;
    sweep(&harness).await;
    assert_eq!(left(&harness).await, (2003, 2003));
    tokio::time::sleep(MILLISECOND).await;
    sweep(&harness).await;
    assert_eq!(left(&harness).await, (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_left_to_the_next_run() {
    let harness = DeliveryHarness::new();
    schedule(&harness, 0..100).await;
    tokio::time::sleep(24 * HOUR).await;
    harness.table.set_down(true);
    remove_expired(&harness.store, &*harness.clock, Retention::default()).await;
    harness.table.set_down(false);
    assert_eq!(left(&harness).await, (100, 100));
    // The first partition is scanned, and the commit that removes its rows has an unknown result.
    harness.table.next_calls(&[
        Fault::None,
        Fault::None,
        Fault::None,
        Fault::None,
        Fault::AnswerLost,
        Fault::RequestLost,
    ]);
    remove_expired(&harness.store, &*harness.clock, Retention::default()).await;
    remove_expired(&harness.store, &*harness.clock, Retention::default()).await;
    assert_eq!(left(&harness).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_look_at_the_sweeps_removes_nothing() {
    let harness = DeliveryHarness::new();
    schedule(&harness, 0..1).await;
    tokio::time::sleep(25 * HOUR).await;
    harness.sweeper().sweep(SweepReason::Look).await.unwrap();
    assert_eq!(left(&harness).await, (1, 1));
    harness.sweeper().sweep(SweepReason::Switch).await.unwrap();
    assert_eq!(left(&harness).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_service_with_its_own_store_removes_keys_once_a_minute() {
    let harness = DeliveryHarness::in_one_process();
    schedule(&harness, 0..200).await;
    let follower = harness.start();
    harness.wait_until(NOON + 24 * HOUR - MINUTE).await;
    assert_eq!(left(&harness).await, (200, 200));
    tokio::time::sleep(2 * MINUTE + Duration::from_secs(1)).await;
    assert_eq!(left(&harness).await, (0, 0));
    follower.abort();
}
