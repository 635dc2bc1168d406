//! Requests as bytes: framing, paths and methods.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;
use crate::support::wire::{Wire, head};

const KIB: usize = 1024;
const SCHEDULE: &str = "/api/scheduler/schedule";

/// The head of a schedule request, with these headers for the length of its body.
async fn schedule_head(client: &ApiClient, framing: &[(&str, &str)]) -> String {
    let bearer = format!("Bearer {}", client.token().await);
    let headers = [&[("Authorization", &*bearer), ("Content-Type", "application/json")], framing].concat();
    head("POST", SCHEDULE, &headers)
}

async fn with_length(client: &ApiClient, body: &str) -> Vec<u8> {
    let head = schedule_head(client, &[("Content-Length", &body.len().to_string())]).await;
    (head + body).into_bytes()
}

async fn in_chunks(client: &ApiClient, body: &str, size: usize) -> Vec<u8> {
    let mut bytes = schedule_head(client, &[("Transfer-Encoding", "chunked")]).await.into_bytes();
    for chunk in body.as_bytes().chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend([chunk, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

async fn exchange(app: &TestApp, bytes: impl AsRef<[u8]>) -> Answer {
    let answer = Wire::connect(app.address).await.exchange(bytes).await.expect("an answer");
    answer.check();
    answer
}

/// A valid request body of exactly this size.
fn padded(bytes: usize) -> String {
    let good = conversation(json!({})).to_string();
    let padding = " ".repeat(bytes - good.len());
    good + &padding
}

#[tokio::test]
async fn a_body_may_have_1_25_mib_and_no_byte_more() {
    let app = TestApp::start().await;
    let client = app.client();
    let (fits, too_large) = (padded(1280 * KIB), padded(1280 * KIB + 1));
    assert_eq!(exchange(&app, with_length(&client, &fits).await).await.status, 200);
    assert_eq!(exchange(&app, in_chunks(&client, &fits, 5000).await).await.status, 200);
    let refused = exchange(&app, with_length(&client, &too_large).await).await;
    refused.assert_problem(413, "body-too-large");
    golden::check("problem-body-too-large", &refused.json());
    exchange(&app, in_chunks(&client, &too_large, 5000).await).await.assert_problem(413, "body-too-large");
    assert_eq!(client.list("").await.json()["conversations"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_body_that_is_wrong_from_the_start_is_refused_for_that_before_its_size() {
    let app = TestApp::start().await;
    let client = app.client();
    for body in
        ["{\"a\":".repeat(300 * KIB), format!("{{\"endpiont\":1,\"additionalInfo\":\"{}\"}}", "x".repeat(1300 * KIB))]
    {
        let answer = exchange(&app, with_length(&client, &body).await).await;
        assert_eq!((answer.status, answer.pointers().len(), answer.header("connection")), (400, 1, "close"));
    }
}

#[tokio::test]
async fn a_body_may_come_byte_by_byte() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = conversation(json!({ "conversationText": "héllo \u{1f4a9}" })).to_string();
    let answer = exchange(&app, in_chunks(&client, &good, 1).await).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let id = answer.json()["conversationId"].as_str().unwrap().to_owned();
    assert_eq!(client.status(&id).await.json()["conversationText"], "héllo \u{1f4a9}");
}

#[tokio::test]
async fn a_request_whose_body_breaks_off_is_not_stored() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = conversation(json!({})).to_string();
    let framed = with_length(&client, &good).await;
    let longer = schedule_head(&client, &[("Content-Length", &(good.len() + 1).to_string())]).await + &good;
    let unended = in_chunks(&client, &good, 10).await;
    // The JSON is complete in all cases but the first; only the framing says that the body is not.
    for bytes in [&framed[..framed.len() - 1], longer.as_bytes(), &unended[..unended.len() - 5]] {
        let mut wire = Wire::connect(app.address).await;
        wire.send(bytes).await;
        wire.finish().await;
        for answer in wire.answers().await {
            answer.check();
            answer.assert_problem(400, "incomplete-body");
            golden::check("problem-incomplete-body", &answer.json());
        }
    }
    assert_eq!(client.list("").await.json()["conversations"], json!([]));
}

#[tokio::test]
async fn expect_100_continue_is_answered() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = conversation(json!({})).to_string();
    let length = good.len().to_string();
    let mut wire = Wire::connect(app.address).await;
    wire.send(schedule_head(&client, &[("Content-Length", &length), ("Expect", "100-continue")]).await).await;
    assert_eq!(wire.head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    wire.send(&good).await;
    assert_eq!(wire.answer().await.unwrap().status, 200);

    let mut wire = Wire::connect(app.address).await;
    let huge = [("Content-Length", "99999999"), ("Expect", "100-continue")];
    wire.send(schedule_head(&client, &huge).await).await;
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 413 "), "before a byte of it is sent");

    let mut wire = Wire::connect(app.address).await;
    let anonymous = [("Content-Length", &*length), ("Expect", "100-continue")];
    wire.send(head("POST", SCHEDULE, &anonymous)).await;
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 401 "), "before a byte of it is sent");
}

#[tokio::test]
async fn header_names_are_read_in_any_case() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = conversation(json!({})).to_string();
    let (bearer, length) = (format!("bEARER {}", client.token().await), good.len().to_string());
    let headers = [("AUTHORIZATION", &*bearer), ("cOnTeNt-TyPe", "application/json"), ("CONTENT-length", &length)];
    assert_eq!(exchange(&app, head("POST", SCHEDULE, &headers) + &good).await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = with_length(&client, &conversation(json!({})).to_string()).await;
    let wrong = with_length(&client, "{}").await;
    let health = head("GET", "/health", &[]).into_bytes();
    let nowhere = head("GET", "/nowhere", &[]).into_bytes();
    let mut wire = Wire::connect(app.address).await;
    wire.send([&*health, &good, &wrong, &nowhere, &good, &health].concat()).await;
    for status in [200, 200, 400, 404, 200, 200] {
        let answer = wire.answer().await.unwrap();
        answer.check();
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_connection_outlives_an_error() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut wire = Wire::connect(app.address).await;
    let text = "x".repeat(100 * KIB);
    let unread = head("POST", SCHEDULE, &[("Content-Length", "2")]) + "{}";
    let wrong = with_length(&client, &json!({ "conversationText": text }).to_string()).await;
    for (bytes, status) in [(wrong, 400), (head("PUT", "/health", &[]).into_bytes(), 405), (unread.into_bytes(), 401)] {
        let answer = wire.exchange(bytes).await.unwrap();
        answer.check();
        assert_eq!(answer.status, status);
    }
    let good = with_length(&client, &conversation(json!({})).to_string()).await;
    assert_eq!(wire.exchange(good).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_path_matches_only_in_its_exact_spelling() {
    let app = TestApp::start().await;
    let long = format!("/{}", "x".repeat(30 * KIB));
    for path in [
        "//",
        "//health",
        "/health/",
        "/health//",
        "/health/ready/",
        "/Health",
        "/%68ealth",
        "/health%2F",
        "/health%00",
        "/health;x=1",
        "/./health",
        "/api/../health",
        "/api",
        "/api/",
        "/api//scheduler",
        "/api/scheduler/",
        "/api/scheduler/status",
        "/api/scheduler/status/",
        "/api/scheduler/status/a/b",
        "/api/scheduler/status/a/",
        "/deliverDueConversations",
        "/dev",
        "/dev/clock",
        "/dev/inbox",
        "/admin/host/status",
        "/%",
        "/%zz",
        &long,
        "*",
        "http://h/nowhere",
    ] {
        let answer = exchange(&app, head("GET", path, &[])).await;
        assert_eq!(answer.status, 404, "{path:.40}");
        // The problem is the same for all paths, but for the name of a path that is nearly right.
        let mut problem = answer.json();
        let detail = problem["detail"].as_str().unwrap().split(" Use ").next().unwrap().to_owned();
        problem["detail"] = json!(detail);
        golden::check("problem-no-such-path", &problem);
    }
    for path in ["/health", "/health?x=1", "/health?", "http://h/health"] {
        assert_eq!(exchange(&app, head("GET", path, &[])).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_with_the_allowed_ones() {
    let app = TestApp::start().await;
    for (method, path, allowed) in [
        ("POST", "/health", "GET, HEAD"),
        ("OPTIONS", "/health", "GET, HEAD"),
        ("TRACE", "/health/ready", "GET, HEAD"),
        ("GET", "/api/auth/token", "POST"),
        ("OPTIONS", "/api/auth/token", "POST"),
        ("DELETE", "/api/scheduler/schedule", "POST"),
        ("GET", "/api/scheduler/schedule", "POST"),
        ("post", "/api/scheduler/schedule", "POST"),
        ("POST", "/api/scheduler", "GET, HEAD"),
        ("POST", "/api/scheduler/status/x", "GET, HEAD"),
        ("GET", "/api/scheduler/x", "PATCH, DELETE"),
        ("PUT", "/api/scheduler/x", "PATCH, DELETE"),
        ("BREW", "/api/scheduler/x", "PATCH, DELETE"),
    ] {
        let answer = exchange(&app, head(method, path, &[])).await;
        answer.assert_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
    golden::check("problem-method-not-allowed", &exchange(&app, head("BREW", "/health", &[])).await.json());
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let app = TestApp::start().await;
    let mut wire = Wire::connect(app.address).await;
    wire.send("GET /health HTTP/1.0\r\n\r\n").await;
    let answers = wire.answers().await;
    answers.iter().for_each(Answer::check);
    assert_eq!(answers.iter().map(|a| a.status).collect::<Vec<_>>(), [200]);
}
