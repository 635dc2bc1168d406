//! What has failed can be delivered after all.

use std::time::Duration;

use mcp_scheduler::delivery::Delivered;
use mcp_scheduler::domain::{Conversation, Hint, Outcome, RetryRequest, State, Status};
use mcp_scheduler::scheduler::SchedulerError;
use mcp_scheduler::store::{Fault, StoreError};

use super::stage::{Answer, NOON, Stage};

const SECOND: Duration = Duration::from_secs(1);

/// A conversation whose two attempts have failed.
async fn failed(stage: &Stage) -> Hint {
    stage.endpoint.will([Answer::status(500), Answer::status(500)]);
    let retry = Some(RetryRequest { max_attempts: Some(2) });
    let hint = stage.schedule(Duration::ZERO, |request| request.retry = retry).await;
    let deliverer = stage.deliverer();
    while let Some(next) = stage.read(hint.id).await.wake_up() {
        stage.wait_until(next).await;
        deliverer.deliver(&hint).await.unwrap();
    }
    assert_eq!(stage.read(hint.id).await.status(), Status::Failed);
    hint
}

fn outcomes(conversation: &Conversation) -> Vec<Outcome> {
    conversation.attempts.iter().map(|a| a.report.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_is_woken_at_once_and_has_all_attempts_with_the_first_pauses_again() {
    let stage = Stage::new();
    let old = failed(&stage).await;
    stage.endpoint.will([Answer::status(500), Answer::status(200)]);
    stage.start_worker();
    let start = stage.now();
    stage.scheduler.redeliver(&stage.client, old.id).await.unwrap();
    let put = stage.queue.puts().pop().unwrap();
    assert_eq!((put.delay, put.hint), (Duration::ZERO, Hint { generation: 2, ..old.clone() }));
    tokio::time::sleep(20 * SECOND).await;
    let conversation = stage.read(old.id).await;
    assert_eq!(outcomes(&conversation), [Outcome::Failure, Outcome::Failure, Outcome::Failure, Outcome::Success]);
    let calls = stage.endpoint.calls();
    assert!(start.until(calls[2].at) < SECOND);
    let pause = calls[2].at.until(calls[3].at);
    assert!((4 * SECOND..=6 * SECOND + SECOND / 10).contains(&pause), "as after a first attempt: {pause:?}");
    assert_eq!((calls[3].header("scheduler-attempt"), conversation.due), (Some("4"), NOON));
    assert!(stage.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_whose_hint_is_lost_is_found_by_the_sweep() {
    let stage = Stage::new();
    let old = failed(&stage).await;
    stage.start_worker();
    stage.queue.set_luck(Fault::Refused);
    stage.scheduler.redeliver(&stage.client, old.id).await.unwrap();
    let [row] = &stage.due_rows().await[..] else { panic!("no due row: nobody would ever find it") };
    assert_eq!((row.at, row.note.generation), (stage.now(), 2));
    stage.queue.set_luck(Fault::None);
    tokio::time::sleep(180 * SECOND).await;
    assert_eq!(stage.read(old.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_one_redelivery() {
    for faults in [
        &[Fault::None, Fault::AnswerLost][..],
        // The answer is lost, and so is the look at what became of it.
        &[Fault::None, Fault::AnswerLost, Fault::Refused],
        &[Fault::None, Fault::RequestLost],
    ] {
        let stage = Stage::new();
        let old = failed(&stage).await;
        stage.table.next_calls(faults);
        let redelivered = stage.scheduler.redeliver(&stage.client, old.id).await.unwrap();
        assert!(matches!(redelivered.state, State::Waiting { .. }));
        let conversation = stage.read(old.id).await;
        assert_eq!((&conversation, conversation.generation), (&redelivered, 2), "{faults:?}");
        assert_eq!(stage.due_rows().await.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_nothing_is_acknowledged_and_nothing_changes() {
    let stage = Stage::new();
    let old = failed(&stage).await;
    stage.table.is_down(true);
    let refused = stage.scheduler.redeliver(&stage.client, old.id).await;
    assert!(matches!(refused, Err(SchedulerError::Store(StoreError::Unavailable(_)))));
    stage.table.is_down(false);
    assert_eq!(stage.read(old.id).await.status(), Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_cancelled_like_any_that_waits() {
    let stage = Stage::new();
    let old = failed(&stage).await;
    stage.scheduler.redeliver(&stage.client, old.id).await.unwrap();
    stage.scheduler.cancel(&stage.client, old.id).await.unwrap();
    let delivered = stage.deliverer().deliver(&Hint { generation: 2, ..old.clone() }).await.unwrap();
    assert_eq!(delivered, Delivered::Dropped);
    assert_eq!((stage.read(old.id).await.status(), stage.endpoint.calls().len()), (Status::Cancelled, 2));
}
