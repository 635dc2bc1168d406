//! The corpus of queue messages: each is delivered, dropped, postponed or refused, and the service keeps working.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use mcp_scheduler::api::RetryRequest;
use mcp_scheduler::domain::Status;
use mcp_scheduler::store::WakeUp;
use serde::Deserialize;
use serde_json::Value;
use tracing::Level;

use crate::support::captured_log::CapturedLog;
use crate::support::delivery_harness::{self, DeliveryHarness, NOON};
use crate::support::invocations::{Answer, Host};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Value,
    expect: Value,
}

#[test]
fn every_message_of_the_corpus_has_the_expected_outcome() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../fixtures/corpora/queue_messages.json")).unwrap();
    assert_eq!(cases.len(), 33);
    for case in cases {
        // Each case has its own paused clock.
        let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (log, guard) = CapturedLog::start(Level::INFO);
        println!("{}", case.name);
        paused.block_on(run(&case));
        drop(guard);
        if let Some(expected) = case.expect["log"].as_str() {
            let words = if expected.contains("generation ahead") {
                "generation is ahead"
            } else {
                "last try before the poison"
            };
            assert!(
                log.text().lines().any(|l| l.contains("WARN") && l.contains(words)),
                "{}: {}",
                case.name,
                log.text()
            );
        }
    }
}

async fn run(case: &Case) {
    let harness = DeliveryHarness::new();
    let wake_up = set_up(&harness, case).await;
    let (sent, host) = (harness.endpoint.calls().len(), Host::of(&harness));
    let body = match (&case.input["raw_body"], &case.input["invocation"]) {
        (Value::String(raw), _) => raw.clone(),
        (Value::Object(repeat), _) => "a".repeat(repeat["$repeat"][1].as_u64().unwrap().try_into().unwrap()),
        (_, invocation) => invocation.to_string().replace("{{id}}", &wake_up.id.to_string()).replace("client-a", "ann"),
    };
    let times = case.input["concurrent"].as_u64().unwrap_or(1);
    let answers = join_all((0..times).map(|_| host.deliver(body.clone()))).await;
    let expected = &case.expect["handler_status"];
    let allowed =
        |status: u16| *expected == status || expected.as_array().is_some_and(|all| all.contains(&status.into()));
    assert!(answers.iter().all(|answer| allowed(answer.status)), "{answers:?}");
    check_outcome(&harness, case, &wake_up, sent, &answers).await;
    assert_eq!(host.call(Method::GET, "/").await.status, 200);
}

/// Brings the harness to the state that the case describes before its message.
async fn set_up(harness: &DeliveryHarness, case: &Case) -> WakeUp {
    let due = if case.name == "early" { 10 * Duration::from_mins(1) } else { HOUR };
    let attempts = if case.name.contains("exhausted") { 1 } else { 8 };
    let retry = |r: &mut mcp_scheduler::api::ScheduleRequest| {
        r.retry = Some(RetryRequest { max_attempts: Some(attempts) });
    };
    let wake_up = harness.schedule(due, retry).await;
    match case.name.as_str() {
        "early" => return wake_up,
        "duplicate-of-delivered" => {
            harness.wait_until(NOON + HOUR).await;
            harness.deliverer().deliver(&wake_up).await.unwrap();
        }
        "expired-lease-attempts-exhausted" | "kill-9-mid-http" => {
            harness.wait_until(NOON + HOUR).await;
            be_killed_while_sending(harness, &wake_up).await;
            if attempts == 1 {
                tokio::time::sleep(2 * Duration::from_mins(1)).await;
            }
        }
        _ => harness.wait_until(NOON + HOUR).await,
    }
    match case.name.as_str() {
        "storage-down-on-claim" => harness.table.set_down(true),
        "storage-slow-45s-on-claim" => {
            harness.table.next_call_takes(Duration::ZERO);
            harness.table.next_call_takes(45 * SECOND);
        }
        _ => {}
    }
    wake_up
}

/// Ends a worker during its exchange with the endpoint.
async fn be_killed_while_sending(harness: &DeliveryHarness, wake_up: &WakeUp) {
    harness.endpoint.will([delivery_harness::Answer::status(200).after(HOUR)]);
    let (deliverer, wake_up) = (harness.deliverer(), wake_up.clone());
    let delivery = tokio::spawn(async move { deliverer.deliver(&wake_up).await });
    tokio::time::sleep(SECOND).await;
    delivery.abort();
    assert!(delivery.await.unwrap_err().is_cancelled());
    assert_eq!(harness.endpoint.calls().len(), 1);
}

async fn check_outcome(harness: &DeliveryHarness, case: &Case, wake_up: &WakeUp, sent: usize, answers: &[Answer]) {
    let sends = harness.endpoint.calls().len() - sent;
    harness.table.set_down(false);
    let record = harness.read(wake_up.id).await;
    match case.expect["outcome"].as_str().unwrap() {
        "deliver" => {
            assert_eq!((sends, record.status(), record.attempts().len()), (1, Status::Completed, 1));
            assert!(answers.iter().any(|a| a.line().contains("now Completed")), "{answers:?}");
        }
        "drop" => assert!(sends == 0 && answers[0].line().contains("nothing to do"), "{answers:?}"),
        "requeue_until_due" => {
            let enqueued = harness.queue.enqueued().pop().unwrap();
            assert_eq!((sends, enqueued.wake_up, enqueued.delay), (0, wake_up.clone(), 10 * Duration::from_mins(1)));
        }
        "fail_visible" => assert_eq!((sends, record.status()), (0, Status::Failed)),
        "retry_then_poison" | "error" => assert_eq!((sends, record.status()), (0, Status::Scheduled)),
        "drop_no_send_if_deadline_passed" => assert_eq!((sends, record.status()), (0, Status::InProgress)),
        "redelivered_within" => redelivered(harness, wake_up, case.expect["seconds"].as_u64().unwrap()).await,
        other => panic!("{}: unknown outcome {other}", case.name),
    }
}

/// Fires the timer and delivers the wake-ups that the sweep enqueues, until the conversation is Completed.
async fn redelivered(harness: &DeliveryHarness, wake_up: &WakeUp, seconds: u64) {
    let (host, began, mut handed_out) = (Host::of(harness), harness.now(), harness.queue.enqueued().len());
    while harness.read(wake_up.id).await.status() != Status::Completed {
        assert!(began.until(harness.now()).as_secs() <= seconds, "not delivered again");
        assert_eq!(host.invoke("sweepDueConversations", "{}").await.status, 200);
        for enqueued in harness.queue.enqueued().drain(handed_out..) {
            handed_out += 1;
            assert_eq!(
                host.deliver(crate::support::invocations::envelope(&enqueued.wake_up.to_message()).to_string())
                    .await
                    .status,
                200
            );
        }
        tokio::time::sleep(20 * SECOND).await;
    }
    let [first, second] = &harness.endpoint.calls()[..] else { panic!("two attempts") };
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
}
