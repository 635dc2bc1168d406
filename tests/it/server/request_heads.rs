//! Request heads: targets, the Host header, and HEAD.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Answer, conversation};
use crate::support::golden;
use crate::support::wire::{Wire, head};

async fn exchange(app: &TestApp, bytes: impl AsRef<[u8]>) -> Answer {
    let answer = Wire::connect(app.address).await.exchange(bytes).await.expect("an answer");
    answer.check();
    answer
}

#[tokio::test]
async fn a_target_that_is_no_path_is_refused() {
    let app = TestApp::start().await;
    for request in ["GET h:80", "GET h", "CONNECT h:443", "DELETE 127.0.0.1:8000", "OPTIONS h:80"] {
        let answer = exchange(&app, format!("{request} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        answer.assert_problem(400, "malformed-request");
        assert_eq!(answer.header("connection"), "close", "{request}");
        golden::check("problem-malformed-request", &answer.json());
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let app = TestApp::start().await;
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: h\r\nhost: h\r\n", "Host: a b\r\n", "Host: http://h\r\n"] {
        let answer = exchange(&app, format!("GET /health HTTP/1.1\r\n{hosts}\r\n")).await;
        answer.assert_problem(400, "malformed-request");
        assert_eq!(answer.header("connection"), "close", "{hosts}");
    }
    for host in ["h", "H.example:8000", "[::1]:80", ""] {
        assert_eq!(exchange(&app, format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let bearer = format!("Bearer {}", client.token().await);
    let mut wire = Wire::connect(app.address).await;
    for path in [
        "/health",
        "/health/ready",
        "/api/scheduler",
        &format!("/api/scheduler/status/{id}"),
        "/api/scheduler/status/no-id",
        "/.well-known/oauth-authorization-server",
        "/nowhere",
        "/api/scheduler/schedule",
    ] {
        let of = |method| head(method, path, &[("Authorization", &*bearer)]);
        let got = wire.exchange(of("GET")).await.unwrap();
        wire.send(of("HEAD")).await;
        let headed = wire.answer_to_head().await.unwrap();
        headed.check();
        let length = |answer: &Answer| answer.header("content-length").parse::<usize>().unwrap();
        assert_eq!((headed.status, headed.text.as_str()), (got.status, ""), "{path}");
        // The bodies say how long it is until the conversation is due, and which method is not allowed.
        assert!(length(&headed).abs_diff(length(&got)) <= 1, "{path}: {headed:?}");
    }
}

#[tokio::test]
async fn json_may_begin_with_a_byte_order_mark_and_say_utf8() {
    let app = TestApp::start().await;
    let client = app.client();
    let bearer = format!("Bearer {}", client.token().await);
    let good = conversation(json!({})).to_string();
    for (mark, body, content_type, status) in [
        ("\u{feff}", &*good, "application/json", 200),
        ("", &good, "application/json; charset=utf8", 200),
        ("", &good, "application/json;charset=\"UTF8\"", 200),
        ("\u{feff}", &good, "application/json; charset=utf-8", 200),
        ("\u{feff}\u{feff}", &good, "application/json", 400),
        ("\u{feff}", "", "application/json", 400),
        ("", &good, "application/json; charset=utf-16", 415),
        ("", &good, "application/json; charset=utf", 415),
    ] {
        let body = format!("{mark}{body}");
        let length = body.len().to_string();
        let headers = [("Authorization", &*bearer), ("Content-Type", content_type), ("Content-Length", &*length)];
        let answer = exchange(&app, head("POST", "/api/scheduler/schedule", &headers) + &body).await;
        assert_eq!(answer.status, status, "{content_type} {}", answer.text);
    }
    let list = "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}";
    let request = client.request(http::Method::POST, "/mcp").await.header("content-type", "application/json");
    let answer = Answer::unchecked(request.header("accept", "application/json, text/event-stream").body(list)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn the_spaces_between_the_scheme_and_the_token_do_not_count() {
    let app = TestApp::start().await;
    let client = app.client();
    let token = client.token().await;
    for (between, status) in
        [(" ", 200), ("  ", 200), ("     ", 200), ("\t", 401), (" \t", 401), ("", 401), (" x", 401)]
    {
        let authorization = format!("Bearer{between}{token}");
        let answer = exchange(&app, head("GET", "/api/scheduler", &[("Authorization", &authorization)])).await;
        assert_eq!(answer.status, status, "{between:?}");
    }
}
