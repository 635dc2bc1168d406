//! Connections that take room and give nothing: idle, slow, or never reading.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use http::Method;
use mcp_scheduler::http::{Access, Operation, ServerOptions, json as json_response};
use serde_json::json;
use tracing::Level;

use crate::support::app::{BareApi, Running, TestApp};
use crate::support::captured_log::CapturedLog;
use crate::support::client::{Answer, conversation};
use crate::support::wire::{Wire, head};

use super::SOON;

/// One kind of connection that takes room and gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Idle,
    SlowHead,
    SlowBody,
    NeverReading,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Idle, Self::SlowHead, Self::SlowBody, Self::NeverReading];

    pub async fn open(self, address: SocketAddr) -> Wire {
        if self == Self::NeverReading {
            let mut wire = Wire::connect_with_small_buffer(address).await;
            wire.send_without_waiting(head("GET", "/.well-known/oauth-authorization-server", &[]).repeat(300));
            return wire;
        }
        let mut wire = Wire::connect(address).await;
        match self {
            Self::Idle | Self::NeverReading => {}
            Self::SlowHead => drop(wire.send("POST /api/scheduler/schedule HTTP/1.1\r\nHost: h\r\nX-A: ").await),
            Self::SlowBody => {
                let headers = [("Content-Type", "application/json"), ("Content-Length", "4000")];
                wire.send(head("POST", "/api/auth/token", &headers)).await;
                wire.send(format!("{{\"clientId\":\"{}", "x".repeat(3000))).await;
            }
        }
        wire
    }
}

/// A server with few connections.
async fn small() -> Running {
    let mut api = BareApi::new();
    api.options = ServerOptions { max_connections: 40, ..ServerOptions::default() };
    api.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_connections_of_each_kind_keep_nobody_out() {
    for kind in Kind::ALL {
        let api = small().await;
        let (client, newcomer) = (api.client(), api.client());
        assert_eq!(client.list("").await.status, 200);
        let mut hostile = Vec::new();
        for _ in 0..100 {
            hostile.push(kind.open(api.address).await);
        }
        let began = Instant::now();
        assert_eq!(Answer::to(newcomer.anonymous(Method::GET, "/health")).await.status, 200, "{kind:?}");
        assert!(began.elapsed() < SOON, "{kind:?}: {:?}", began.elapsed());
        assert_eq!(newcomer.schedule(json!({})).await.status, 200, "{kind:?}: a caller that logs in now");
        assert_eq!(client.schedule(json!({})).await.status, 200, "{kind:?}: a caller from before");
    }
}

#[tokio::test]
async fn the_oldest_connection_gives_way_and_that_of_a_client_does_not() {
    let api = small().await;
    let bearer = format!("Bearer {}", api.client().token().await);
    let mut of_client = Wire::connect(api.address).await;
    let list = head("GET", "/api/scheduler", &[("Authorization", &bearer)]);
    assert_eq!(of_client.exchange(&list).await.unwrap().status, 200);
    let mut first = Wire::connect(api.address).await;
    let mut opened = Vec::new();
    for i in 0..40 {
        let mut wire = Wire::connect(api.address).await;
        assert_eq!(wire.exchange(head("GET", "/health", &[])).await.unwrap().status, 200, "after {i}");
        opened.push(wire);
    }
    assert!(first.closes_within(SOON).await);
    assert_eq!(of_client.exchange(&list).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_request_whose_connection_gives_way_has_a_line_in_the_log() {
    let (log, _guard) = CapturedLog::start(Level::INFO);
    let api = small().await;
    let mut first = Wire::connect(api.address).await;
    let headers = [("Content-Type", "application/json"), ("Content-Length", "100")];
    first.send(head("POST", "/api/auth/token", &headers)).await;
    let mut others = Vec::new();
    for _ in 0..41 {
        let mut wire = Wire::connect(api.address).await;
        wire.exchange(head("GET", "/health", &[])).await;
        others.push(wire);
    }
    assert!(first.closes_within(SOON).await);
    let text = log.text();
    let aborted: Vec<_> = text.lines().filter(|line| line.contains("request aborted")).collect();
    assert!(aborted.len() == 1 && aborted[0].contains("operation=\"issueToken\""), "{text}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left_after_a_while() {
    let mut api = BareApi::new();
    api.options = ServerOptions { write: Duration::from_millis(200), ..ServerOptions::default() };
    let api = api.start().await;
    let mut wire = Wire::connect(api.address).await;
    let requests = head("GET", "/health", &[]).repeat(1000);
    let until_closed = async { while wire.send(&requests).await {} };
    tokio::time::timeout(Duration::from_secs(10), until_closed).await.expect("the connection is closed");
}

/// The requests that `a_client_that_does_not_read_gets_no_further_responses` has had handled.
static HANDLED: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn a_client_that_does_not_read_gets_no_further_responses() {
    let mut api = BareApi::new();
    let counting = Access::Anyone(|_| {
        HANDLED.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { json_response(&"x".repeat(1000)) })
    });
    api.operations.push(Operation {
        name: "counting",
        method: Method::GET,
        path: "/counting",
        description: None,
        access: counting,
        takes_idempotency_key: false,
        body_limit: 0,
    });
    let api = api.start().await;
    let mut hostile = Wire::connect_with_small_buffer(api.address).await;
    hostile.send(head("GET", "/counting", &[]).repeat(300)).await;
    // Connections take turns, so the other one would get as many responses in the meantime.
    let mut other = Wire::connect(api.address).await;
    for _ in 0..400 {
        assert_eq!(other.exchange(head("GET", "/health", &[])).await.unwrap().status, 200);
    }
    let handled = HANDLED.load(Ordering::Relaxed);
    assert!((1..80).contains(&handled), "{handled}");
    for _ in 0..300 {
        assert_eq!(hostile.answer().await.unwrap().status, 200, "when it reads, it gets all responses");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_for_bodies_before_authentication_is_bounded() {
    let app = TestApp::start().await;
    let headers = [("Content-Type", "application/json"), ("Content-Length", "4096")];
    let head = head("POST", "/api/auth/token", &headers);
    // 4 MiB are there for 1,024 bodies of 4 KiB.
    let slow = join_all((0..1100).map(|_| async {
        let mut wire = Wire::connect(app.address).await;
        wire.send(format!("{head}{{")).await;
        wire
    }));
    let mut slow = slow.await;
    for wire in &mut slow {
        wire.send(" ".repeat(4094)).await;
    }
    // The others are answered with 408 after 30 seconds.
    let mut answers: FuturesUnordered<_> = slow.iter_mut().map(Wire::answer).collect();
    for _ in 0..50 {
        let answer = answers.next().await.unwrap().expect("a body gives way");
        answer.check();
        answer.assert_problem(503, "unavailable");
    }
    drop(answers);
    assert_eq!(app.client().schedule_raw(conversation(json!({})).to_string()).await.status, 200);
}

#[tokio::test]
async fn a_login_body_may_have_4_kib_and_no_byte_more() {
    let app = TestApp::start().await;
    let client = app.client();
    let login = json!({ "clientId": "nobody", "apiKey": "wrong" }).to_string();
    for (length, status) in [(4096, 401), (4097, 413)] {
        let body = login.clone() + &" ".repeat(length - login.len());
        let request = client.anonymous(Method::POST, "/api/auth/token").header("content-type", "application/json");
        assert_eq!(Answer::to(request.body(body)).await.status, status);
    }
}
