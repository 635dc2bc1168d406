//! Connections: their time limits, their number, the size of a head, and a stop of the service.

mod early_responses;
mod hold;
mod hostile;
mod request_heads;
mod requests;

use std::time::Duration;

use http::Method;
use mcp_scheduler::http::ServerOptions;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::app::{BareApi, Running, TestApp};
use crate::support::client::{Answer, conversation, in_seconds};
use crate::support::receiver::{Receiver, Reply};
use crate::support::wire::{Wire, head};

const IDLE: Duration = Duration::from_secs(1);
/// Far shorter than the time limits of a connection, and long enough for a slow machine.
const SOON: Duration = Duration::from_secs(10);

async fn with_short_idle_time() -> Running {
    let mut api = BareApi::new();
    api.options = ServerOptions { idle: IDLE, ..ServerOptions::default() };
    api.start().await
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let api = with_short_idle_time().await;
    let began = Instant::now();
    assert!(Wire::connect(api.address).await.closes_within(SOON).await);
    assert!(began.elapsed() >= IDLE);
}

#[tokio::test]
async fn a_connection_whose_head_does_not_end_is_closed() {
    let api = with_short_idle_time().await;
    let mut wire = Wire::connect(api.address).await;
    wire.send("GET /health HTTP/1.1\r\nHost: h\r\n").await;
    let began = Instant::now();
    while wire.send("X: y\r\n").await {
        assert!(began.elapsed() < SOON, "a byte now and then does not buy time");
        tokio::time::sleep(IDLE / 4).await;
    }
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_a_while() {
    let api = with_short_idle_time().await;
    let mut wire = Wire::connect(api.address).await;
    for _ in 0..5 {
        assert_eq!(wire.exchange(head("GET", "/health", &[])).await.unwrap().status, 200);
        tokio::time::sleep(IDLE / 4).await;
    }
    assert!(wire.closes_within(SOON).await);
}

#[tokio::test]
async fn a_head_far_over_32_kib_or_with_more_than_100_headers_is_431() {
    let app = TestApp::start().await;
    // The service checks the limit after each read, so it is not exact to the byte.
    let big = "x".repeat(128 * 1024);
    let mut wire = Wire::connect(app.address).await;
    assert_eq!(wire.exchange(head("GET", "/health", &[("X", &big)])).await.unwrap().status, 431);
    let many = vec![("X", "y"); 101];
    let mut wire = Wire::connect(app.address).await;
    assert_eq!(wire.exchange(head("GET", "/health", &many)).await.unwrap().status, 431);
    let fits = "x".repeat(30 * 1024);
    let mut wire = Wire::connect(app.address).await;
    assert_eq!(wire.exchange(head("GET", "/health", &[("X", &fits)])).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_connections_do_not_slow_the_next() {
    let app = TestApp::start().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(app.address).await.unwrap());
    }
    let began = Instant::now();
    let answer = Answer::to(app.client().anonymous(Method::GET, "/health")).await;
    assert_eq!(answer.status, 200);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// A server that stops, but not before this time while a request is open.
async fn with_drain(drain: Duration) -> Running {
    let mut api = BareApi::new();
    api.options = ServerOptions { drain, ..ServerOptions::default() };
    api.start().await
}

/// A connection with a request whose body the service waits for.
async fn with_an_open_request(api: &Running, body: &str) -> Wire {
    let (bearer, length) = (format!("Bearer {}", api.client().token().await), body.len().to_string());
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
        ("Content-Length", &length),
        ("Expect", "100-continue"),
    ];
    let mut wire = Wire::connect(api.address).await;
    wire.send(head("POST", "/api/scheduler/schedule", &headers)).await;
    assert_eq!(wire.head().await.as_deref(), Some("HTTP/1.1 100 Continue\r\n\r\n"));
    wire
}

#[tokio::test]
async fn a_stop_lets_an_open_request_finish_and_refuses_the_next() {
    let mut api = with_drain(Duration::from_mins(1)).await;
    let body = conversation(json!({})).to_string();
    let mut open = with_an_open_request(&api, &body).await;
    api.stop.cancel();
    // The listener is closed at once, although a request is still open.
    let refused = async {
        while TcpStream::connect(api.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, refused).await.expect("it listens no longer");
    let answer = open.exchange(&body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    timeout(SOON, api.task.take().unwrap()).await.expect("nothing is open").unwrap();
}

#[tokio::test]
async fn a_stop_waits_not_for_idle_connections_and_a_limited_time_for_busy_ones() {
    const DRAIN: Duration = Duration::from_secs(3);
    let mut api = with_drain(DRAIN).await;
    let mut idle = Wire::connect(api.address).await;
    assert_eq!(idle.exchange(head("GET", "/health", &[])).await.unwrap().status, 200);
    let _busy = with_an_open_request(&api, "{}").await;
    let began = Instant::now();
    api.stop.cancel();
    assert!(idle.closes_within(SOON).await);
    assert!(began.elapsed() < DRAIN, "{:?}", began.elapsed());
    timeout(SOON, api.task.take().unwrap()).await.expect("it waits no longer").unwrap();
    assert!(began.elapsed() >= DRAIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_service_stops_within_ten_seconds_during_a_delivery_and_a_request() {
    let receiver = Receiver::start([Reply::status(200).after(Duration::from_mins(1))]).await;
    let mut app = TestApp::start().await;
    let client = app.client();
    client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    receiver.wait_for(1).await;
    let bearer = format!("Bearer {}", client.token().await);
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Content-Length", "100")];
    let mut open = Wire::connect(app.address).await;
    open.send(head("POST", "/api/scheduler/schedule", &headers)).await;
    let began = Instant::now();
    app.stop();
    app.ended().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(TcpStream::connect(app.address).await.is_err());
}

#[tokio::test]
async fn the_process_survives_every_kind_of_error() {
    let app = TestApp::start().await;
    for garbage in [
        &b"\0\0\0\0"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET  /health HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /health HTTP/1.1\nHost: h\n\n",
        b"GET /health HTTP/1.1\r\nHost: h\r\n X: folded\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHo st: h\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"POST /api/auth/token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /api/auth/token HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ] {
        let mut wire = Wire::connect(app.address).await;
        wire.send(garbage).await;
        wire.finish().await;
        for answer in wire.answers().await {
            assert!(matches!(answer.status, 200 | 400 | 404 | 505), "{answer:?}");
        }
    }
    assert_eq!(Answer::to(app.client().anonymous(Method::GET, "/health")).await.status, 200);
    let answer = app.client().schedule_raw(conversation(json!({})).to_string()).await;
    assert_eq!(answer.status, 200);
}
