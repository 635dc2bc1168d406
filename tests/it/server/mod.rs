//! Connections: their time limits, their number, the size of a head, and a stop of the service.

mod early_responses;
mod hold;
mod hostile;
mod request_heads;
mod requests;

use std::time::Duration;

use http::Method;
use mcp_scheduler::http::ServerOptions;
use mcp_scheduler::testing::Faults;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::support::app::{BareApi, Running, TestApp};
use crate::support::client::{Answer, conversation, in_seconds};
use crate::support::receiver::{Receiver, Reply};
use crate::support::wire::{Wire, head};

const IDLE: Duration = Duration::from_millis(300);

async fn with_short_idle_time() -> Running {
    let mut api = BareApi::new();
    api.options = ServerOptions { idle: IDLE, drain: Duration::from_millis(500), ..ServerOptions::default() };
    api.start().await
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let api = with_short_idle_time().await;
    let began = Instant::now();
    assert!(Wire::connect(api.address).await.closes_within(4 * IDLE).await);
    assert!(began.elapsed() >= IDLE);
}

#[tokio::test]
async fn a_connection_whose_head_does_not_end_is_closed() {
    let api = with_short_idle_time().await;
    let mut wire = Wire::connect(api.address).await;
    wire.send("GET /health HTTP/1.1\r\nHost: h\r\n").await;
    let began = Instant::now();
    let drip = async {
        while wire.send("X: y\r\n").await && began.elapsed() < 10 * IDLE {
            tokio::time::sleep(IDLE / 4).await;
        }
    };
    drip.await;
    assert!(began.elapsed() < 5 * IDLE, "a byte now and then does not buy time");
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_a_while() {
    let api = with_short_idle_time().await;
    let mut wire = Wire::connect(api.address).await;
    for _ in 0..3 {
        assert_eq!(wire.exchange(head("GET", "/health", &[])).await.unwrap().status, 200);
        tokio::time::sleep(IDLE / 3).await;
    }
    assert!(wire.closes_within(4 * IDLE).await);
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
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// A store whose every call takes this time.
struct Slow(Duration);

impl Faults for Slow {
    fn latency(&self) -> Duration {
        self.0
    }
}

#[tokio::test]
async fn a_stop_lets_an_open_request_finish_and_refuses_the_next() {
    let mut api = BareApi::with_faults(Slow(Duration::from_millis(500))).start().await;
    let client = api.client();
    client.token().await;
    let (stop, address) = (api.stop.clone(), api.address);
    let began = Instant::now();
    let (answer, ()) = tokio::join!(client.schedule(json!({})), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
        // The listener is closed at once, although a request is still open.
        while TcpStream::connect(address).await.is_ok() {
            assert!(began.elapsed() < Duration::from_millis(450), "still listening");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(answer.status, 200, "{}", answer.text);
    api.task.take().unwrap().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_stop_waits_not_for_idle_connections_and_a_limited_time_for_busy_ones() {
    let mut api = with_short_idle_time().await;
    let mut idle = Wire::connect(api.address).await;
    assert_eq!(idle.exchange(head("GET", "/health", &[])).await.unwrap().status, 200);
    let mut busy = Wire::connect(api.address).await;
    let client = api.client();
    let bearer = format!("Bearer {}", client.token().await);
    let headers = [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Content-Length", "100")];
    busy.send(head("POST", "/api/scheduler/schedule", &headers)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    api.stop.cancel();
    assert!(idle.closes_within(Duration::from_millis(250)).await);
    api.task.take().unwrap().await.unwrap();
    let took = began.elapsed();
    assert!((Duration::from_millis(450)..Duration::from_secs(2)).contains(&took), "{took:?}");
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
    let began = Instant::now();
    assert_eq!(Answer::to(app.client().anonymous(Method::GET, "/health")).await.status, 200);
    assert!(began.elapsed() < Duration::from_millis(500));
    let answer = app.client().schedule_raw(conversation(json!({})).to_string()).await;
    assert_eq!(answer.status, 200);
}
