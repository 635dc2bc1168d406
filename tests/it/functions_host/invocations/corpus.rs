//! The corpus of queue messages: each is delivered, dropped, postponed or refused, and the service keeps working.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::domain::Status;
use mcp_scheduler::store::{DueKey, Slot, WakeUp};
use serde::Deserialize;
use serde_json::Value;
use tracing::Level;

use crate::support::captured_log::CapturedLog;
use crate::support::delivery_harness::{CLIENT, DeliveryHarness, NOON};
use crate::support::invocations::{Answer, Host, envelope, text_of};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);
/// How far ahead the conversation of an early message is due.
const EARLY: Duration = Duration::from_mins(10);

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Value,
    expect: Value,
}

#[test]
fn every_message_of_the_corpus_has_the_expected_outcome() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../fixtures/corpora/queue_messages.json")).unwrap();
    assert_eq!(cases.len(), 43);
    for case in cases {
        // Each case has its own paused clock.
        let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (log, guard) = CapturedLog::start(Level::INFO);
        println!("{}", case.name);
        paused.block_on(run(&case));
        drop(guard);
        if case.expect["log"].is_string() {
            let text = log.text();
            let warned = |line: &str| line.contains("WARN") && line.contains("last try before the poison");
            assert!(text.lines().any(warned), "{}: {text}", case.name);
        }
    }
}

async fn run(case: &Case) {
    let harness = DeliveryHarness::new();
    let host = Host::of(&harness);
    let due = set_up(&harness, &host, case).await;
    let sent = harness.endpoint.calls().len();
    let body = match (&case.input["raw_body"], &case.input["invocation"]) {
        (Value::String(raw), _) => raw.clone(),
        (Value::Object(repeat), _) => "a".repeat(repeat["$repeat"][1].as_u64().unwrap().try_into().unwrap()),
        (_, invocation) => invocation
            .to_string()
            .replace("{{id}}", &due.id.to_string())
            .replace("{{slot}}", &Slot::of(due.at).to_string())
            .replace("{{partition}}", due.partition().as_str())
            .replace("client-a", CLIENT),
    };
    let times = case.input["concurrent"].as_u64().unwrap_or(1);
    let answers = join_all((0..times).map(|_| host.deliver(body.clone()))).await;
    let expected = &case.expect["handler_status"];
    let allowed =
        |status: u16| *expected == status || expected.as_array().is_some_and(|all| all.contains(&status.into()));
    assert!(answers.iter().all(|answer| allowed(answer.status)), "{answers:?}");
    check_outcome(&harness, case, &due, sent, &answers).await;
    assert_eq!(host.call(Method::GET, "/").await.status, 200);
}

/// Brings the harness to the state that the case describes before its message. Returns the due row that it then has.
async fn set_up(harness: &DeliveryHarness, host: &Host, case: &Case) -> DueKey {
    let name = case.name.trim_start_matches("slot-");
    let ahead = if name == "early" { EARLY } else { HOUR };
    let attempts = if name.contains("exhausted") { 1 } else { 8 };
    let retry = |r: &mut mcp_scheduler::api::ScheduleRequest| {
        r.retry = Some(RetryRequest { max_attempts: Some(attempts) });
    };
    let due = harness.schedule(ahead, retry).await;
    if name == "early" {
        return due;
    }
    harness.wait_until(NOON + HOUR).await;
    host.have_looked().await;
    match name {
        "duplicate-of-delivered" => {
            harness.deliverer().deliver(&due, None).await.unwrap();
        }
        "expired-lease-attempts-exhausted" => {
            harness.lose_an_attempt(&due).await;
            tokio::time::sleep(2 * Duration::from_mins(1)).await;
            let [leased] = &harness.due_rows().await[..] else { panic!("one due row") };
            return leased.key.clone();
        }
        "kill-9-mid-http" => {
            harness.lose_an_attempt(&due).await;
            assert_eq!(harness.endpoint.calls().len(), 1);
        }
        "storage-down-on-claim" => harness.table.set_down(true),
        "storage-slow-45s-on-claim" => {
            for latency in [Duration::ZERO, Duration::ZERO, 45 * SECOND] {
                harness.table.next_call_takes(latency);
            }
        }
        _ => {}
    }
    due
}

async fn check_outcome(harness: &DeliveryHarness, case: &Case, due: &DueKey, sent: usize, answers: &[Answer]) {
    let sends = harness.endpoint.calls().len() - sent;
    harness.table.set_down(false);
    let record = harness.read(due.id).await;
    match case.expect["outcome"].as_str().unwrap() {
        "deliver" => {
            assert_eq!((sends, record.status(), record.attempts().len()), (1, Status::Completed, 1));
            assert!(answers.iter().any(|a| a.figures()["attempts"] == 1), "{answers:?}");
        }
        "drop" => assert!(sends == 0 && answers[0].figures()["attempts"] == 0, "{answers:?}"),
        "requeue_until_due" => {
            let wake_up = WakeUp::of_slot(Slot::of(due.at), due.partition().into());
            assert_eq!((sends, slots(harness)), (0, vec![(wake_up, EARLY.saturating_sub(SECOND))]));
        }
        "left_to_the_sweep" => assert_eq!((sends, slots(harness), record.status()), (0, vec![], Status::Scheduled)),
        "fail_visible" => assert_eq!((sends, record.status()), (0, Status::Failed)),
        "retry_then_poison" | "error" => assert_eq!((sends, record.status()), (0, Status::Scheduled)),
        "drop_no_send_if_deadline_passed" => assert_eq!((sends, record.status()), (0, Status::InProgress)),
        "redelivered_within" => redelivered(harness, due, case.expect["seconds"].as_u64().unwrap()).await,
        other => panic!("{}: unknown outcome {other}", case.name),
    }
}

/// The wake-ups that were enqueued, with their delays, but for the dead man's switch.
fn slots(harness: &DeliveryHarness) -> Vec<(WakeUp, Duration)> {
    let enqueued = harness.queue.enqueued().into_iter().map(|enqueued| (enqueued.wake_up, enqueued.delay));
    enqueued.filter(|(wake_up, _)| matches!(wake_up, WakeUp::Slot(_))).collect()
}

/// Fires the timer and delivers the wake-ups that the sweep enqueues, until the conversation is Completed.
async fn redelivered(harness: &DeliveryHarness, due: &DueKey, seconds: u64) {
    let (host, began, mut handed_out) = (Host::of(harness), harness.now(), harness.queue.enqueued().len());
    while harness.read(due.id).await.status() != Status::Completed {
        assert!(began.until(harness.now()).as_secs() <= seconds, "not delivered again");
        assert_eq!(host.invoke("sweepDueConversations", "{}").await.status, 200);
        for enqueued in harness.queue.enqueued().drain(handed_out..) {
            handed_out += 1;
            let body = envelope(&text_of(&enqueued.wake_up)).to_string();
            assert_eq!(host.deliver(body).await.status, 200);
        }
        tokio::time::sleep(20 * SECOND).await;
    }
    let [first, second] = &harness.endpoint.calls()[..] else { panic!("two attempts") };
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
}
