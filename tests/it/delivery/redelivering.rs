//! A failed conversation can be redelivered.

use std::time::Duration;

use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{Conversation, Outcome, State, Status};
use mcp_scheduler::scheduler::SchedulerError;
use mcp_scheduler::store::{DueKey, StoreError};
use mcp_scheduler::testing::Fault;

use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON, wake_up_of};

const SECOND: Duration = Duration::from_secs(1);

/// Schedules a conversation whose two attempts fail.
async fn failed(harness: &DeliveryHarness) -> DueKey {
    harness.endpoint.will([Answer::status(500), Answer::status(500)]);
    let retry = Some(RetryRequest { max_attempts: Some(2) });
    let due = harness.schedule(Duration::ZERO, |request| request.retry = retry).await;
    let deliverer = harness.deliverer();
    while let Some(next) = harness.next_due(&due).await {
        deliverer.deliver(&next, None).await.unwrap();
    }
    assert_eq!(harness.read(due.id).await.status(), Status::Failed);
    due
}

fn outcomes(conversation: &Conversation) -> Vec<Outcome> {
    conversation.attempts().iter().map(|a| a.result.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_starts_at_once_with_all_attempts_and_the_first_pauses_again() {
    let harness = DeliveryHarness::new();
    let old = failed(&harness).await;
    harness.endpoint.will([Answer::status(500), Answer::status(200)]);
    harness.start_worker();
    let start = harness.now();
    harness.scheduler.redeliver(&harness.client, old.id).await.unwrap();
    let enqueued = harness.queue.enqueued().pop().unwrap();
    assert_eq!((enqueued.delay, enqueued.wake_up), (Duration::ZERO, wake_up_of(&DueKey { at: start, ..old.clone() })));
    tokio::time::sleep(20 * SECOND).await;
    let conversation = harness.read(old.id).await;
    assert_eq!(outcomes(&conversation), [Outcome::Failure, Outcome::Failure, Outcome::Failure, Outcome::Success]);
    let calls = harness.endpoint.calls();
    assert!(start.until(calls[2].at) < SECOND);
    let pause = calls[2].at.until(calls[3].at);
    assert!((4 * SECOND..=6 * SECOND + SECOND / 10).contains(&pause), "as after a first attempt: {pause:?}");
    assert_eq!((calls[3].header("scheduler-attempt"), conversation.due()), (Some("4"), NOON));
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_whose_wake_up_is_lost_is_found_by_the_sweep() {
    let harness = DeliveryHarness::new();
    let old = failed(&harness).await;
    harness.start_worker();
    harness.queue.set_fault(Fault::Refused);
    harness.scheduler.redeliver(&harness.client, old.id).await.unwrap();
    let [row] = &harness.due_rows().await[..] else { panic!("no due row: no sweep would find the conversation") };
    assert_eq!(row.key.at, harness.now());
    harness.queue.set_fault(Fault::None);
    tokio::time::sleep(180 * SECOND).await;
    assert_eq!(harness.read(old.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_one_redelivery() {
    for faults in [
        &[Fault::None, Fault::AnswerLost][..],
        // The answer of the commit is lost, and the read that follows fails.
        &[Fault::None, Fault::AnswerLost, Fault::Refused],
        &[Fault::None, Fault::RequestLost],
    ] {
        let harness = DeliveryHarness::new();
        let old = failed(&harness).await;
        harness.table.next_calls(faults);
        let redelivered = harness.scheduler.redeliver(&harness.client, old.id).await.unwrap();
        assert!(matches!(redelivered.state(), State::Waiting { .. }));
        let conversation = harness.read(old.id).await;
        assert_eq!((&conversation, conversation.generation()), (&redelivered, 2), "{faults:?}");
        assert_eq!(harness.due_rows().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_nothing_is_acknowledged_and_nothing_changes() {
    let harness = DeliveryHarness::new();
    let old = failed(&harness).await;
    harness.table.set_down(true);
    let refused = harness.scheduler.redeliver(&harness.client, old.id).await;
    assert!(matches!(refused, Err(SchedulerError::Unavailable(StoreError::Unavailable(_)))));
    harness.table.set_down(false);
    assert_eq!(harness.read(old.id).await.status(), Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_can_be_cancelled_before_its_attempt() {
    let harness = DeliveryHarness::new();
    let old = failed(&harness).await;
    harness.scheduler.redeliver(&harness.client, old.id).await.unwrap();
    let due = harness.next_due(&old).await.unwrap();
    harness.scheduler.cancel(&harness.client, old.id).await.unwrap();
    let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::NothingToDo);
    assert_eq!((harness.read(old.id).await.status(), harness.endpoint.calls().len()), (Status::Cancelled, 2));
}
