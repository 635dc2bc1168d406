//! Every attempt is recorded: as a claim before its first byte, and with its result afterwards.

use std::time::Duration;

use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{ErrorClass, Outcome, State, Status};
use mcp_scheduler::store::{Slot, WakeUps};

use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON, led_to, wake_up_of};

const PAUSES: [u64; 8] = [5, 30, 120, 600, 1800, 7200, 21600, 43200];

#[tokio::test(start_paused = true)]
async fn the_claim_is_stored_before_the_first_byte() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |request| request.timeout_seconds = Some(7)).await;
    harness.deliverer().deliver(&due, None).await.unwrap();
    let record = &harness.endpoint.calls()[0].record;
    let State::Delivering { attempt, lease } = &record.state() else { panic!("{:?}", record.state()) };
    assert_eq!((attempt.number, attempt.started), (1, NOON));
    assert_eq!(lease.until, NOON + Duration::from_secs(7 + 30), "the timeout, and time to write the result");
    assert!(record.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_2xx_completes_and_the_attempt_is_recorded() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(202).after(Duration::from_secs(3))]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
    assert_eq!(led_to(&delivered), Some(Status::Completed));
    let conversation = harness.read(due.id).await;
    assert_eq!(*conversation.state(), State::Completed);
    assert_eq!(conversation.updated(), NOON + Duration::from_secs(3));
    let [attempt] = conversation.attempts() else { panic!() };
    assert_eq!((attempt.start.number, attempt.start.started), (1, NOON));
    assert_eq!((attempt.result.outcome, attempt.result.http_status), (Outcome::Success, Some(202)));
    assert_eq!((attempt.result.duration_ms, attempt.result.response_excerpt.as_str()), (7, "said 202"));
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_is_tried_eight_times_with_growing_pauses() {
    let harness = DeliveryHarness::new();
    harness.endpoint.always_fails();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.start_worker();
    tokio::time::sleep(Duration::from_hours(12)).await;
    let calls = harness.endpoint.calls();
    assert_eq!(calls.len(), 8);
    for (number, (pair, pause)) in calls.windows(2).zip(PAUSES).enumerate() {
        let (waited, pause) = (pair[0].at.until(pair[1].at).as_secs_f64(), Duration::from_secs(pause).as_secs_f64());
        assert!((0.8 * pause..1.2 * pause + 0.1).contains(&waited), "{waited} s after attempt {}", number + 1);
        let State::Delivering { attempt, .. } = pair[1].record.state() else { panic!() };
        assert!(attempt.started <= pair[1].at);
    }
    let conversation = harness.read(due.id).await;
    assert_eq!(*conversation.state(), State::Failed { reason: "the endpoint answered 500".to_owned() });
    let numbers: Vec<_> = conversation.attempts().iter().map(|a| a.start.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(conversation.attempts().iter().all(|a| a.result.http_status == Some(500)));
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn between_attempts_the_record_says_when_the_next_one_is() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::error(ErrorClass::ConnectRefused)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
    assert_eq!(led_to(&delivered), Some(Status::InProgress));
    let conversation = harness.read(due.id).await;
    let State::Waiting { next_attempt } = conversation.state() else { panic!("{:?}", conversation.state()) };
    let pause = NOON.until(*next_attempt);
    assert!((Duration::from_secs(4)..=Duration::from_secs(6)).contains(&pause), "{pause:?}");
    assert_eq!(conversation.attempts()[0].result.error, Some(ErrorClass::ConnectRefused));
    let [row] = &harness.due_rows().await[..] else { panic!() };
    assert_eq!((row.key.at, row.retry), (*next_attempt, true));
    let put = harness.queue.enqueued().pop().unwrap();
    assert_eq!(put.wake_up, wake_up_of(&row.key));
    assert!(put.becomes_visible() <= Slot::of(*next_attempt).start() - WakeUps::LEAD, "{put:?}");
}

#[tokio::test(start_paused = true)]
async fn as_many_attempts_are_made_as_max_attempts_says() {
    for max_attempts in [1, 2, 20] {
        let harness = DeliveryHarness::new();
        harness.endpoint.always_fails();
        let retry = Some(RetryRequest { max_attempts: Some(max_attempts) });
        let due = harness.schedule(Duration::ZERO, |request| request.retry = retry).await;
        let deliverer = harness.deliverer();
        while let Some(next) = harness.next_due(&due).await {
            assert!(matches!(deliverer.deliver(&next, None).await.unwrap(), DeliveryOutcome::Attempted { .. }));
        }
        let conversation = harness.read(due.id).await;
        assert_eq!(conversation.status(), Status::Failed);
        assert_eq!(conversation.attempts().len(), max_attempts as usize);
        assert_eq!(harness.endpoint.calls().len(), max_attempts as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_not_retried() {
    for answer in [Answer::status(410), Answer::status(404), Answer::status(302), Answer::error(ErrorClass::Blocked)] {
        let harness = DeliveryHarness::new();
        harness.endpoint.will([answer]);
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::Failed));
        let conversation = harness.read(due.id).await;
        let [attempt] = conversation.attempts() else { panic!() };
        assert_eq!(attempt.result.outcome, Outcome::PermanentFailure);
        assert_eq!(*conversation.state(), State::Failed { reason: attempt.result.reason() });
        assert!(harness.due_rows().await.is_empty());
        assert_eq!(harness.queue.enqueued().len(), 1, "no wake-up for another attempt");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_postpones_the_next_attempt_by_at_most_a_day() {
    for (asked, seconds) in [("600", 600..=600), ("1", 4..=6), ("-5", 4..=6), ("9999999", 86_400..=86_400)] {
        let harness = DeliveryHarness::new();
        harness.endpoint.will([Answer::status(429).retry_after(asked)]);
        let due = harness.schedule(Duration::ZERO, |_| ()).await;
        harness.deliverer().deliver(&due, None).await.unwrap();
        let conversation = harness.read(due.id).await;
        let State::Waiting { next_attempt } = conversation.state() else { panic!() };
        assert!(seconds.contains(&NOON.until(*next_attempt).as_secs()), "{asked}: {next_attempt}");
        // A sweep enqueues the wake-up for a pause of minutes.
        assert_eq!(harness.queue.enqueued().len(), if seconds.contains(&5) { 2 } else { 1 }, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_succeeds_completes() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(503), Answer::error(ErrorClass::TotalTimeout), Answer::status(200)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.start_worker();
    tokio::time::sleep(Duration::from_mins(2)).await;
    let conversation = harness.read(due.id).await;
    assert_eq!(conversation.status(), Status::Completed);
    let outcomes: Vec<_> = conversation.attempts().iter().map(|a| a.result.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failure, Outcome::Failure, Outcome::Success]);
}
