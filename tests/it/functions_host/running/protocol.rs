//! What a host that was built and run sends to its handler, and how it ends. The stand-in does the same.

use std::time::Duration;

use futures_util::future::join;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::azurite::connection_string;
use crate::support::client::http;
use crate::support::functions_host::{Host, HostOptions, Patience, Source};
use crate::support::host_harness::{PATIENCE, until};
use crate::support::ports::fixed_port;
use crate::support::recording_handler::{Conduct, RecordingHandler};
use crate::support::wire::{Wire, head};

const SOON: Duration = Duration::from_millis(300);

fn timer() -> Value {
    json!({
        "type": "timerTrigger", "direction": "in", "name": "tick", "schedule": "0 * * * * *", "useMonitor": false,
    })
}

fn queue() -> Value {
    json!({ "type": "queueTrigger", "direction": "in", "name": "msg", "queueName": "q" })
}

/// The connection string of storage that is not there.
fn no_storage() -> String {
    let nobody = ([127, 0, 0, 1], fixed_port()).into();
    connection_string(nobody, nobody)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_is_chunked_and_names_only_the_host() {
    let handler = RecordingHandler::start(Conduct::Answer, &timer()).await;
    Host::start(handler.options(&[])).await.fire_timer("other").await;
    let on_a_laptop = Host::start(handler.options(&[("FUNCTIONS_CORETOOLS_ENVIRONMENT", "x")])).await;
    on_a_laptop.fire_timer("other").await;
    let [request, with_length] = &handler.requests()[..] else { panic!("{:?}", handler.requests()) };
    for request in [request, with_length] {
        assert_eq!(request.line(), "POST /other HTTP/1.1");
        assert_eq!(request.header("host"), [handler.authority()]);
        let [agent] = request.header("user-agent")[..] else { panic!("{request:?}") };
        assert!(agent.starts_with("azure-functions-host/4.") && !agent.contains(' '), "{agent}");
        assert_eq!(request.header("content-type"), ["application/json; charset=utf-8"]);
        assert!(!request.head.contains("x-forwarded-") && !request.head.contains("x-ms-invocation-id"), "{request:?}");
    }
    assert_eq!(request.header("transfer-encoding"), ["chunked"]);
    assert!(request.header("content-length").is_empty() && !with_length.header("content-length").is_empty());
    assert!(with_length.body.contains(r#""Data":{"tick":{"IsPastDue":false,"Schedule":{"AdjustForDST":true}"#));
}

/// What reaches the handler of a request with many headers.
async fn passed(knows_proxying: bool) -> (RecordingHandler, crate::support::recording_handler::Request) {
    let handler = RecordingHandler::start(Conduct::Answer, &timer()).await;
    let host = Host::start(HostOptions { knows_proxying, ..handler.options(&[]) }).await;
    let headers = [
        ("user-agent", "curl/8"),
        ("connection", "keep-alive, x-own"),
        ("x-own", "1"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
    ];
    let request = head("GET", "/open/%C3%BC/./a%20b%2Fc?x=1&y=%2F&x=2", &headers);
    let answer = Wire::connect(host.address()).await.exchange(request).await.unwrap();
    assert_eq!((answer.status, answer.header("server")), (200, "Kestrel"));
    let request = handler.requests().pop().unwrap();
    (handler, request)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxied_request_has_the_handlers_address_and_says_whose_it_was() {
    let (handler, request) = passed(true).await;
    assert_eq!(request.line(), "GET /open/%C3%BC/a%20b%2Fc?x=1&y=%2F&x=2 HTTP/1.1");
    assert_eq!(request.header("host"), [handler.authority()]);
    assert_eq!(request.header("user-agent"), ["curl/8"]);
    assert_eq!(request.header("x-forwarded-host"), ["h"]);
    assert_eq!(request.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.header("x-forwarded-proto"), ["http"]);
    assert_eq!(request.header("x-ms-invocation-id"), request.header("x-azure-functions-invocationid"));
    assert!(request.header("connection").is_empty() && request.header("x-own").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_request_keeps_its_headers_and_the_host_signs_it() {
    let (_handler, request) = passed(false).await;
    assert_eq!(request.line(), "GET /open/%C3%BC/a%20b%2Fc?x=1%2C2&y=%2F HTTP/1.1");
    assert_eq!(request.header("host"), ["h"]);
    assert_eq!(request.header("user-agent"), ["curl/8 azure-functions-host/4.1052.200"]);
    assert_eq!(request.header("x-forwarded-for"), ["203.0.113.9"]);
    assert_eq!((request.header("x-own"), request.header("connection")), (vec!["1"], vec!["keep-alive, x-own"]));
    assert!(request.header("x-ms-invocation-id").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_exchange_without_a_body_is_repeated_forty_times() {
    let handler = RecordingHandler::start(Conduct::Break, &timer()).await;
    let host = Host::start(handler.options(&[])).await;
    let url = format!("{}/open", host.url());
    let began = Instant::now();
    let delete = http().delete(format!("{url}/a")).send();
    let post = http().post(format!("{url}/b")).body("once").send();
    let (delete, post) = join(delete, post).await;
    assert_eq!((delete.unwrap().status().as_u16(), post.unwrap().status().as_u16()), (500, 500));
    assert!(began.elapsed() >= Duration::from_millis(1_850), "{:?}", began.elapsed());
    let times = |line: &str| handler.requests().iter().filter(|request| request.line().starts_with(line)).count();
    assert_eq!((times("DELETE /open/a"), times("POST /open/b")), (40, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_server_has_limits_of_its_own() {
    let handler = RecordingHandler::start(Conduct::Answer, &timer()).await;
    let host = Host::start(handler.options(&[])).await;
    let get = async |path: &str, header: &str| {
        let request = head("GET", path, &[("x-long", header)]);
        Wire::connect(host.address()).await.exchange(request).await.unwrap().status
    };
    let path = |length: usize| format!("/open/{}", "a".repeat(length - "/open/".len()));
    assert_eq!((get(&path(8 * 1024), "x").await, get(&path(8 * 1024 + 1), "x").await), (200, 414));
    assert_eq!((get("/open", &"x".repeat(32_000)).await, get("/open", &"x".repeat(32 * 1024)).await), (200, 431));
    assert_eq!(handler.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn shut_down_it_waits_a_while_for_calls_and_then_leaves_the_handler_running() {
    for (conduct, is_left) in [(Conduct::Answer, false), (Conduct::AnswerAfter(10 * SOON), true)] {
        let handler = RecordingHandler::start(conduct, &timer()).await;
        let options = handler.options(&[("AzureWebJobsStorage", &no_storage())]);
        let mut host =
            Host::start(HostOptions { patience: Patience { shutdown: SOON, ..Patience::default() }, ..options }).await;
        host.ready().await;
        let call = tokio::spawn(http().get(format!("{}/open", host.url())).send());
        while handler.requests().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        if !is_left {
            call.await.unwrap().unwrap();
        }
        host.shut_down().await;
        until(&host, || host.handler_is_running() == is_left).await;
        assert!(http().get(format!("{}/open", host.url())).send().await.is_err_and(|error| error.is_connect()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_storage_it_ends_and_leaves_the_handler_running() {
    let handler = RecordingHandler::start(Conduct::Answer, &queue()).await;
    let options = handler.options(&[("AzureWebJobsStorage", &no_storage())]);
    let host = Host::start(HostOptions { patience: Patience { start: SOON, ..Patience::default() }, ..options }).await;
    host.ready().await;
    until(&host, || host.has_stopped()).await;
    assert!(host.handler_is_running() && host.log().contains("storage is gone"), "{}", host.log());
    let refused =
        async || http().get(format!("{}/open", host.url())).send().await.is_err_and(|error| error.is_connect());
    let deadline = Instant::now() + PATIENCE;
    while !refused().await {
        assert!(Instant::now() < deadline, "it still takes requests");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hosts_one_calls_the_timer_and_after_its_death_another() {
    let storage = no_storage();
    let mut running = Vec::new();
    for _ in 0..2 {
        let handler = RecordingHandler::start(Conduct::Answer, &timer()).await;
        let options = handler.options(&[("AzureWebJobsStorage", &storage)]);
        let host = Host::start(HostOptions { timer_period: Some(SOON), ..options }).await;
        running.push((handler, host));
    }
    let counts =
        |running: &[(RecordingHandler, Host)]| running.iter().map(|(h, _)| h.requests().len()).collect::<Vec<_>>();
    let deadline = Instant::now() + PATIENCE;
    while counts(&running).iter().sum::<usize>() < 3 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    }
    let counted = counts(&running);
    let idle = counted.iter().position(|count| *count == 0).unwrap_or_else(|| panic!("both called: {counted:?}"));
    let (_, holder) = running.remove(1 - idle);
    let died = Instant::now();
    holder.die().await;
    while counts(&running) == [0] {
        assert!(died.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10)).await;
    }
    assert!(died.elapsed() > SOON / 2, "the lock of a host that died is not free at once: {:?}", died.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_beyond_its_timeout_costs_the_handler_and_several_cost_the_host() {
    let handler = RecordingHandler::start(Conduct::AnswerAfter(PATIENCE), &timer()).await;
    let host = Host::start(handler.options(&[])).await;
    host.ready().await;
    host.fire_timer("other").await;
    assert!(!host.has_stopped() && host.lines(Source::Host).len() == 1, "{}", host.log());
    until(&host, || host.handler_starts() == 2).await;
    join(host.fire_timer("other"), host.fire_timer("other")).await;
    assert!(host.has_stopped(), "{}", host.log());
}
