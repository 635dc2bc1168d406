//! A cancel that was acknowledged is never followed by an attempt.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{AlreadyFinal, Outcome, State, Status, TooLate};
use mcp_scheduler::scheduler::SchedulerError;
use mcp_scheduler::testing::Fault;

use crate::support::delivery_harness::{Answer, DeliveryHarness};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_conversation_cancelled_before_its_time_is_never_sent() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(60 * SECOND, |_| ()).await;
    harness.start_worker();
    tokio::time::sleep(30 * SECOND).await;
    for _ in 0..2 {
        harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    }
    tokio::time::sleep(3600 * SECOND).await;
    assert!(harness.endpoint.calls().is_empty());
    assert_eq!(*harness.read(due.id).await.state(), State::Cancelled);
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conversation_cancelled_while_a_worker_holds_it_is_not_sent() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(60 * SECOND, |_| ()).await;
    tokio::time::sleep(58 * SECOND).await;
    let (deliverer, held) = (harness.deliverer(), due.clone());
    let delivery = tokio::spawn(async move { deliverer.deliver(&held, None).await });
    tokio::time::sleep(SECOND).await;
    harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    assert_eq!(delivery.await.unwrap().unwrap(), DeliveryOutcome::NothingToDo);
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conversation_cancelled_between_attempts_is_not_sent_again() {
    let harness = DeliveryHarness::new();
    harness.endpoint.always_fails();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.start_worker();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(harness.read(due.id).await.status(), Status::InProgress);
    harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    tokio::time::sleep(3600 * SECOND).await;
    assert_eq!(harness.endpoint.calls().len(), 1);
    let conversation = harness.read(due.id).await;
    assert_eq!((conversation.status(), conversation.attempts().len()), (Status::Cancelled, 1));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_an_attempt_is_refused_and_changes_nothing() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200).after(20 * SECOND)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.start_worker();
    tokio::time::sleep(10 * SECOND).await;
    let before = harness.read(due.id).await;
    let refused = harness.scheduler.cancel(&harness.client, due.id).await.unwrap_err();
    let State::Delivering { lease, .. } = &before.state() else { panic!() };
    assert!(
        matches!(refused, SchedulerError::TooLate { status: Status::InProgress, reason: TooLate::Delivering { until } } if until == lease.until)
    );
    assert_eq!(harness.read(due.id).await, before);
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_the_end_is_refused() {
    for (status, end, reason) in
        [(200, Status::Completed, AlreadyFinal::Completed), (500, Status::Failed, AlreadyFinal::Failed)]
    {
        let harness = DeliveryHarness::new();
        harness.endpoint.will([Answer::status(status)]);
        let once = Some(RetryRequest { max_attempts: Some(1) });
        let due = harness.schedule(Duration::ZERO, |request| request.retry = once).await;
        harness.deliverer().deliver(&due, None).await.unwrap();
        let refused = harness.scheduler.cancel(&harness.client, due.id).await.unwrap_err();
        assert!(
            matches!(refused, SchedulerError::TooLate { status, reason: TooLate::Final(why) } if (status, why) == (end, reason))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_the_lease_of_a_lost_attempt_is_accepted_and_final() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200).after(3600 * SECOND)]);
    let due = harness.schedule(Duration::ZERO, |request| request.timeout_seconds = Some(10)).await;
    let deliverer = harness.deliverer();
    let lost = tokio::time::timeout(40 * SECOND, deliverer.deliver(&due, None)).await;
    assert!(lost.is_err(), "its worker is gone");
    harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    harness.start_worker();
    tokio::time::sleep(3600 * SECOND).await;
    assert_eq!(harness.endpoint.calls().len(), 1);
    let conversation = harness.read(due.id).await;
    assert_eq!(*conversation.state(), State::Cancelled);
    assert_eq!(conversation.attempts()[0].result.outcome, Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_result_after_the_lease_and_the_cancel_does_not_undo_the_cancel() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200).after(60 * SECOND)]);
    let due = harness.schedule(Duration::ZERO, |request| request.timeout_seconds = Some(10)).await;
    let (deliverer, held) = (harness.deliverer(), due.clone());
    let delivery = tokio::spawn(async move { deliverer.deliver(&held, None).await });
    tokio::time::sleep(50 * SECOND).await;
    harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    assert_eq!(delivery.await.unwrap().unwrap(), DeliveryOutcome::Abandoned);
    assert_eq!(*harness.read(due.id).await.state(), State::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn of_a_cancel_and_an_attempt_at_the_same_time_exactly_one_wins() {
    for head_start in 0..6 {
        let harness = Arc::new(DeliveryHarness::new());
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        // Each call to the table takes a millisecond, so that the cancel begins at each step of the delivery.
        for _ in 0..20 {
            harness.table.next_call_takes(Duration::from_millis(1));
        }
        let (deliverer, held) = (harness.deliverer(), due.clone());
        let delivery = tokio::spawn(async move { deliverer.deliver(&held, None).await });
        tokio::time::sleep(Duration::from_millis(head_start)).await;
        let cancelled = harness.scheduler.cancel(&harness.client, due.id).await.is_ok();
        delivery.await.unwrap().unwrap();
        assert_eq!(harness.endpoint.calls().len(), usize::from(!cancelled), "{head_start} ms");
        let wanted = if cancelled { Status::Cancelled } else { Status::Completed };
        assert_eq!(harness.read(due.id).await.status(), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_whose_commit_or_answer_is_lost_is_settled_by_reading() {
    for lost in [Fault::RequestLost, Fault::AnswerLost] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(3600 * SECOND, |_| ()).await;
        harness.table.next_calls(&[Fault::None, lost]);
        harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
        assert_eq!(*harness.read(due.id).await.state(), State::Cancelled);
    }
}
