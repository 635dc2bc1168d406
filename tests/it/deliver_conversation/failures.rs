//! Workers die, freeze and lose the store; the conversation goes on.

use std::time::Duration;

use mcp_scheduler::delivery::Delivered;
use mcp_scheduler::domain::{Conversation, ErrorClass, Outcome, RetryRequest, State, Status};
use mcp_scheduler::store::{Fault, StoreError};

use super::stage::{Answer, NOON, Stage, led_to};

const SECOND: Duration = Duration::from_secs(1);
/// Of a conversation with the default timeout.
const LEASE: Duration = Duration::from_mins(1);

/// A worker claims, begins to send and is gone.
async fn lose_an_attempt(stage: &Stage, hint: &mcp_scheduler::domain::Hint) {
    stage.endpoint.will([Answer::status(200).after(3600 * SECOND)]);
    let deliverer = stage.deliverer();
    assert!(tokio::time::timeout(SECOND, deliverer.deliver(hint)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn after_a_workers_death_another_takes_over_as_soon_as_the_lease_is_over() {
    for make in [Stage::new, Stage::in_one_process] {
        let stage = make();
        let hint = stage.schedule(Duration::ZERO, |_| ()).await;
        lose_an_attempt(&stage, &hint).await;
        stage.start_worker();
        tokio::time::sleep(LEASE).await;
        let calls = stage.endpoint.calls();
        assert_eq!(calls.len(), 2);
        let late = (NOON + LEASE).until(calls[1].at);
        assert!(calls[1].at >= NOON + LEASE && late < SECOND, "{late:?} after the lease");
        let conversation = stage.read(hint.id).await;
        assert_eq!(conversation.status(), Status::Completed);
        let [lost, made] = &conversation.attempts[..] else { panic!("{:?}", conversation.attempts) };
        assert_eq!((lost.began.number, lost.report.outcome), (1, Outcome::Unknown));
        assert_eq!(lost.report.error, Some(ErrorClass::WorkerLost));
        assert_eq!((made.began.number, made.report.outcome), (2, Outcome::Success));
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_last_attempt_is_lost_fails_and_says_so() {
    let stage = Stage::new();
    let once = Some(RetryRequest { max_attempts: Some(1) });
    let hint = stage.schedule(Duration::ZERO, |request| request.retry = once).await;
    lose_an_attempt(&stage, &hint).await;
    stage.start_worker();
    tokio::time::sleep(5 * LEASE).await;
    assert_eq!(stage.endpoint.calls().len(), 1);
    let conversation = stage.read(hint.id).await;
    assert!(matches!(&conversation.state, State::Failed { reason } if reason.contains("may have received it")));
    assert_eq!(conversation.attempts.len(), 1);
    assert!(stage.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hint_during_somebody_elses_attempt_is_dropped() {
    let stage = Stage::new();
    let hint = stage.schedule(Duration::ZERO, |_| ()).await;
    lose_an_attempt(&stage, &hint).await;
    let puts = stage.queue.puts().len();
    for _ in 0..3 {
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(stage.deliverer().deliver(&hint).await.unwrap(), Delivered::Dropped);
    }
    assert_eq!(stage.queue.puts().len(), puts, "its due row sees to the rest");
    assert_eq!(stage.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_frozen_longer_than_the_margin_does_not_send() {
    for (frozen, sends) in [(24, true), (26, false), (300, false)] {
        let stage = Stage::new();
        let hint = stage.schedule(Duration::ZERO, |_| ()).await;
        stage.table.next_call_takes(Duration::ZERO);
        stage.table.next_call_takes(frozen * SECOND);
        let delivered = stage.deliverer().deliver(&hint).await.unwrap();
        assert_eq!(led_to(delivered) == Some(Status::Completed), sends, "{frozen} s: {delivered:?}");
        assert_eq!(delivered == Delivered::Abandoned, !sends, "{frozen} s: {delivered:?}");
        assert_eq!(stage.endpoint.calls().len(), usize::from(sends));
        // What was not sent is lost and counted, and the next attempt follows.
        stage.start_worker();
        tokio::time::sleep(3 * LEASE).await;
        let conversation = stage.read(hint.id).await;
        assert_eq!(conversation.status(), Status::Completed);
        assert_eq!(conversation.attempts.len(), if sends { 1 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_commit_or_answer_is_lost_is_settled_by_reading() {
    for lost in [Fault::RequestLost, Fault::AnswerLost] {
        let stage = Stage::new();
        let hint = stage.schedule(Duration::ZERO, |_| ()).await;
        stage.table.next_calls(&[Fault::None, lost]);
        let delivered = stage.deliverer().deliver(&hint).await.unwrap();
        assert_eq!(led_to(delivered), Some(Status::Completed), "{lost:?}");
        let conversation = stage.read(hint.id).await;
        assert_eq!(conversation.attempts.len(), 1, "{lost:?}");
        assert_eq!(stage.endpoint.calls().len(), 1);
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
        let stage = Stage::new();
        let hint = stage.schedule(Duration::ZERO, |_| ()).await;
        let (table, script) = (stage.table.clone(), trouble.to_vec());
        stage.endpoint.will([Answer::status(200).meanwhile(move || table.next_calls(&script))]);
        let delivered = stage.deliverer().deliver(&hint).await.unwrap();
        assert_eq!(led_to(delivered), Some(Status::Completed), "{trouble:?}");
        let conversation = stage.read(hint.id).await;
        assert_eq!((conversation.status(), conversation.attempts.len()), (Status::Completed, 1), "{trouble:?}");
        assert!(stage.due_rows().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_written_again_until_it_stands_and_its_retry_is_hinted() {
    for trouble in [Fault::AnswerLost, Fault::RequestLost] {
        let stage = Stage::new();
        let hint = stage.schedule(Duration::ZERO, |_| ()).await;
        let table = stage.table.clone();
        let answer = Answer::status(500).meanwhile(move || table.next_calls(&[trouble, Fault::Refused]));
        stage.endpoint.will([answer]);
        let delivered = stage.deliverer().deliver(&hint).await.unwrap();
        assert_eq!(led_to(delivered), Some(Status::InProgress));
        let conversation = stage.read(hint.id).await;
        assert_eq!(conversation.attempts.len(), 1);
        assert_eq!(stage.queue.puts().pop().unwrap().hint, hint);
        assert_eq!(stage.queue.puts().len(), 2, "one for the time, one for the retry");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_written_is_left_to_the_lease() {
    let stage = Stage::new();
    let hint = stage.schedule(Duration::ZERO, |_| ()).await;
    let table = stage.table.clone();
    stage.endpoint.will([Answer::status(200).meanwhile(move || table.next_calls(&[Fault::Refused; 4]))]);
    assert_eq!(stage.deliverer().deliver(&hint).await.unwrap(), Delivered::Abandoned);
    stage.start_worker();
    tokio::time::sleep(3 * LEASE).await;
    let conversation = stage.read(hint.id).await;
    let outcomes: Vec<_> = conversation.attempts.iter().map(|a| a.report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_the_hint_is_kept() {
    let stage = Stage::new();
    let hint = stage.schedule(10 * SECOND, |_| ()).await;
    stage.table.is_down(true);
    assert!(matches!(stage.deliverer().deliver(&hint).await, Err(StoreError::Unavailable(_))));
    stage.start_worker();
    tokio::time::sleep(40 * SECOND).await;
    assert!(stage.endpoint.calls().is_empty());
    stage.table.is_down(false);
    tokio::time::sleep(6 * SECOND).await;
    assert_eq!(stage.endpoint.calls().len(), 1, "no sweep was needed");
    assert_eq!(stage.read(hint.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_hint_is_lost_is_found_by_the_sweep() {
    for luck in [Fault::RequestLost, Fault::Refused] {
        let stage = Stage::new();
        let hint = stage.schedule(Duration::ZERO, |_| ()).await;
        stage.start_worker();
        let queue = std::sync::Arc::clone(&stage.queue);
        stage.endpoint.will([Answer::status(500).meanwhile(move || queue.set_luck(luck))]);
        tokio::time::sleep(10 * SECOND).await;
        stage.queue.set_luck(Fault::None);
        tokio::time::sleep(2 * LEASE).await;
        let conversation = stage.read(hint.id).await;
        assert_eq!((conversation.status(), conversation.attempts.len()), (Status::Completed, 2), "{luck:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_knows_to_be_alone_does_not_wait_for_a_lease() {
    let stage = Stage::in_one_process();
    let cut_off = stage.schedule(Duration::ZERO, |_| ()).await;
    lose_an_attempt(&stage, &cut_off).await;
    stage.endpoint.will([Answer::status(500)]);
    let waiting = stage.schedule(Duration::ZERO, |_| ()).await;
    stage.deliverer().deliver(&waiting).await.unwrap();
    let scheduled = stage.schedule(30 * SECOND, |_| ()).await;
    let before = (stage.read(waiting.id).await, stage.read(scheduled.id).await);

    assert_eq!(stage.sweeper().release_leases().await.unwrap(), 1);
    assert_eq!((stage.read(waiting.id).await, stage.read(scheduled.id).await), before);

    let start = stage.now();
    stage.start_worker();
    tokio::time::sleep(SECOND).await;
    let again = stage.endpoint.calls().pop().unwrap();
    assert!(start.until(again.at) < SECOND);
    let Conversation { attempts, .. } = stage.read(cut_off.id).await;
    assert_eq!(attempts.iter().map(|a| a.report.outcome).collect::<Vec<_>>(), [Outcome::Unknown, Outcome::Success]);
}

#[tokio::test(start_paused = true)]
async fn the_result_of_an_attempt_whose_lease_was_released_is_not_written() {
    let stage = Stage::new();
    let hint = stage.schedule(Duration::ZERO, |_| ()).await;
    stage.endpoint.will([Answer::status(200).after(10 * SECOND), Answer::status(200).after(20 * SECOND)]);
    let slow = tokio::spawn({
        let (deliverer, hint) = (stage.deliverer(), hint.clone());
        async move { deliverer.deliver(&hint).await.unwrap() }
    });
    tokio::time::sleep(SECOND).await;
    stage.sweeper().release_leases().await.unwrap();
    stage.start_worker();
    assert_eq!(slow.await.unwrap(), Delivered::Abandoned);
    assert_eq!(stage.read(hint.id).await.in_flight().unwrap().number, 2, "the other attempt goes on");
}
