//! Workers die, freeze or lose the store, and the conversation is still delivered or fails with a reason.

use std::time::Duration;

use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{ErrorClass, Outcome, State, Status};
use mcp_scheduler::store::StoreError;
use mcp_scheduler::testing::Fault;

use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON, led_to, wake_up_of};

const SECOND: Duration = Duration::from_secs(1);
/// The lease of a conversation with the default timeout.
const LEASE: Duration = Duration::from_mins(1);

/// Whether it is the pause after the first failure, 5 s ± 20 %.
fn is_first_pause(pause: Duration) -> bool {
    (4 * SECOND..6 * SECOND + SECOND / 10).contains(&pause)
}

#[tokio::test(start_paused = true)]
async fn after_a_worker_died_another_takes_over_when_the_lease_and_the_first_pause_are_over() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.lose_an_attempt(&due).await;
    harness.start_worker();
    tokio::time::sleep(LEASE + 10 * SECOND).await;
    let calls = harness.endpoint.calls();
    assert_eq!(calls.len(), 2);
    let pause = (NOON + LEASE).until(calls[1].at);
    assert!(is_first_pause(pause), "{pause:?} after the lease");
    let conversation = harness.read(due.id).await;
    assert_eq!(conversation.status(), Status::Completed);
    let [lost, made] = conversation.attempts() else { panic!("{:?}", conversation.attempts()) };
    assert_eq!((lost.start.number, lost.result.outcome), (1, Outcome::Unknown));
    assert_eq!(lost.result.error, Some(ErrorClass::WorkerLost));
    assert_eq!((made.start.number, made.result.outcome), (2, Outcome::Success));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_last_attempt_is_lost_fails_and_says_so() {
    let harness = DeliveryHarness::new();
    let once = Some(RetryRequest { max_attempts: Some(1) });
    let due = harness.schedule(Duration::ZERO, |request| request.retry = once).await;
    harness.lose_an_attempt(&due).await;
    harness.start_worker();
    tokio::time::sleep(5 * LEASE).await;
    assert_eq!(harness.endpoint.calls().len(), 1);
    let conversation = harness.read(due.id).await;
    assert!(matches!(&conversation.state(), State::Failed { reason } if reason.contains("may have received it")));
    assert_eq!(conversation.attempts().len(), 1);
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_during_the_attempt_of_another_worker_is_dropped() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.lose_an_attempt(&due).await;
    let before = harness.queue.enqueued().len();
    for _ in 0..3 {
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(harness.deliverer().deliver(&due, None).await.unwrap(), DeliveryOutcome::NothingToDo);
    }
    assert_eq!(harness.queue.enqueued().len(), before, "the due row brings the next wake-up");
    assert_eq!(harness.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_frozen_longer_than_the_margin_does_not_send() {
    for (frozen, sends) in [(24, true), (26, false), (300, false)] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        harness.table.next_call_takes(Duration::ZERO);
        harness.table.next_call_takes(frozen * SECOND);
        let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
        assert_eq!(led_to(&delivered) == Some(Status::Completed), sends, "{frozen} s: {delivered:?}");
        assert_eq!(delivered == DeliveryOutcome::Abandoned, !sends, "{frozen} s: {delivered:?}");
        assert_eq!(harness.endpoint.calls().len(), usize::from(sends));
        // An attempt that was claimed but not sent counts as lost, and the next attempt follows.
        harness.start_worker();
        tokio::time::sleep(3 * LEASE).await;
        let conversation = harness.read(due.id).await;
        assert_eq!(conversation.status(), Status::Completed);
        assert_eq!(conversation.attempts().len(), if sends { 1 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_commit_or_answer_is_lost_is_settled_by_reading() {
    for lost in [Fault::RequestLost, Fault::AnswerLost] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        harness.table.next_calls(&[Fault::None, lost]);
        let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::Completed), "{lost:?}");
        let conversation = harness.read(due.id).await;
        assert_eq!(conversation.attempts().len(), 1, "{lost:?}");
        assert_eq!(harness.endpoint.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_written_until_it_is_stored() {
    use Fault::{AnswerLost, Refused, RequestLost};
    let scripts: [&[Fault]; 7] = [
        &[Refused],
        &[Refused, Refused, Refused],
        &[AnswerLost],
        &[AnswerLost, Refused],
        &[RequestLost],
        &[RequestLost, Refused, Refused],
        &[RequestLost, Fault::None, AnswerLost],
    ];
    for script in scripts {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        let (table, faults) = (harness.table.clone(), script.to_vec());
        harness.endpoint.will([Answer::status(200).meanwhile(move || table.next_calls(&faults))]);
        let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::Completed), "{script:?}");
        let conversation = harness.read(due.id).await;
        assert_eq!((conversation.status(), conversation.attempts().len()), (Status::Completed, 1), "{script:?}");
        assert!(harness.due_rows().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_written_until_it_is_stored_and_its_retry_gets_a_wake_up() {
    for fault in [Fault::AnswerLost, Fault::RequestLost] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        let table = harness.table.clone();
        let answer = Answer::status(500).meanwhile(move || table.next_calls(&[fault, Fault::Refused]));
        harness.endpoint.will([answer]);
        let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::InProgress));
        let conversation = harness.read(due.id).await;
        assert_eq!(conversation.attempts().len(), 1);
        let retry = harness.next_due(&due).await.unwrap();
        assert_eq!(harness.queue.enqueued().pop().unwrap().wake_up, wake_up_of(&retry));
        assert_eq!(harness.queue.enqueued().len(), 2, "one wake-up at the scheduling, one for the retry");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_written_is_left_to_the_lease() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let table = harness.table.clone();
    harness.endpoint.will([Answer::status(200).meanwhile(move || table.next_calls(&[Fault::Refused; 4]))]);
    assert_eq!(harness.deliverer().deliver(&due, None).await.unwrap(), DeliveryOutcome::Abandoned);
    harness.start_worker();
    tokio::time::sleep(3 * LEASE).await;
    let conversation = harness.read(due.id).await;
    let outcomes: Vec<_> = conversation.attempts().iter().map(|a| a.result.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_while_the_store_is_down_is_delivered_when_it_is_back() {
    // A follower looks again after five seconds. The wake-up of a queue comes again, but a sweep is sooner.
    for (make, within) in [(DeliveryHarness::in_one_process as fn() -> _, 6), (DeliveryHarness::new, 60)] {
        let harness = make();
        let due = harness.schedule(10 * SECOND, |_| ()).await;
        harness.table.set_down(true);
        assert!(matches!(harness.deliverer().deliver(&due, None).await, Err(StoreError::Unavailable(_))));
        harness.start();
        tokio::time::sleep(40 * SECOND).await;
        assert!(harness.endpoint.calls().is_empty());
        harness.table.set_down(false);
        tokio::time::sleep(within * SECOND).await;
        assert_eq!(harness.read(due.id).await.status(), Status::Completed, "{within} s");
        assert_eq!(harness.endpoint.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_wake_up_is_lost_is_found_by_the_sweep() {
    for fault in [Fault::RequestLost, Fault::Refused] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        harness.start_worker();
        let queue = std::sync::Arc::clone(&harness.queue);
        harness.endpoint.will([Answer::status(500).meanwhile(move || queue.set_fault(fault))]);
        tokio::time::sleep(10 * SECOND).await;
        harness.queue.set_fault(Fault::None);
        tokio::time::sleep(2 * LEASE).await;
        let conversation = harness.read(due.id).await;
        assert_eq!((conversation.status(), conversation.attempts().len()), (Status::Completed, 2), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_exclusive_access_does_not_wait_for_leases() {
    let harness = DeliveryHarness::in_one_process();
    let cut_off = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.lose_an_attempt(&cut_off).await;
    harness.endpoint.will([Answer::status(500)]);
    let waiting = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.deliverer().deliver(&waiting, None).await.unwrap();
    let scheduled = harness.schedule(30 * SECOND, |_| ()).await;
    let before = (harness.read(waiting.id).await, harness.read(scheduled.id).await);

    let start = harness.now();
    harness.start_follower();
    tokio::time::sleep(SECOND).await;
    assert!(harness.read(cut_off.id).await.in_flight().is_none());
    assert_eq!((harness.read(waiting.id).await, harness.read(scheduled.id).await), before);
    tokio::time::sleep(7 * SECOND).await;
    let again = harness.endpoint.calls().into_iter().rfind(|call| call.record.id() == cut_off.id).unwrap();
    assert!(is_first_pause(start.until(again.at)), "{}", again.at);
    let conversation = harness.read(cut_off.id).await;
    let attempts = conversation.attempts();
    assert_eq!(attempts.iter().map(|a| a.result.outcome).collect::<Vec<_>>(), [Outcome::Unknown, Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn the_result_of_an_attempt_whose_lease_was_released_is_not_written() {
    let harness = DeliveryHarness::in_one_process();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.endpoint.will([Answer::status(200).after(10 * SECOND), Answer::status(200).after(20 * SECOND)]);
    let slow = tokio::spawn({
        let (deliverer, due) = (harness.deliverer(), due.clone());
        async move { deliverer.deliver(&due, None).await.unwrap() }
    });
    tokio::time::sleep(SECOND).await;
    harness.start_follower();
    assert_eq!(slow.await.unwrap(), DeliveryOutcome::Abandoned);
    assert_eq!(harness.read(due.id).await.in_flight().unwrap().number, 2, "the other attempt goes on");
}

/// A process that is killed once a second and started again, with an endpoint that takes longer.
#[tokio::test(start_paused = true)]
async fn a_crash_loop_spends_no_attempts_in_a_rush() {
    let harness = DeliveryHarness::in_one_process();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.endpoint.will((0..100).map(|_| Answer::status(200).after(3600 * SECOND)));
    for _ in 0..100 {
        let process = harness.start_follower();
        tokio::time::sleep(SECOND).await;
        process.abort();
    }
    let conversation = harness.read(due.id).await;
    assert_eq!(conversation.status(), Status::InProgress);
    // The pauses are 5 s, 30 s and 2 min.
    let began: Vec<_> = harness.endpoint.calls().iter().map(|call| NOON.until(call.at).as_secs()).collect();
    assert!(matches!(began[..], [0, 5..=8, 29..=47]), "{began:?}");
}
