//! Responses that are sent before the whole request has arrived, and clients that have shut down their sending side.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use mcp_scheduler::http::{Access, Operation, json};
use mcp_scheduler::testing::Faults;
use serde_json::json;

use crate::support::app::{BareApi, Running, TestApp};
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::wire::{Wire, head};

use super::SOON;

const KB: usize = 1000;
const MB: usize = 1000 * KB;
const SCHEDULE: &str = "/api/scheduler/schedule";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A store whose every call takes this time.
struct Slow(Duration);

impl Faults for Slow {
    fn latency(&self) -> Duration {
        self.0
    }
}

/// The response to a client that reads it only after it has written the whole request.
async fn written_then_read(address: std::net::SocketAddr, head: &str, body: usize) -> Answer {
    let mut wire = Wire::connect(address).await;
    assert!(wire.send([head.as_bytes(), &vec![b' '; body]].concat()).await, "the request of {body} bytes is taken");
    let answer = wire.answer().await.expect("a response");
    answer.check();
    answer
}

fn with_length(method: &str, path: &str, headers: &[(&str, &str)], body: usize) -> String {
    head(method, path, &[headers, &[("Content-Length", &body.to_string())]].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_shut_down_its_sending_side_gets_its_response() {
    let api = BareApi::with_faults(Slow(Duration::from_millis(100))).start().await;
    let client = api.client();
    let bearer = format!("Bearer {}", client.token().await);
    let body = conversation(json!({ "conversationText": "x".repeat(100 * KB) })).to_string();
    let schedule = with_length("POST", SCHEDULE, &[("Authorization", &*bearer), JSON], body.len()) + &body;
    let list = head("GET", "/api/scheduler", &[("Authorization", &*bearer)]);
    let unauthorized = with_length("POST", SCHEDULE, &[JSON], body.len()) + &body;
    for (request, status) in [(schedule, 200), (list, 200), (unauthorized, 401)] {
        let mut wire = Wire::connect(api.address).await;
        wire.send(request).await;
        wire.finish().await;
        let answers = wire.answers().await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [status]);
    }
    assert_eq!(client.list("").await.json()["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_response_arrives_whatever_the_size_of_the_body() {
    let app = TestApp::start().await;
    let bearer = format!("Bearer {}", app.client().token().await);
    let authorization = ("Authorization", &*bearer);
    for (method, path, headers, status) in [
        ("POST", SCHEDULE, &[JSON][..], 401),
        ("POST", "/nowhere", &[JSON], 404),
        ("PUT", SCHEDULE, &[JSON], 405),
        ("POST", SCHEDULE, &[("Content-Type", "text/plain"), authorization], 415),
        ("POST", "/api/auth/token", &[JSON], 413),
        ("POST", "/oauth/token", &[("Content-Type", "application/x-www-form-urlencoded")], 413),
        ("POST", "/health", &[("Host", "another")], 400),
    ] {
        for body in [300 * KB, 3 * MB] {
            let answer = written_then_read(app.address, &with_length(method, path, headers, body), body).await;
            let closes = answer.header("connection") == "close";
            assert_eq!((answer.status, closes), (status, true), "{method} {path} with {body} bytes");
        }
    }
    for body in [1400 * KB, 3 * MB] {
        let head = with_length("POST", SCHEDULE, &[JSON, authorization], body);
        let answer = written_then_read(app.address, &head, body).await;
        assert_eq!((answer.status, answer.header("connection")), (413, "close"), "{body}");
    }
    let body = 30 * MB;
    let answer = written_then_read(app.address, &with_length("POST", SCHEDULE, &[JSON], body), body).await;
    assert_eq!((answer.status, answer.header("connection")), (401, "close"));
}

/// The response to a request of a client that has used up its limit. If the next second has begun in between, which it
/// does on a slow machine, the client tries again.
async fn over_its_limit(api: &Running, client: &ApiClient, head: &str, body: usize) -> Answer {
    for _ in 0..20 {
        while client.list("").await.status == 200 {}
        let answer = written_then_read(api.address, head, body).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("no request is over the limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_over_its_limit_learns_it_whatever_the_size_of_the_body() {
    let api = BareApi { rate_limit: NonZeroU32::new(1), ..BareApi::new() }.start().await;
    let client = api.client();
    let bearer = format!("Bearer {}", client.token().await);
    for path in [SCHEDULE, "/mcp"] {
        for body in [300 * KB, 3 * MB, 30 * MB] {
            let head = with_length("POST", path, &[JSON, ("Authorization", &bearer)], body);
            let answer = over_its_limit(&api, &client, &head, body).await;
            answer.assert_problem(429, "rate-limited");
            assert_eq!((answer.header("retry-after"), answer.header("connection")), ("1", "close"), "{path} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_with_a_token_that_has_expired_all_learn_it() {
    let app = TestApp::start().await;
    for body in [160 * KB, 255 * KB] {
        let head = with_length("POST", SCHEDULE, &[("Authorization", "Bearer expired"), JSON], body);
        let answers = join_all((0..100).map(|_| written_then_read(app.address, &head, body))).await;
        assert!(answers.iter().all(|answer| answer.status == 401));
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_the_short_body_that_was_not_read() {
    let app = TestApp::start().await;
    let mut wire = Wire::connect(app.address).await;
    for length in [2, 3000] {
        wire.send(with_length("POST", SCHEDULE, &[JSON], length)).await;
        tokio::task::yield_now().await;
        let answer = wire.exchange(vec![b' '; length]).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (401, ""), "{length}");
    }
    assert_eq!(wire.exchange(head("GET", "/health", &[])).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_delays_no_response_and_holds_no_connection() {
    let app = TestApp::start().await;
    for (early, status) in [("POST", 401), ("PUT", 405)] {
        let mut wire = Wire::connect(app.address).await;
        let began = Instant::now();
        wire.send(with_length(early, SCHEDULE, &[JSON], 1000)).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (status, "close"));
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        // After five seconds of silence the service gives the connection up.
        assert!(wire.closes_within(Duration::from_secs(3)).await, "the sending side is shut down");
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_answered() {
    let mut api = BareApi::new();
    let broken = Access::Anyone(|_| Box::pin(async { panic!("a defect of the handler") }));
    let early = Access::Anyone(|_| Box::pin(async { json(&"early") }));
    for (name, path, access) in [("broken", "/broken", broken), ("early", "/early", early)] {
        let (method, takes_idempotency_key, body_limit) = (Method::POST, false, 4096);
        api.operations.push(Operation {
            name,
            method,
            path,
            description: None,
            access,
            takes_idempotency_key,
            body_limit,
        });
    }
    let api = api.start().await;
    let mut wire = Wire::connect(api.address).await;
    for _ in 0..2 {
        let answer = wire.exchange(head("POST", "/broken", &[])).await.unwrap();
        answer.check();
        answer.assert_problem(500, "internal");
    }
    let body = 3 * MB;
    let answer = written_then_read(api.address, &with_length("POST", "/early", &[], body), body).await;
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
}
