//! Clocks that are wrong, are set while the service runs, or stand still.

use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{ConversationId, NewConversation, Outcome, Status, TooLate};
use mcp_scheduler::maintenance::SweepReason;
use mcp_scheduler::scheduler::{Scheduler, SchedulerError};
use mcp_scheduler::store::{DueKey, StoreError};
use tokio::time::timeout;

use crate::support::delivery_harness::{Answer, DeliveryHarness};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// How far the clocks of these tests jump, in seconds.
const JUMP: i64 = 3600;

/// Forty attempts that are cut off by the end of their process, and forty that failed and wait for the next one. Those come
/// last, so that none of their pauses has ended.
async fn leave_work(harness: &DeliveryHarness) -> Vec<DueKey> {
    let mut left = Vec::new();
    for number in 0..80 {
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        if number < 40 {
            harness.lose_an_attempt(&due).await;
        } else {
            harness.endpoint.will([Answer::status(500)]);
            harness.deliverer().deliver(&due, None).await.unwrap();
        }
        left.push(due);
    }
    left
}

async fn unfinished(harness: &DeliveryHarness, all: &[DueKey]) -> Vec<ConversationId> {
    let mut unfinished = Vec::new();
    for due in all {
        if harness.read(due.id).await.status() != Status::Completed {
            unfinished.push(due.id);
        }
    }
    unfinished
}

#[tokio::test(start_paused = true)]
async fn after_a_clock_was_set_right_a_restart_does_not_wait_for_its_leases_and_pauses() {
    let harness = DeliveryHarness::in_one_process();
    harness.clock.jump(JUMP);
    let left = leave_work(&harness).await;
    harness.clock.jump(-JUMP);
    harness.start_follower();
    // The attempts that were lost are followed by the first pause.
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(unfinished(&harness, &left).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_right_while_the_service_runs_ends_its_leases_and_pauses() {
    let harness = DeliveryHarness::in_one_process();
    harness.clock.jump(JUMP);
    harness.start_follower();
    tokio::time::sleep(MINUTE + 10 * SECOND).await;
    let left = leave_work(&harness).await;
    harness.clock.jump(-JUMP);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(unfinished(&harness, &left).await, []);
}

/// The follower begins a delivery shortly before its time, and the mended row is the one that it has begun.
#[tokio::test(start_paused = true)]
async fn a_delivery_that_waits_for_the_end_of_its_pause_does_not_wait_for_a_clock_that_is_set_right() {
    let harness = DeliveryHarness::in_one_process();
    harness.clock.jump(JUMP);
    harness.endpoint.will([Answer::status(500)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.deliverer().deliver(&due, None).await.unwrap();
    let next = harness.next_due(&due).await.unwrap();
    let deliverer = harness.deliverer();
    let waiting = tokio::spawn(async move { deliverer.deliver(&next, None).await });
    tokio::time::sleep(SECOND).await;
    harness.clock.jump(-JUMP);
    let delivered = timeout(2 * SECOND, waiting).await.unwrap().unwrap();
    assert!(matches!(delivered, Ok(DeliveryOutcome::Attempted { status: Status::Completed, .. })), "{delivered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_right_clock_wrote_is_kept() {
    let harness = DeliveryHarness::in_one_process();
    harness.endpoint.will([Answer::status(503).retry_after("7200")]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.deliverer().deliver(&due, None).await.unwrap();
    harness.clock.jump(-20);
    harness.start_follower();
    tokio::time::sleep(HOUR).await;
    assert_eq!(harness.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_on_time_within_a_second_after_its_clock_was_set_forward_or_stood_still() {
    for ahead in [4 * MINUTE, HOUR] {
        let harness = DeliveryHarness::in_one_process();
        harness.start_follower();
        tokio::time::sleep(10 * SECOND).await;
        harness.schedule(ahead, |_| ()).await;
        tokio::time::sleep(5 * SECOND).await;
        harness.clock.jump(i64::try_from(ahead.as_secs()).unwrap());
        tokio::time::sleep(SECOND + Duration::from_millis(100)).await;
        assert_eq!(harness.endpoint.calls().len(), 1, "{ahead:?} ahead");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_during_an_attempt_starts_no_second_one() {
    let harness = DeliveryHarness::in_one_process();
    harness.endpoint.will([Answer::status(200).after(20 * SECOND)]);
    harness.start_follower();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    tokio::time::sleep(SECOND).await;
    harness.clock.jump(JUMP);
    tokio::time::sleep(MINUTE).await;
    let conversation = harness.read(due.id).await;
    let outcomes: Vec<_> = conversation.attempts().iter().map(|attempt| attempt.result.outcome).collect();
    assert_eq!((conversation.status(), outcomes), (Status::Completed, vec![Outcome::Success]));
    assert_eq!(harness.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_under_way_cannot_be_cancelled_after_its_clock_was_set_forward() {
    let harness = DeliveryHarness::in_one_process();
    harness.endpoint.will([Answer::status(200).after(20 * SECOND)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let deliverer = harness.deliverer();
    let scheduler = Scheduler::clone(&harness.scheduler).beside(deliverer.live_attempts().clone());
    let delivery = tokio::spawn({
        let due = due.clone();
        async move { deliverer.deliver(&due, None).await }
    });
    tokio::time::sleep(SECOND).await;
    harness.clock.jump(JUMP);
    let refused = scheduler.cancel(&harness.client, due.id).await;
    assert!(matches!(refused, Err(SchedulerError::TooLate { reason: TooLate::Delivering { .. }, .. })), "{refused:?}");
    delivery.await.unwrap().unwrap();
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_not_sent_after_the_calendar_has_passed_its_margin() {
    // By the latest time that it can be, by the calendar of the machine alone, and by neither.
    for (width, machine, sent) in [(26, 0, 0), (0, 26, 0), (20, 20, 1)] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(HOUR, |_| ()).await;
        harness.wait_until(harness.now() + HOUR - SECOND).await;
        let deliverer = harness.deliverer();
        let delivery = tokio::spawn(async move { deliverer.deliver(&due, None).await.unwrap() });
        tokio::time::sleep(SECOND / 2).await;
        // The read is over, and the claim takes a second.
        harness.table.next_call_takes(SECOND);
        tokio::time::sleep(SECOND).await;
        harness.clock.set_width(width);
        harness.clock.jump_machine(machine);
        let outcome = timeout(MINUTE, delivery).await.unwrap().unwrap();
        assert_eq!(harness.endpoint.calls().len(), sent, "{width} s, {machine} s");
        assert_eq!(outcome == DeliveryOutcome::Abandoned, sent == 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_of_a_clock_that_was_ahead_makes_later_deliveries_late_by_a_sweep_at_most() {
    let harness = DeliveryHarness::new();
    harness.clock.jump(JUMP);
    // It enqueues nothing for the next hour, and its mark says that nothing is left to enqueue.
    harness.sweeper().sweep(SweepReason::Timer).await.unwrap();
    harness.clock.jump(-JUMP);
    harness.start_worker();
    let due = harness.schedule(HOUR / 2, |_| ()).await;
    harness.wait_until(due.at + MINUTE + 11 * SECOND).await;
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn what_a_clock_does_not_know_makes_a_retry_late_and_never_early() {
    let harness = DeliveryHarness::new();
    harness.clock.set_width(10);
    harness.endpoint.will([Answer::status(500)]);
    let due = harness.schedule(MINUTE, |_| ()).await;
    // The wake-up comes early, because it may be later than the clock can tell.
    assert_eq!(harness.queue.enqueued()[0].delay, 49 * SECOND);
    harness.wait_until(harness.now() + MINUTE).await;
    harness.deliverer().deliver(&due, None).await.unwrap();
    let pause = harness.now().until(harness.read(due.id).await.next_wake_at().unwrap());
    assert!((14 * SECOND..=16 * SECOND).contains(&pause), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_by_a_clock_that_does_not_know_the_time() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.clock.set_known(false);
    assert!(matches!(harness.deliverer().deliver(&due, None).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(harness.sweeper().sweep(SweepReason::Timer).await, Err(StoreError::Unavailable(_))));
    let cancelled = harness.scheduler.cancel(&harness.client, due.id).await;
    assert!(matches!(cancelled, Err(SchedulerError::Unavailable(_))), "{cancelled:?}");
    let again = harness.scheduler.schedule(&harness.client, new_conversation(&harness)).await;
    assert!(matches!(again, Err(SchedulerError::Unavailable(_))), "{again:?}");
    assert!(harness.endpoint.calls().is_empty());
    harness.clock.set_known(true);
    harness.deliverer().deliver(&due, None).await.unwrap();
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

fn new_conversation(harness: &DeliveryHarness) -> NewConversation {
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some(harness.now().to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    request.validate(harness.now(), harness.scheduler.endpoint_policy()).unwrap()
}
