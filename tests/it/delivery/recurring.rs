//! Conversations that recur.

use std::collections::HashSet;
use std::time::Duration;

use mcp_scheduler::api::RecurrenceRequest;
use mcp_scheduler::domain::{Conversation, Status, Timestamp};
use mcp_scheduler::maintenance::SweepReason;
use mcp_scheduler::scheduler::Cancelled;
use mcp_scheduler::store::DueKey;

use crate::support::delivery_harness::{Answer, DeliveryHarness};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A conversation that is due at each full hour.
async fn hourly(harness: &DeliveryHarness) -> DueKey {
    harness
        .schedule(MINUTE, |request| {
            request.recurrence =
                Some(RecurrenceRequest { cron: Some("0 * * * *".to_owned()), ..RecurrenceRequest::default() });
        })
        .await
}

fn full_hours(from: Timestamp, count: u64) -> Vec<Timestamp> {
    (0..count).map(|number| from + HOUR * u32::try_from(number).unwrap()).collect()
}

async fn outcomes(harness: &DeliveryHarness, due: &DueKey) -> Vec<bool> {
    let conversation: Conversation = harness.read(due.id).await;
    conversation.series().unwrap().history.iter().map(|over| over.failure.is_none()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_occurrence_is_sent_once_at_its_time_with_an_id_of_its_own() {
    for in_one_process in [false, true] {
        let harness = if in_one_process { DeliveryHarness::in_one_process() } else { DeliveryHarness::new() };
        let due = hourly(&harness).await;
        assert_eq!(due.at, harness.now() + HOUR, "the harness starts at noon");
        harness.start();
        if !in_one_process {
            // Each occurrence is an hour ahead, so that only a sweep can see it.
            let sweeper = harness.sweeper();
            tokio::spawn(async move {
                loop {
                    let _ = sweeper.sweep(SweepReason::Timer).await;
                    tokio::time::sleep(MINUTE).await;
                }
            });
        }
        harness.wait_until(due.at + 4 * HOUR + MINUTE).await;
        let calls = harness.endpoint.calls();
        let expected = full_hours(due.at, 5);
        assert_eq!(calls.len(), expected.len());
        for (number, (call, at)) in calls.iter().zip(expected).enumerate() {
            assert!(call.at >= at && call.at < at + SECOND, "occurrence {number}: {} for {at}", call.at);
            assert_eq!(call.header("webhook-id"), Some(&*format!("{}_{}", due.id, number + 1)));
            assert_eq!(call.header("idempotency-key"), call.header("webhook-id"));
            assert_eq!(call.header("scheduler-occurrence"), Some(&*(number + 1).to_string()));
            assert_eq!(call.header("scheduler-scheduled-time"), Some(&*at.to_string()));
            assert_eq!(call.header("scheduler-missed-occurrences"), Some("0"));
        }
        assert_eq!(outcomes(&harness, &due).await, [true; 5]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_attempts_of_an_occurrence_have_one_id_and_the_same_body() {
    let harness = DeliveryHarness::in_one_process();
    harness.endpoint.will([Answer::status(500), Answer::status(500), Answer::status(200), Answer::status(200)]);
    let due = hourly(&harness).await;
    harness.start();
    harness.wait_until(due.at + HOUR + MINUTE).await;
    let calls = harness.endpoint.calls();
    let ids: Vec<_> = calls.iter().map(|call| call.header("webhook-id").unwrap().to_owned()).collect();
    let (first, second) = (format!("{}_1", due.id), format!("{}_2", due.id));
    assert_eq!(ids, [first.clone(), first.clone(), first, second]);
    assert!(calls[..3].iter().all(|call| call.request.body == calls[0].request.body));
    assert_ne!(calls[3].request.body, calls[0].request.body);
    let attempts: Vec<_> = calls.iter().map(|call| call.header("scheduler-attempt").unwrap()).collect();
    assert_eq!(attempts, ["1", "2", "3", "1"]);
    let spans: HashSet<_> = calls.iter().map(|call| call.header("traceparent").unwrap()).collect();
    assert_eq!(spans.len(), calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_stopped_delivers_one_of_the_occurrences_that_it_missed() {
    let harness = DeliveryHarness::in_one_process();
    let due = hourly(&harness).await;
    harness.wait_until(due.at + 5 * HOUR + 20 * MINUTE).await;
    harness.start();
    harness.wait_until(due.at + 6 * HOUR + MINUTE).await;
    let calls = harness.endpoint.calls();
    let (late, on_time) = (&calls[0], &calls[1]);
    assert_eq!(calls.len(), 2);
    assert_eq!(late.header("scheduler-missed-occurrences"), Some("5"));
    assert_eq!(late.header("scheduler-scheduled-time"), Some(&*(due.at + 5 * HOUR).to_string()));
    assert_eq!(late.header("scheduler-lateness-ms"), Some("1200000"));
    assert_eq!(on_time.header("scheduler-missed-occurrences"), Some("0"));
    assert_eq!(on_time.header("scheduler-occurrence"), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn a_series_is_cancelled_while_an_attempt_is_under_way() {
    for status in [200, 500] {
        let harness = DeliveryHarness::in_one_process();
        harness.endpoint.will([Answer::status(status).after(20 * SECOND)]);
        let due = hourly(&harness).await;
        harness.start();
        harness.wait_until(due.at + 5 * SECOND).await;
        for _ in 0..2 {
            let cancelled = harness.scheduler.cancel(&due.client, due.id).await.unwrap();
            assert_eq!(cancelled, Cancelled::AfterAttempt, "the second call says the same");
        }
        harness.wait_until(due.at + 25 * SECOND).await;
        let conversation = harness.read(due.id).await;
        assert_eq!(conversation.status(), Status::Cancelled);
        assert_eq!(outcomes(&harness, &due).await, [status == 200], "the result is on record");
        assert_eq!(harness.scheduler.cancel(&due.client, due.id).await.unwrap(), Cancelled::Now);
        harness.wait_until(due.at + 24 * HOUR).await;
        assert_eq!(harness.endpoint.calls().len(), 1);
        assert!(harness.due_rows().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_series_ends_with_its_last_occurrence() {
    let harness = DeliveryHarness::in_one_process();
    let due = harness
        .schedule(MINUTE, |request| {
            let cron = Some("*/10 * * * *".to_owned());
            request.recurrence =
                Some(RecurrenceRequest { cron, max_occurrences: Some(3), ..RecurrenceRequest::default() });
        })
        .await;
    harness.start();
    harness.wait_until(due.at + 24 * HOUR).await;
    assert_eq!(harness.endpoint.calls().len(), 3);
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_occurrence_after_one_that_expired_is_on_time() {
    for in_one_process in [false, true] {
        let harness = if in_one_process { DeliveryHarness::in_one_process() } else { DeliveryHarness::new() };
        let due = harness
            .schedule(MINUTE, |request| {
                let cron = Some("* * * * *".to_owned());
                request.recurrence = Some(RecurrenceRequest { cron, ..RecurrenceRequest::default() });
                request.expire_after = Some("1s".to_owned());
            })
            .await;
        harness.wait_until(due.at + 30 * SECOND).await;
        harness.start();
        let _ = harness.sweeper().sweep(SweepReason::Timer).await;
        harness.wait_until(due.at + MINUTE + SECOND).await;
        let calls = harness.endpoint.calls();
        assert_eq!(calls.len(), 1, "one process: {in_one_process}");
        assert_eq!(calls[0].header("scheduler-occurrence"), Some("2"));
        assert!(calls[0].at < due.at + MINUTE + SECOND / 10);
        assert_eq!(outcomes(&harness, &due).await, [false, true]);
    }
}
