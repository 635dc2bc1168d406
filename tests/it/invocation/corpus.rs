//! The corpus of queue messages: each is delivered, dropped, postponed or given back, and the service
//! lives on.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use mcp_scheduler::domain::{Hint, RetryRequest, Status};
use serde::Deserialize;
use serde_json::Value;

use super::host::{Answer, Host};
use crate::deliver_conversation::stage::{self, NOON, Stage};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Value,
    expect: Value,
}

#[test]
fn every_message_of_the_corpus_is_treated_as_it_should_be() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../fixtures/corpora/queue_messages.json")).unwrap();
    assert_eq!(cases.len(), 33);
    for case in cases {
        // Each in a time of its own.
        let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let log = Log::default();
        let guard = tracing::subscriber::set_default(
            tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish(),
        );
        println!("{}", case.name);
        paused.block_on(run(&case));
        drop(guard);
        if let Some(expected) = case.expect["log"].as_str() {
            let words = if expected.contains("generation ahead") { "hint ahead" } else { "last try before the poison" };
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
    let stage = Stage::new();
    let hint = set_up(&stage, case).await;
    let (sent, host) = (stage.endpoint.calls().len(), Host::of(&stage));
    let body = match (&case.input["raw_body"], &case.input["invocation"]) {
        (Value::String(raw), _) => raw.clone(),
        (Value::Object(repeat), _) => "a".repeat(repeat["$repeat"][1].as_u64().unwrap().try_into().unwrap()),
        (_, invocation) => invocation.to_string().replace("{{id}}", &hint.id.to_string()).replace("client-a", "ann"),
    };
    let times = case.input["concurrent"].as_u64().unwrap_or(1);
    let answers = join_all((0..times).map(|_| host.deliver(body.clone()))).await;
    let expected = &case.expect["handler_status"];
    let allowed =
        |status: u16| *expected == status || expected.as_array().is_some_and(|all| all.contains(&status.into()));
    assert!(answers.iter().all(|answer| allowed(answer.status)), "{answers:?}");
    check_outcome(&stage, case, &hint, sent, &answers).await;
    assert_eq!(host.call(Method::GET, "/").await.status, 200);
}

/// What the case says of the time before the message.
async fn set_up(stage: &Stage, case: &Case) -> Hint {
    let due = if case.name == "early" { 10 * Duration::from_mins(1) } else { HOUR };
    let attempts = if case.name.contains("exhausted") { 1 } else { 8 };
    let retry = |r: &mut mcp_scheduler::domain::ScheduleRequest| {
        r.retry = Some(RetryRequest { max_attempts: Some(attempts) });
    };
    let hint = stage.schedule(due, retry).await;
    match case.name.as_str() {
        "early" => return hint,
        "duplicate-of-delivered" => {
            stage.wait_until(NOON + HOUR).await;
            stage.deliverer().deliver(&hint).await.unwrap();
        }
        "expired-lease-attempts-exhausted" | "kill-9-mid-http" => {
            stage.wait_until(NOON + HOUR).await;
            be_killed_while_sending(stage, &hint).await;
            if attempts == 1 {
                tokio::time::sleep(2 * Duration::from_mins(1)).await;
            }
        }
        _ => stage.wait_until(NOON + HOUR).await,
    }
    match case.name.as_str() {
        "storage-down-on-claim" => stage.table.is_down(true),
        "storage-slow-45s-on-claim" => {
            stage.table.next_call_takes(Duration::ZERO);
            stage.table.next_call_takes(45 * SECOND);
        }
        _ => {}
    }
    hint
}

/// Ends a worker in the middle of an exchange.
async fn be_killed_while_sending(stage: &Stage, hint: &Hint) {
    stage.endpoint.will([stage::Answer::status(200).after(HOUR)]);
    let (deliverer, hint) = (stage.deliverer(), hint.clone());
    let delivery = tokio::spawn(async move { deliverer.deliver(&hint).await });
    tokio::time::sleep(SECOND).await;
    delivery.abort();
    assert!(delivery.await.unwrap_err().is_cancelled());
    assert_eq!(stage.endpoint.calls().len(), 1);
}

async fn check_outcome(stage: &Stage, case: &Case, hint: &Hint, sent: usize, answers: &[Answer]) {
    let sends = stage.endpoint.calls().len() - sent;
    stage.table.is_down(false);
    let record = stage.read(hint.id).await;
    match case.expect["outcome"].as_str().unwrap() {
        "deliver" => {
            assert_eq!((sends, record.status(), record.attempts.len()), (1, Status::Completed, 1));
            assert!(answers.iter().any(|a| a.line().contains("now Completed")), "{answers:?}");
        }
        "drop" => assert!(sends == 0 && answers[0].line().contains("nothing to do"), "{answers:?}"),
        "requeue_until_due" => {
            let put = stage.queue.puts().pop().unwrap();
            assert_eq!((sends, put.hint, put.delay), (0, hint.clone(), 10 * Duration::from_mins(1)));
        }
        "fail_visible" => assert_eq!((sends, record.status()), (0, Status::Failed)),
        "retry_then_poison" | "error" => assert_eq!((sends, record.status()), (0, Status::Scheduled)),
        "drop_no_send_if_deadline_passed" => assert_eq!((sends, record.status()), (0, Status::InProgress)),
        "redelivered_within" => redelivered(stage, hint, case.expect["seconds"].as_u64().unwrap()).await,
        other => panic!("{}: what is {other}?", case.name),
    }
}

/// The timer ticks; the host hands out what the sweep puts.
async fn redelivered(stage: &Stage, hint: &Hint, seconds: u64) {
    let (host, began, mut handed_out) = (Host::of(stage), stage.now(), stage.queue.puts().len());
    while stage.read(hint.id).await.status() != Status::Completed {
        assert!(began.until(stage.now()).as_secs() <= seconds, "not delivered again");
        assert_eq!(host.invoke("sweepDueConversations", "{}").await.status, 200);
        for put in stage.queue.puts().drain(handed_out..) {
            handed_out += 1;
            assert_eq!(host.deliver(super::host::envelope(&put.hint.to_message()).to_string()).await.status, 200);
        }
        tokio::time::sleep(20 * SECOND).await;
    }
    let [first, second] = &stage.endpoint.calls()[..] else { panic!("two attempts") };
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
}

/// What was logged.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
