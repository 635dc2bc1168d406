//! `health` and `ready`

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{ConversationStore, Operation, Partition, Table as _};
use mcp_scheduler::testing::Fault;
use mcp_scheduler::time::{Clock, SystemClock};
use serde_json::json;

use crate::support::app::{BareApi, KEY, StoreDown, TestApp};
use crate::support::client::Answer;
use crate::support::delivery_harness::{DeliveryHarness, NOON};
use crate::support::golden;
use crate::support::invocations::Host;

#[tokio::test]
async fn health_answers_without_a_token() {
    let app = TestApp::start().await;
    let answer = Answer::to(app.client().anonymous(Method::GET, "/health")).await;
    assert_eq!((answer.status, &*answer.text), (200, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn ready_answers_for_the_store_and_the_clock() {
    let app = TestApp::start().await;
    let answer = Answer::to(app.client().anonymous(Method::GET, "/health/ready")).await;
    assert_eq!(answer.status, 200);
    let checks = json!([
        {"name": "store", "status": "ok"},
        {"name": "clock", "status": "ok"},
        {"name": "overdue", "status": "ok"},
    ]);
    assert_eq!(answer.json(), json!({"status": "ok", "checks": checks}));
}

/// A machine whose clock is an hour ahead of the storage.
struct AheadOfStorage;

impl Clock for AheadOfStorage {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn machine(&self) -> Timestamp {
        SystemClock.now() + Duration::from_hours(1)
    }
}

#[tokio::test]
async fn ready_warns_of_a_wrong_clock_and_the_service_works_on() {
    let api = BareApi { clock: Arc::new(AheadOfStorage), ..BareApi::new() }.start().await;
    let answer = Answer::to(api.client().anonymous(Method::GET, "/health/ready")).await;
    assert_eq!(answer.status, 200);
    let clock = &answer.json()["checks"][1];
    assert_eq!((&clock["name"], &clock["status"]), (&json!("clock"), &json!("warning")));
    assert!(clock["detail"].as_str().unwrap().contains("s ahead of the clock of the storage"), "{clock}");
    assert_eq!(api.client().schedule(json!({})).await.status, 200);
}

const MINUTE: Duration = Duration::from_mins(1);

/// What `ready` says of the sweeps of a service on a storage account: its status, and the text.
async fn sweep(host: &Host) -> (u16, String) {
    let answer = host.call(Method::GET, "/health/ready").await;
    let body = answer.json();
    let check = body["checks"].as_array().unwrap().iter().find(|check| check["name"] == "sweep").unwrap();
    assert_eq!(check["status"], if answer.status == 503 { "failed" } else { "ok" }, "{body}");
    (answer.status, check["detail"].as_str().unwrap().to_owned())
}

/// Nobody sweeps for six minutes, and then a request has tried to look and could not. For another minute none looks.
async fn unswept(harness: &DeliveryHarness, host: &Host) {
    harness.wait_until(NOON + 6 * MINUTE).await;
    harness.table.set_down(true);
    host.have_looked().await;
    harness.table.set_down(false);
}

#[tokio::test(start_paused = true)]
async fn ready_says_how_old_the_last_sweep_is() {
    let harness = DeliveryHarness::new();
    let host = Host::of(&harness);
    harness.table.set_down(true);
    host.have_looked().await;
    harness.table.set_down(false);
    assert_eq!(sweep(&host).await, (200, "there was no sweep yet".to_owned()));
    harness.handler().sweep().await.unwrap();
    harness.wait_until(NOON + Duration::from_secs(40)).await;
    let (status, text) = sweep(&host).await;
    assert!(status == 200 && text == "the last sweep was 40 s ago", "{text}");
}

#[tokio::test(start_paused = true)]
async fn ready_fails_while_nobody_sweeps_and_a_conversation_is_overdue() {
    let harness = DeliveryHarness::new();
    let host = Host::of(&harness);
    host.have_looked().await;
    harness.schedule(Duration::from_secs(340), |_| ()).await;
    unswept(&harness, &host).await;
    assert_eq!(sweep(&host).await, (503, "the last sweep was 360 s ago".to_owned()));
    let (failed, health) = (host.call(Method::GET, "/health/ready").await, host.call(Method::GET, "/health").await);
    assert_eq!((failed.json()["type"].as_str(), health.status), (Some("urn:mcp-scheduler:problem:unavailable"), 200));
    // The next look sweeps.
    harness.wait_until(NOON + 8 * MINUTE).await;
    host.have_looked().await;
    assert_eq!(sweep(&host).await, (200, "the last sweep was 0 s ago".to_owned()));
    assert!(!harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_old_sweep_alone_and_a_fresh_delay_alone_are_no_failure() {
    // The last sweep is six minutes ago, and one conversation is due, but only just.
    let harness = DeliveryHarness::new();
    let host = Host::of(&harness);
    host.have_looked().await;
    harness.schedule(Duration::from_secs(351), |_| ()).await;
    unswept(&harness, &host).await;
    assert_eq!(sweep(&host).await, (200, "the last sweep was 360 s ago".to_owned()));
    // The last sweep is four minutes ago, and one conversation is overdue.
    let harness = DeliveryHarness::new();
    let host = Host::of(&harness);
    host.have_looked().await;
    harness.wait_until(NOON + 2 * MINUTE).await;
    harness.handler().sweep().await.unwrap();
    harness.queue.set_fault(Fault::Refused);
    harness.schedule(MINUTE, |_| ()).await;
    unswept(&harness, &host).await;
    assert_eq!(sweep(&host).await, (200, "the last sweep was 240 s ago".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn ready_fails_if_the_watermark_cannot_be_read() {
    let harness = DeliveryHarness::new();
    let host = Host::of(&harness);
    let partition = ConversationStore::partitions().next().unwrap();
    let damaged = Operation::Insert { key: "w".to_owned(), value: "{}".to_owned() };
    harness.rows.commit(partition, vec![damaged]).await.unwrap();
    assert_eq!(sweep(&host).await, (503, "it cannot be read".to_owned()));
}

#[tokio::test]
async fn without_its_store_the_service_is_alive_but_not_ready() {
    let api = BareApi::with_faults(StoreDown).start().await;
    let client = api.client();
    assert_eq!(Answer::to(client.anonymous(Method::GET, "/health")).await.status, 200);
    let answer = Answer::to(client.anonymous(Method::GET, "/health/ready")).await;
    answer.assert_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    golden::check("problem-not-ready", &answer.json());
}

#[tokio::test]
async fn health_fails_when_nothing_could_be_stored_for_a_minute() {
    let api = BareApi::with_faults(StoreDown).start().await;
    let health = async || Answer::to(api.client().anonymous(Method::GET, "/health")).await;
    let later = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    api.client().schedule(json!({})).await.assert_problem(503, "unavailable");
    assert_eq!(health().await.status, 200, "a failure may pass");
    later(59).await;
    api.client().schedule(json!({})).await.assert_problem(503, "unavailable");
    assert_eq!(health().await.status, 200);
    later(2).await;
    health().await.assert_problem(503, "unavailable");
    later(60).await;
    assert_eq!(health().await.status, 200, "a failure long ago says nothing");
}

#[tokio::test]
async fn without_its_store_nothing_is_acknowledged() {
    let api = BareApi::with_faults(StoreDown).start().await;
    let client = api.client();
    let id = "01890000-0000-7000-8000-00000000000f";
    for answer in
        [client.schedule(json!({})).await, client.status(id).await, client.cancel(id).await, client.list("").await]
    {
        answer.assert_problem(503, "unavailable");
    }
    golden::check("problem-unavailable", &client.schedule(json!({})).await.json());
}

#[tokio::test]
async fn the_error_for_a_damaged_row_does_not_show_the_row() {
    let api = BareApi::new();
    let damaged = Operation::Insert { key: "damaged".to_owned(), value: r#"{"id":"canary"#.to_owned() };
    api.table.commit(Partition::new("clients"), vec![damaged]).await.unwrap();
    let api = api.start().await;
    let answer = api.client().login("damaged", KEY).await;
    answer.assert_problem(500, "internal");
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    golden::check("problem-internal", &answer.json());
}
