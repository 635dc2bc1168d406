//! The real HTTP client with real listeners on loopback that behave well, badly or not at all.

mod connector;
mod ssrf;
mod targets;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcp_scheduler::delivery::classify;
use mcp_scheduler::domain::{AttemptResult, EndpointPolicy, ErrorClass, Method, Outcome, Secret};
use mcp_scheduler::outbound::{
    Exchange, HttpSender, OutboundRequest, Resolver as _, RouteError, Sender, SystemNetwork,
};

use crate::support::outbound::endpoints::{Character, Endpoint, answer};

/// The policy on a laptop, which allows loopback.
fn laptop() -> EndpointPolicy {
    EndpointPolicy {
        allowed_networks: ["127.0.0.0/8", "::1/128"].map(|n| n.parse().unwrap()).to_vec(),
        ..EndpointPolicy::default()
    }
}

fn sender() -> HttpSender {
    HttpSender::new(laptop()).unwrap()
}

fn request() -> OutboundRequest {
    OutboundRequest {
        method: Method::Post,
        headers: vec![("user-agent".to_owned(), Secret::new("mcp-scheduler/test".to_owned()))],
        body: Some(Bytes::from_static("Grüße".as_bytes())),
        keep_response: false,
        timeout: Duration::from_secs(1),
    }
}

/// A route and an exchange over it, as a delivery makes them.
trait RoutedExchange {
    async fn exchange(&self, endpoint: &str, request: OutboundRequest) -> Exchange;

    async fn post(&self, endpoint: &str) -> Exchange {
        self.exchange(endpoint, request()).await
    }
}

impl RoutedExchange for HttpSender {
    async fn exchange(&self, endpoint: &str, request: OutboundRequest) -> Exchange {
        match self.route(endpoint).await {
            Ok(route) => self.send(request, route).await,
            Err(RouteError::Failed(class)) => Exchange { duration_ms: 0, result: Err(class) },
            Err(RouteError::NotTried) => panic!("this machine has no resources left"),
        }
    }
}

async fn send(endpoint: &str) -> AttemptResult {
    classify(sender().post(endpoint).await)
}

fn assert_failed(report: &AttemptResult, error: ErrorClass) {
    assert_eq!((report.outcome, report.error), (Outcome::Failure, Some(error)), "{report:?}");
    assert_eq!((report.http_status, report.response_excerpt.as_str()), (None, ""));
}

#[tokio::test]
async fn a_2xx_and_nothing_else_is_a_success() {
    for (status, outcome) in [
        (200, Outcome::Success),
        (204, Outcome::Success),
        (299, Outcome::Success),
        (301, Outcome::PermanentFailure),
        (304, Outcome::PermanentFailure),
        (400, Outcome::PermanentFailure),
        (404, Outcome::PermanentFailure),
        (410, Outcome::PermanentFailure),
        (429, Outcome::Failure),
        (500, Outcome::Failure),
        (599, Outcome::Failure),
    ] {
        let endpoint = Endpoint::answering(answer(status, "")).await;
        let report = send(&endpoint.url()).await;
        assert_eq!((report.outcome, report.http_status, report.error), (outcome, Some(status), None));
        assert_eq!(endpoint.requests().len(), 1);
    }
}

#[tokio::test]
async fn the_request_arrives_as_it_was_written() {
    let endpoint = Endpoint::answering(answer(200, "")).await;
    let mut sent = request();
    for (name, value) in [("x-mine", "a\tb  c"), ("x-empty", ""), ("!#$%&'*+.^_`|~1", "visible ASCII ~!\"")] {
        sent.headers.push((name.to_owned(), Secret::new(value.to_owned())));
    }
    sender().exchange(&format!("{}hook?a=%20b&a", endpoint.url()), sent).await;
    let arrived = &endpoint.requests()[0];
    assert!(arrived.starts_with("POST /hook?a=%20b&a HTTP/1.1\r\n"), "{arrived}");
    for line in [
        &format!("host: {}", endpoint.address()),
        "user-agent: mcp-scheduler/test",
        "content-length: 7",
        "x-mine: a\tb  c",
        "x-empty: ",
        "!#$%&'*+.^_`|~1: visible ASCII ~!\"",
    ] {
        assert_eq!(arrived.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {arrived}");
    }
    assert!(arrived.ends_with("\r\n\r\nGrüße"));
    // The library adds no headers, such as one for compressed answers.
    let names = arrived.lines().skip(1).take_while(|l| !l.is_empty()).map(|l| l.split(':').next().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    let ours = ["!#$%&'*+.^_`|~1", "accept-encoding", "content-length", "host", "user-agent", "x-empty", "x-mine"];
    assert_eq!(names, ours);
}

#[tokio::test]
async fn a_method_without_a_body_sends_none() {
    for method in [Method::Get, Method::Delete] {
        let endpoint = Endpoint::answering(answer(200, "")).await;
        sender().exchange(&endpoint.url(), OutboundRequest { method, body: None, ..request() }).await;
        let arrived = &endpoint.requests()[0];
        assert!(arrived.starts_with(method.as_str()) && arrived.ends_with("\r\n\r\n"));
        assert!(!arrived.contains("content-length") && !arrived.contains("transfer-encoding"), "{arrived}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Endpoint::answering(answer(200, "")).await;
        let redirect = format!("HTTP/1.1 {status} Go\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url());
        let endpoint = Endpoint::answering(redirect).await;
        let report = send(&endpoint.url()).await;
        assert_eq!((report.outcome, report.http_status), (Outcome::PermanentFailure, Some(status)));
        assert!(elsewhere.requests().is_empty());
    }
    let to_itself = "HTTP/1.1 302 Go\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
    let endpoint = Endpoint::answering(to_itself.to_owned()).await;
    send(&endpoint.url()).await;
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn a_cookie_is_not_sent_back() {
    let cookie = "HTTP/1.1 200 OK\r\nset-cookie: a=canary\r\ncontent-length: 0\r\n\r\n".to_owned();
    let endpoint = Endpoint::answering(cookie).await;
    let sender = &sender();
    for _ in 0..2 {
        sender.post(&endpoint.url()).await;
    }
    assert_eq!(endpoint.requests().len(), 2);
    assert!(!endpoint.requests()[1].contains("canary"));
}

#[tokio::test]
async fn one_connection_serves_several_deliveries() {
    let endpoint = Endpoint::answering(answer(200, "ok")).await;
    let sender = &sender();
    for _ in 0..5 {
        assert_eq!(classify(sender.post(&endpoint.url()).await).outcome, Outcome::Success);
    }
    assert_eq!((endpoint.requests().len(), endpoint.connections()), (5, 1));
}

/// It answers the first request on a connection and closes the connection at the second, as a server does whose
/// keep-alive ends at that moment.
#[tokio::test]
async fn a_request_on_a_used_connection_that_is_closed_before_the_answer_is_sent_again_on_a_new_one() {
    let endpoint = Endpoint::start(Character::AnswersOnce(answer(200, "ok").into(), Vec::new())).await;
    let sender = &sender();
    for _ in 0..4 {
        assert_eq!(sender.post(&endpoint.url()).await.result.unwrap().status, 200);
    }
    let (requests, connections) = (endpoint.requests(), endpoint.connections());
    assert_eq!((requests.len(), connections), (5, 4), "after the first time a connection is used once");
    assert!(requests.iter().all(|request| *request == requests[0]), "the second try is the same request");
    // Another host keeps its connections.
    let other = Endpoint::answering(answer(200, "ok")).await;
    for _ in 0..3 {
        sender.post(&other.url()).await;
    }
    assert_eq!(other.connections(), 1);
}

#[tokio::test]
async fn a_request_is_not_sent_again_when_its_answer_has_begun() {
    let begun = b"HTTP/1.1 2".to_vec();
    let endpoint = Endpoint::start(Character::AnswersOnce(answer(200, "ok").into(), begun)).await;
    let sender = &sender();
    assert_eq!(sender.post(&endpoint.url()).await.result.unwrap().status, 200);
    assert_failed(&classify(sender.post(&endpoint.url()).await), ErrorClass::ConnectionReset);
    assert_eq!((endpoint.requests().len(), endpoint.connections()), (2, 1));
}

#[tokio::test]
async fn a_request_on_a_used_connection_that_is_not_answered_is_not_sent_again() {
    let endpoint = Endpoint::start(Character::AnswersFirst(answer(200, "ok").into())).await;
    let sender = &sender();
    assert_eq!(sender.post(&endpoint.url()).await.result.unwrap().status, 200);
    assert_failed(&classify(sender.post(&endpoint.url()).await), ErrorClass::TotalTimeout);
    assert_eq!((endpoint.requests().len(), endpoint.connections()), (2, 1));
}

#[tokio::test]
async fn the_beginning_of_the_answer_is_kept_as_text() {
    for (body, kept) in [
        ("", String::new()),
        ("short", "short".to_owned()),
        (&"x".repeat(2000), "x".repeat(1024)),
        // Byte 1,024 is inside a character of two bytes.
        (&format!("a{}", "ü".repeat(1000)), format!("a{}", "ü".repeat(511))),
    ] {
        let endpoint = Endpoint::answering(answer(500, body)).await;
        assert_eq!(send(&endpoint.url()).await.response_excerpt, kept);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_utf8_is_kept_as_valid_text_of_bounded_size() {
    let mut bytes = b"HTTP/1.1 500 E\r\ncontent-length: 3000\r\n\r\n".to_vec();
    bytes.extend([0xff, b'a', 0].repeat(1000));
    let endpoint = Endpoint::answering(bytes).await;
    let report = send(&endpoint.url()).await;
    assert_eq!(report.http_status, Some(500));
    assert!(!report.response_excerpt.is_empty() && report.response_excerpt.len() <= AttemptResult::MAX_EXCERPT);
    assert!(report.response_excerpt.starts_with("\u{fffd}a\\u{0}"));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_after_the_excerpt() {
    let endpoint = Endpoint::streaming_for_ever().await;
    let timeout = Duration::from_secs(20);
    let report = classify(sender().exchange(&endpoint.url(), OutboundRequest { timeout, ..request() }).await);
    assert_eq!((report.outcome, report.http_status), (Outcome::Success, Some(200)));
    assert_eq!(report.response_excerpt.len(), AttemptResult::MAX_EXCERPT);
    assert!(report.duration_ms < 10_000, "not at the timeout: {} ms", report.duration_ms);
    // The buffers of the sockets accept more than the client reads, but not without limit.
    assert!(endpoint.sent_when_cut_off().await < 16 * 1024 * 1024);
}

#[tokio::test]
async fn an_answer_whose_body_breaks_off_keeps_its_status() {
    let endpoint = Endpoint::answering_and_closing("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart").await;
    let report = send(&endpoint.url()).await;
    assert_eq!((report.outcome, report.http_status), (Outcome::Success, Some(200)));
    assert_eq!(report.response_excerpt, "part");
}

#[tokio::test]
async fn an_endpoint_that_takes_too_long_is_cut_off_at_the_timeout() {
    // One does not answer; the other sends its head byte by byte for ever.
    for endpoint in [Endpoint::silent().await, Endpoint::dripping().await] {
        let began = Instant::now();
        let report = send(&endpoint.url()).await;
        assert_failed(&report, ErrorClass::TotalTimeout);
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        assert!((1000..10_000).contains(&report.duration_ms), "{}", report.duration_ms);
        assert_eq!(endpoint.requests().len(), 1, "an attempt is made once");
    }
}

#[tokio::test]
async fn a_port_on_which_nothing_listens_is_connect_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert_failed(&send(&url).await, ErrorClass::ConnectRefused);
}

#[tokio::test]
async fn a_connection_that_is_cut_is_connection_reset_and_the_request_is_not_repeated() {
    let (at_once, later, politely) =
        (Endpoint::resetting_at_once().await, Endpoint::resetting().await, Endpoint::answering_and_closing("").await);
    assert_failed(&send(&at_once.url()).await, ErrorClass::ConnectionReset);
    for endpoint in [later, politely] {
        assert_failed(&send(&endpoint.url()).await, ErrorClass::ConnectionReset);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((endpoint.requests().len(), endpoint.connections()), (1, 1));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_protocol_error() {
    for garbage in
        ["220 smtp.example.com ready\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "\0\0\0\0\r\n\r\n"]
    {
        let endpoint = Endpoint::answering(garbage.to_owned()).await;
        assert_failed(&send(&endpoint.url()).await, ErrorClass::ProtocolError);
        assert_eq!(endpoint.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_port_without_tls_is_a_tls_error() {
    let plain = Endpoint::answering("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n".to_owned()).await;
    let hangs_up = Endpoint::resetting_at_once().await;
    for endpoint in [plain, hangs_up] {
        let url = endpoint.url().replace("http:", "https:");
        assert_failed(&send(&url).await, ErrorClass::TlsError);
    }
}

#[tokio::test]
async fn the_machines_resolver_knows_the_machines_names() {
    let addresses = SystemNetwork::default().resolve("localhost").await.unwrap();
    assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
}

#[tokio::test]
async fn the_header_host_has_the_name_as_it_was_written() {
    let endpoint = Endpoint::answering(answer(200, "")).await;
    let by_name = format!("http://localhost:{}/", endpoint.address().port());
    assert_eq!(send(&by_name).await.outcome, Outcome::Success);
    assert!(endpoint.requests()[0].contains(&format!("host: localhost:{}\r\n", endpoint.address().port())));
}
