//! `onFailed` and `onCompleted`: each end of a delivery has exactly one callback, in the same commit.

use std::time::Duration;

use mcp_scheduler::api::{CallbackRequest, RecurrenceRequest, RetryRequest, ScheduleRequest};
use mcp_scheduler::domain::{Conversation, ErrorClass, ScheduledBy, Secret, State, Status};
use mcp_scheduler::maintenance::SweepReason;
use mcp_scheduler::outbound::RouteError;
use mcp_scheduler::store::{ConversationStore, DueKey, KeyRange, Operation, Table as _};
use mcp_scheduler::testing::{Fault, conversation_in};
use serde_json::{Value, json};

use crate::support::delivery_harness::{Answer, DeliveryHarness};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const FAILED: &str = "https://failed.example.com/";
const COMPLETED: &str = "https://completed.example.com/";

fn to(endpoint: &str) -> CallbackRequest {
    let headers = Some(vec![("X-Own".to_owned(), Secret::new("yes".to_owned()))]);
    CallbackRequest { endpoint: Some(endpoint.to_owned()), headers }
}

/// Schedules a conversation with both callbacks. Its endpoint gets two attempts.
async fn schedule(harness: &DeliveryHarness, change: impl FnOnce(&mut ScheduleRequest)) -> DueKey {
    harness
        .schedule(MINUTE, |request| {
            (request.on_failed, request.on_completed) = (Some(to(FAILED)), Some(to(COMPLETED)));
            request.retry = Some(RetryRequest { max_attempts: Some(2) });
            request.labels = Some(vec![("team".to_owned(), "ops".to_owned())]);
            request.thread_id = Some("thread-7".to_owned());
            change(request);
        })
        .await
}

/// Delivers everything for an hour. The sweep covers what no wake-up brings.
async fn run(harness: &DeliveryHarness) {
    let delivers = harness.start();
    let sweeper = harness.sweeper();
    for _ in 0..60 {
        let _ = sweeper.sweep(SweepReason::Timer).await;
        tokio::time::sleep(MINUTE).await;
    }
    delivers.abort();
}

/// All callbacks in the store, oldest first.
async fn callbacks(harness: &DeliveryHarness) -> Vec<Conversation> {
    let mut found = Vec::new();
    for partition in ConversationStore::partitions() {
        let rows = harness.rows.scan(partition, &KeyRange::prefix("m~"), usize::MAX).await.unwrap();
        found.extend(rows.iter().map(|row| conversation_in(row).unwrap()).filter(|it| it.callback_of().is_some()));
    }
    found.sort_by_key(Conversation::created);
    found
}

fn endpoint(conversation: &Conversation) -> &str {
    let target = conversation.destination().target().unwrap();
    target.endpoint.as_str()
}

/// The text and the additional info of a callback.
async fn news(harness: &DeliveryHarness, callback: &Conversation) -> (String, Value) {
    let read = harness.store.get(&harness.client, callback.id()).await.unwrap().unwrap();
    let payload = harness.store.payload(&read).await.unwrap();
    (payload.text, serde_json::from_str(payload.info.unwrap().as_str()).unwrap())
}

/// The ways in which a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Completed,
    Refused,
    AttemptsUsedUp,
    NoAddress,
    Expired,
    NextAttemptTooLate,
    Lost,
}

const ENDS: [End; 7] = {
    use End::*;
    [Completed, Refused, AttemptsUsedUp, NoAddress, Expired, NextAttemptTooLate, Lost]
};

/// Schedules a conversation with a text of this length, and sees to it that it ends so.
async fn ends(harness: &DeliveryHarness, end: End, length: usize) -> DueKey {
    let one = Some(RetryRequest { max_attempts: Some(1) });
    let due = schedule(harness, |request| {
        request.conversation_text = Some("x".repeat(length));
        match end {
            End::Expired | End::NextAttemptTooLate => request.expire_after = Some("1s".to_owned()),
            End::Lost => request.retry = one,
            End::NoAddress => request.endpoint = Some("https://no.example.com/".to_owned()),
            _ => {}
        }
    })
    .await;
    match end {
        End::Completed => {}
        End::Refused => harness.endpoint.will([Answer::status(410)]),
        End::AttemptsUsedUp | End::NextAttemptTooLate => harness.endpoint.will([500, 500].map(Answer::status)),
        End::NoAddress => {
            harness.endpoint.set_addresses("no.example.com", Err(RouteError::Failed(ErrorClass::Blocked)));
        }
        End::Expired => harness.wait_until(due.at + MINUTE).await,
        End::Lost => {
            harness.wait_until(due.at).await;
            harness.lose_an_attempt(&due).await;
        }
    }
    due
}

#[tokio::test(start_paused = true)]
async fn each_way_to_end_has_exactly_one_callback() {
    // A text of 5,000 bytes has a row of its own, with the callbacks.
    for (end, in_one_process, length) in
        ENDS.into_iter().flat_map(|end| [(end, false, 5), (end, true, 5), (end, false, 5_000)])
    {
        let harness = if in_one_process { DeliveryHarness::in_one_process() } else { DeliveryHarness::new() };
        let due = ends(&harness, end, length).await;
        // The callbacks are accepted; the script is for the conversation alone.
        for host in ["failed.example.com", "completed.example.com"] {
            harness.endpoint.set_latency(host, Duration::ZERO);
        }
        run(&harness).await;
        let case = format!("{end:?}, one process: {in_one_process}, {length}");
        let over = harness.read(due.id).await;
        let expected = if end == End::Completed { (Status::Completed, COMPLETED) } else { (Status::Failed, FAILED) };
        let [callback] = &callbacks(&harness).await[..] else { panic!("{case}: one callback") };
        assert_eq!((over.status(), endpoint(callback)), expected, "{case}");
        assert_eq!((callback.callback_of(), callback.status()), (Some(due.id), Status::Completed), "{case}");
        assert_eq!((Some(callback.due()), callback.created()), (over.ended(), callback.due()), "{case}");
        assert_eq!((callback.labels(), callback.thread_id()), (over.labels(), over.thread_id()), "{case}");
        assert_eq!(callback.id().partition(), due.id.partition(), "{case}");
        let calls = harness.endpoint.calls();
        let calls: Vec<_> = calls.iter().filter(|call| call.url == expected.1).collect();
        let [call] = calls[..] else { panic!("{case}: one call") };
        assert!(call.at < callback.due() + 2 * SECOND, "{case}: at {} for {}", call.at, callback.due());
        let header = |name: &str| call.header(name).unwrap().to_owned();
        assert_eq!((header("x-own"), header("webhook-id")), ("yes".to_owned(), callback.id().to_string()), "{case}");
        let (text, info) = news(&harness, callback).await;
        assert!(text.starts_with(&format!("The conversation {}, scheduled for {}, ", due.id, due.at)), "{text}");
        let mut expected = json!({
            "conversationId": due.id.to_string(), "status": over.status().as_str(), "scheduledTime": due.at.to_string(),
            "endedTime": callback.due().to_string(), "attempts": over.attempts_begun(),
        });
        if let State::Failed { reason } = over.state() {
            expected["lastError"] = json!(reason);
            assert!(text.ends_with(&format!(": {reason}.")), "{text}");
        }
        assert_eq!(info, expected, "{case}");
        assert!(harness.due_rows().await.is_empty(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_text_says_how_many_attempts_there_were() {
    for (end, said) in [
        (End::Completed, "was delivered after 1 attempt."),
        (End::AttemptsUsedUp, "failed after 2 attempts: the endpoint answered 500."),
        (End::Expired, "failed without an attempt: expired."),
    ] {
        let harness = DeliveryHarness::new();
        ends(&harness, end, 5).await;
        run(&harness).await;
        let (text, _) = news(&harness, &callbacks(&harness).await[0]).await;
        assert!(text.ends_with(said), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_occurrence_that_ends_has_a_callback() {
    let harness = DeliveryHarness::in_one_process();
    harness.endpoint.set_latency("failed.example.com", Duration::ZERO);
    harness.endpoint.set_latency("completed.example.com", Duration::ZERO);
    harness.endpoint.will([200, 410, 500, 200].map(Answer::status));
    let due = schedule(&harness, |request| {
        let recurrence = RecurrenceRequest {
            cron: Some("0 * * * *".to_owned()),
            max_occurrences: Some(3),
            ..RecurrenceRequest::default()
        };
        request.recurrence = Some(recurrence);
    })
    .await;
    harness.start();
    harness.wait_until(due.at + 5 * HOUR).await;
    let callbacks = callbacks(&harness).await;
    let mut told = Vec::new();
    for callback in &callbacks {
        let (text, info) = news(&harness, callback).await;
        assert!(
            text.starts_with(&format!("Occurrence {} of the conversation {}", info["occurrence"], due.id)),
            "{text}"
        );
        assert!(callback.series().is_none());
        told.push((
            endpoint(callback).to_owned(),
            info["occurrence"].clone(),
            info["scheduledTime"].clone(),
            info["attempts"].clone(),
        ));
    }
    let expected = [(COMPLETED, 1, 1), (FAILED, 2, 1), (COMPLETED, 3, 2)];
    let expected = expected.map(|(endpoint, number, attempts): (&str, u32, u32)| {
        (endpoint.to_owned(), json!(number), json!((due.at + HOUR * (number - 1)).to_string()), json!(attempts))
    });
    assert_eq!(told, expected);
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_conversation_calls_nobody() {
    let harness = DeliveryHarness::in_one_process();
    let due = schedule(&harness, |_| ()).await;
    harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    let series = schedule(&harness, |request| {
        request.recurrence =
            Some(RecurrenceRequest { cron: Some("0 * * * *".to_owned()), ..RecurrenceRequest::default() });
    })
    .await;
    harness.endpoint.will([Answer::status(200).after(20 * SECOND)]);
    harness.start();
    harness.wait_until(series.at + 5 * SECOND).await;
    harness.scheduler.cancel(&harness.client, series.id).await.unwrap();
    harness.wait_until(series.at + 2 * HOUR).await;
    for id in [due.id, series.id] {
        assert_eq!(harness.read(id).await.status(), Status::Cancelled);
    }
    assert_eq!((callbacks(&harness).await, harness.endpoint.calls().len()), (Vec::new(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_callback_calls_nobody_and_its_failure_is_visible() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([410, 410].map(Answer::status));
    let due = schedule(&harness, |_| ()).await;
    run(&harness).await;
    let [callback] = &callbacks(&harness).await[..] else { panic!("one callback") };
    assert_eq!((callback.status(), callback.callback_of()), (Status::Failed, Some(due.id)));
    let again = harness.scheduler.run(&harness.client, callback.id(), None, ScheduledBy::default()).await.unwrap();
    assert_eq!(again.callback_of(), Some(due.id), "a copy of a callback is one, too");
    harness.scheduler.redeliver(&harness.client, callback.id()).await.unwrap();
    run(&harness).await;
    let ended: Vec<_> = callbacks(&harness).await.iter().map(Conversation::status).collect();
    assert_eq!(ended, [Status::Completed; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_without_a_callback_for_its_end_calls_nobody() {
    for (status, change) in [
        (410, (|request| request.on_failed = None) as fn(&mut ScheduleRequest)),
        (200, |request| request.on_completed = None),
    ] {
        let harness = DeliveryHarness::new();
        harness.endpoint.will([Answer::status(status)]);
        schedule(&harness, change).await;
        run(&harness).await;
        assert_eq!(callbacks(&harness).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_has_an_end_of_its_own() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([410, 200, 200].map(Answer::status));
    let due = schedule(&harness, |_| ()).await;
    run(&harness).await;
    harness.scheduler.redeliver(&harness.client, due.id).await.unwrap();
    run(&harness).await;
    let all = callbacks(&harness).await;
    assert_eq!(all.iter().map(endpoint).collect::<Vec<_>>(), [FAILED, COMPLETED]);
    assert_eq!(news(&harness, &all[1]).await.1["attempts"], 2);
}

/// The calls of a delivery read the main row, commit the claim, let the endpoint of the harness read the row, and commit the
/// result; those of one without an attempt read the row and commit the end.
#[tokio::test(start_paused = true)]
async fn an_end_whose_commit_is_lost_has_exactly_one_callback() {
    use Fault::{AnswerLost, None as Nothing, Refused, RequestLost};
    for (end, before) in [(End::Completed, 3), (End::Refused, 3), (End::Expired, 1), (End::Lost, 1)] {
        for faults in
            [&[AnswerLost][..], &[RequestLost], &[Refused], &[AnswerLost, Refused], &[RequestLost, Refused, AnswerLost]]
        {
            let harness = DeliveryHarness::new();
            let due = ends(&harness, end, 5).await;
            if end == End::Lost {
                tokio::time::sleep(2 * MINUTE).await;
            } else {
                harness.wait_until(due.at).await;
            }
            let due = harness.next_due(&due).await.unwrap();
            harness.table.next_calls(&vec![Nothing; before]);
            harness.table.next_calls(faults);
            let _ = harness.deliverer().deliver(&due, None).await;
            harness.table.forget();
            let (is_over, count) = (harness.next_due(&due).await.is_none(), callbacks(&harness).await.len());
            assert_eq!(count, usize::from(is_over), "{end:?} {faults:?}: together");
            run(&harness).await;
            let ended = harness.read(due.id).await.status();
            assert!(ended.is_final() && callbacks(&harness).await.len() == 1, "{end:?} {faults:?}: {ended:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_sweep_finds_a_callback_whose_wake_up_is_lost() {
    let harness = DeliveryHarness::new();
    let due = schedule(&harness, |_| ()).await;
    harness.wait_until(due.at).await;
    // No worker reads the queue, so its wake-up reaches nobody.
    harness.deliverer().deliver(&due, None).await.unwrap();
    let [callback] = &callbacks(&harness).await[..] else { panic!("one callback") };
    assert_eq!(callback.status(), Status::Scheduled);
    tokio::time::sleep(2 * MINUTE).await;
    harness.sweeper().sweep(SweepReason::Timer).await.unwrap();
    assert_eq!(harness.read(callback.id()).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_lost_payload_ends_the_conversation_without_its_callbacks() {
    for end in [End::Completed, End::Expired] {
        let harness = DeliveryHarness::new();
        let due = ends(&harness, end, 5_000).await;
        let partition = ConversationStore::partition(due.id);
        let [row] = &harness.rows.scan(partition, &KeyRange::prefix("p~"), 2).await.unwrap()[..] else {
            panic!("one row")
        };
        let delete = Operation::Delete { key: row.key.clone(), if_match: None };
        harness.rows.commit(partition, vec![delete]).await.unwrap();
        run(&harness).await;
        assert_eq!((harness.read(due.id).await.status(), callbacks(&harness).await), (Status::Failed, Vec::new()));
    }
}
