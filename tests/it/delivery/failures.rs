//! Workers die, freeze and lose the store; the conversation goes on.

use std::time::Duration;

use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{ErrorClass, Outcome, State, Status};
use mcp_scheduler::store::StoreError;
use mcp_scheduler::testing::Fault;

use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON, led_to};

const SECOND: Duration = Duration::from_secs(1);
/// Of a conversation with the default timeout.
const LEASE: Duration = Duration::from_mins(1);

/// A worker claims, begins to send and is gone.
async fn lose_an_attempt(harness: &DeliveryHarness, wake_up: &mcp_scheduler::store::WakeUp) {
    harness.endpoint.will([Answer::status(200).after(3600 * SECOND)]);
    let deliverer = harness.deliverer();
    assert!(tokio::time::timeout(SECOND, deliverer.deliver(wake_up)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn after_a_workers_death_another_takes_over_as_soon_as_the_lease_is_over() {
    for make in [DeliveryHarness::new, DeliveryHarness::in_one_process] {
        let harness = make();
        let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
        lose_an_attempt(&harness, &wake_up).await;
        harness.start_worker();
        tokio::time::sleep(LEASE).await;
        let calls = harness.endpoint.calls();
        assert_eq!(calls.len(), 2);
        let late = (NOON + LEASE).until(calls[1].at);
        assert!(calls[1].at >= NOON + LEASE && late < SECOND, "{late:?} after the lease");
        let conversation = harness.read(wake_up.id).await;
        assert_eq!(conversation.status(), Status::Completed);
        let [lost, made] = conversation.attempts() else { panic!("{:?}", conversation.attempts()) };
        assert_eq!((lost.start.number, lost.result.outcome), (1, Outcome::Unknown));
        assert_eq!(lost.result.error, Some(ErrorClass::WorkerLost));
        assert_eq!((made.start.number, made.result.outcome), (2, Outcome::Success));
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_last_attempt_is_lost_fails_and_says_so() {
    let harness = DeliveryHarness::new();
    let once = Some(RetryRequest { max_attempts: Some(1) });
    let wake_up = harness.schedule(Duration::ZERO, |request| request.retry = once).await;
    lose_an_attempt(&harness, &wake_up).await;
    harness.start_worker();
    tokio::time::sleep(5 * LEASE).await;
    assert_eq!(harness.endpoint.calls().len(), 1);
    let conversation = harness.read(wake_up.id).await;
    assert!(matches!(&conversation.state(), State::Failed { reason } if reason.contains("may have received it")));
    assert_eq!(conversation.attempts().len(), 1);
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hint_during_somebody_elses_attempt_is_dropped() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    lose_an_attempt(&harness, &wake_up).await;
    let puts = harness.queue.puts().len();
    for _ in 0..3 {
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(harness.deliverer().deliver(&wake_up).await.unwrap(), DeliveryOutcome::NothingToDo);
    }
    assert_eq!(harness.queue.puts().len(), puts, "its due row sees to the rest");
    assert_eq!(harness.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_frozen_longer_than_the_margin_does_not_send() {
    for (frozen, sends) in [(24, true), (26, false), (300, false)] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
        harness.table.next_call_takes(Duration::ZERO);
        harness.table.next_call_takes(frozen * SECOND);
        let delivered = harness.deliverer().deliver(&wake_up).await.unwrap();
        assert_eq!(led_to(&delivered) == Some(Status::Completed), sends, "{frozen} s: {delivered:?}");
        assert_eq!(delivered == DeliveryOutcome::Abandoned, !sends, "{frozen} s: {delivered:?}");
        assert_eq!(harness.endpoint.calls().len(), usize::from(sends));
        // What was not sent is lost and counted, and the next attempt follows.
        harness.start_worker();
        tokio::time::sleep(3 * LEASE).await;
        let conversation = harness.read(wake_up.id).await;
        assert_eq!(conversation.status(), Status::Completed);
        assert_eq!(conversation.attempts().len(), if sends { 1 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_commit_or_answer_is_lost_is_settled_by_reading() {
    for lost in [Fault::RequestLost, Fault::AnswerLost] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
        harness.table.next_calls(&[Fault::None, lost]);
        let delivered = harness.deliverer().deliver(&wake_up).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::Completed), "{lost:?}");
        let conversation = harness.read(wake_up.id).await;
        assert_eq!(conversation.attempts().len(), 1, "{lost:?}");
        assert_eq!(harness.endpoint.calls().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_written_again_until_it_stands() {
    use Fault::{AnswerLost, None, Refused, RequestLost};
    let troubles: [&[Fault]; 7] = [
        &[Refused],
        &[Refused, Refused, Refused],
        &[AnswerLost],
        &[AnswerLost, Refused],
        &[RequestLost],
        &[RequestLost, Refused, Refused],
        &[RequestLost, None, AnswerLost],
    ];
    for trouble in troubles {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
        let (table, script) = (harness.table.clone(), trouble.to_vec());
        harness.endpoint.will([Answer::status(200).meanwhile(move || table.next_calls(&script))]);
        let delivered = harness.deliverer().deliver(&wake_up).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::Completed), "{trouble:?}");
        let conversation = harness.read(wake_up.id).await;
        assert_eq!((conversation.status(), conversation.attempts().len()), (Status::Completed, 1), "{trouble:?}");
        assert!(harness.due_rows().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_written_again_until_it_stands_and_its_retry_is_hinted() {
    for trouble in [Fault::AnswerLost, Fault::RequestLost] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
        let table = harness.table.clone();
        let answer = Answer::status(500).meanwhile(move || table.next_calls(&[trouble, Fault::Refused]));
        harness.endpoint.will([answer]);
        let delivered = harness.deliverer().deliver(&wake_up).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::InProgress));
        let conversation = harness.read(wake_up.id).await;
        assert_eq!(conversation.attempts().len(), 1);
        assert_eq!(harness.queue.puts().pop().unwrap().wake_up, wake_up);
        assert_eq!(harness.queue.puts().len(), 2, "one for the time, one for the retry");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_written_is_left_to_the_lease() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    let table = harness.table.clone();
    harness.endpoint.will([Answer::status(200).meanwhile(move || table.next_calls(&[Fault::Refused; 4]))]);
    assert_eq!(harness.deliverer().deliver(&wake_up).await.unwrap(), DeliveryOutcome::Abandoned);
    harness.start_worker();
    tokio::time::sleep(3 * LEASE).await;
    let conversation = harness.read(wake_up.id).await;
    let outcomes: Vec<_> = conversation.attempts().iter().map(|a| a.result.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_the_hint_is_kept() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(10 * SECOND, |_| ()).await;
    harness.table.is_down(true);
    assert!(matches!(harness.deliverer().deliver(&wake_up).await, Err(StoreError::Unavailable(_))));
    harness.start_worker();
    tokio::time::sleep(40 * SECOND).await;
    assert!(harness.endpoint.calls().is_empty());
    harness.table.is_down(false);
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(harness.endpoint.calls().len(), 1, "no sweep was needed");
    assert_eq!(harness.read(wake_up.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_hint_is_lost_is_found_by_the_sweep() {
    for luck in [Fault::RequestLost, Fault::Refused] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
        harness.start_worker();
        let queue = std::sync::Arc::clone(&harness.queue);
        harness.endpoint.will([Answer::status(500).meanwhile(move || queue.set_luck(luck))]);
        tokio::time::sleep(10 * SECOND).await;
        harness.queue.set_luck(Fault::None);
        tokio::time::sleep(2 * LEASE).await;
        let conversation = harness.read(wake_up.id).await;
        assert_eq!((conversation.status(), conversation.attempts().len()), (Status::Completed, 2), "{luck:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_knows_to_be_alone_does_not_wait_for_a_lease() {
    let harness = DeliveryHarness::in_one_process();
    let cut_off = harness.schedule(Duration::ZERO, |_| ()).await;
    lose_an_attempt(&harness, &cut_off).await;
    harness.endpoint.will([Answer::status(500)]);
    let waiting = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.deliverer().deliver(&waiting).await.unwrap();
    let scheduled = harness.schedule(30 * SECOND, |_| ()).await;
    let before = (harness.read(waiting.id).await, harness.read(scheduled.id).await);

    assert_eq!(harness.sweeper().reclaim_leases().await.unwrap(), 1);
    assert_eq!((harness.read(waiting.id).await, harness.read(scheduled.id).await), before);

    let start = harness.now();
    harness.start_worker();
    tokio::time::sleep(SECOND).await;
    let again = harness.endpoint.calls().pop().unwrap();
    assert!(start.until(again.at) < SECOND);
    let conversation = harness.read(cut_off.id).await;
    let attempts = conversation.attempts();
    assert_eq!(attempts.iter().map(|a| a.result.outcome).collect::<Vec<_>>(), [Outcome::Unknown, Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn the_result_of_an_attempt_whose_lease_was_released_is_not_written() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.endpoint.will([Answer::status(200).after(10 * SECOND), Answer::status(200).after(20 * SECOND)]);
    let slow = tokio::spawn({
        let (deliverer, wake_up) = (harness.deliverer(), wake_up.clone());
        async move { deliverer.deliver(&wake_up).await.unwrap() }
    });
    tokio::time::sleep(SECOND).await;
    harness.sweeper().reclaim_leases().await.unwrap();
    harness.start_worker();
    assert_eq!(slow.await.unwrap(), DeliveryOutcome::Abandoned);
    assert_eq!(harness.read(wake_up.id).await.in_flight().unwrap().number, 2, "the other attempt goes on");
}
