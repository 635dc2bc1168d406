//! `expireAfter`: nothing is sent when it is too late.

use std::time::Duration;

use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{Conversation, ConversationId, State, Status};
use mcp_scheduler::store::DueKey;
use mcp_scheduler::testing::Fault;

use crate::support::delivery_harness::{Answer, DeliveryHarness};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

async fn schedule(harness: &DeliveryHarness, after: &str) -> DueKey {
    harness.schedule(MINUTE, |request| request.expire_after = Some(after.to_owned())).await
}

async fn is_expired(harness: &DeliveryHarness, id: ConversationId) -> bool {
    let conversation: Conversation = harness.read(id).await;
    *conversation.state() == State::Failed { reason: "expired".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_nobody_could_deliver_in_time_fails_without_a_call() {
    for in_one_process in [false, true] {
        let harness = if in_one_process { DeliveryHarness::in_one_process() } else { DeliveryHarness::new() };
        let (late, useful) = (schedule(&harness, "5m").await, schedule(&harness, "2h").await);
        // No process runs for an hour.
        harness.wait_until(late.at + 60 * MINUTE).await;
        harness.start();
        tokio::time::sleep(2 * MINUTE).await;
        assert!(is_expired(&harness, late.id).await);
        assert_eq!(harness.read(useful.id).await.status(), Status::Completed);
        assert_eq!(harness.endpoint.calls().len(), 1);
        assert!(harness.due_rows().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_in_time_is_delivered_although_its_endpoint_takes_longer() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200).after(20 * SECOND)]);
    let due = schedule(&harness, "1s").await;
    harness.start();
    harness.wait_until(due.at + 40 * SECOND).await;
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn no_retry_begins_too_late() {
    let harness = DeliveryHarness::new();
    harness.endpoint.always_fails();
    let due = schedule(&harness, "20s").await;
    harness.start();
    harness.wait_until(due.at + 60 * MINUTE).await;
    assert!(is_expired(&harness, due.id).await);
    let calls = harness.endpoint.calls();
    assert_eq!(calls.len(), 2, "the third would come after 35 seconds");
    assert!(calls.iter().all(|call| call.at <= due.at + 20 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_busy_host_does_not_keep_a_conversation_from_expiring() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will((0..8).map(|_| Answer::status(200).after(25 * SECOND)));
    for _ in 0..8 {
        harness.schedule(MINUTE, |_| ()).await;
    }
    harness.start();
    tokio::time::sleep(59 * SECOND).await;
    let late = harness.schedule(2 * SECOND, |request| request.expire_after = Some("1s".to_owned())).await;
    tokio::time::sleep(20 * SECOND).await;
    assert!(is_expired(&harness, late.id).await);
    assert_eq!(harness.endpoint.calls().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn an_expired_conversation_can_be_redelivered_and_the_repetition_says_the_same() {
    let harness = DeliveryHarness::new();
    let due = schedule(&harness, "5m").await;
    harness.wait_until(due.at + 60 * MINUTE).await;
    harness.deliverer().deliver(&due, None).await.unwrap();
    assert!(is_expired(&harness, due.id).await);
    let retry = harness.scheduler.redeliver(&harness.client, due.id).await.unwrap();
    let again = harness.scheduler.redeliver(&harness.client, due.id).await.unwrap();
    assert_eq!(again, retry);
    harness.start();
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_whose_commit_is_lost_is_tried_again() {
    for fault in [Fault::AnswerLost, Fault::RequestLost] {
        let harness = DeliveryHarness::new();
        let due = schedule(&harness, "1s").await;
        harness.wait_until(due.at + MINUTE).await;
        harness.table.next_calls(&[Fault::None, fault]);
        let outcome = harness.deliverer().deliver(&due, None).await.unwrap();
        assert_eq!(outcome, DeliveryOutcome::NothingToDo, "{fault:?}");
        assert!(is_expired(&harness, due.id).await, "{fault:?}");
        assert!(harness.endpoint.calls().is_empty() && harness.due_rows().await.is_empty(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_attempts_are_used_up_before_the_time_is() {
    let harness = DeliveryHarness::new();
    harness.endpoint.always_fails();
    let retry = Some(RetryRequest { max_attempts: Some(1) });
    let due = harness
        .schedule(Duration::ZERO, |request| (request.retry, request.expire_after) = (retry, Some("1s".to_owned())))
        .await;
    harness.deliverer().deliver(&due, None).await.unwrap();
    assert!(!is_expired(&harness, due.id).await);
    assert_eq!(harness.read(due.id).await.status(), Status::Failed);
}
