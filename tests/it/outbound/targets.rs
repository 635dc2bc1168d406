//! The corpus of targets that misbehave, each played by a real listener.
//!
//! Cases that would take half a minute use a shorter timeout of the attempt. The pauses between attempts are tested in
//! `delivery`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_scheduler::delivery::classify;
use mcp_scheduler::domain::{AttemptResult, ErrorClass, Outcome};
use mcp_scheduler::outbound::{Exchange, HttpSender, OutboundRequest, SystemNetwork};
use rustls::RootCertStore;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{RoutedExchange as _, laptop, request, sender};
use crate::support::outbound::endpoints::{Character, Endpoint, answer};
use crate::support::outbound::tls::{Authority, self_signed_listener};

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Value,
    expect: Value,
}

/// A slow machine may take longer than the corpus says.
const SLACK_MS: u64 = 5_000;

/// Cases about several attempts, with the modules that test them.
const ELSEWHERE: [(&str, &str); 2] =
    [("flaky-5xx-then-200", "delivery::attempts"), ("one-slow-target-among-many", "delivery::hosts")];

#[tokio::test]
async fn every_target_of_the_corpus_is_classified_as_expected() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../fixtures/corpora/targets.json")).unwrap();
    assert_eq!(cases.len(), 41);
    let cases: Vec<_> = cases.iter().filter(|case| !ELSEWHERE.iter().any(|(name, _)| *name == case.name)).collect();
    let results = futures_util::future::join_all(cases.iter().map(|case| run(case))).await;
    let wrong: Vec<_> = cases
        .iter()
        .zip(results)
        .filter_map(|(case, result)| result.err().map(|problem| format!("{}: {problem}", case.name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

async fn run(case: &Case) -> Result<(), String> {
    if case.input["status"].is_u64() {
        return answers(case).await;
    }
    if case.name.starts_with("tls-") || case.name.contains("tls") {
        return through_tls(case).await;
    }
    let ok = |headers: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}");
    let character = match case.name.as_str() {
        "connection-refused" => Character::Closed,
        "reset-after-accept" => Character::ResetsAtOnce,
        "reset-after-request" => Character::Resets,
        "slow-loris-header" => Character::Drips,
        "reads-nothing" => Character::ReadsNothing,
        "huge-body-content-length" => Character::Streams(ok("content-length: 10737418240", "").into()),
        "gzip-bomb" => {
            Character::Streams(ok("content-encoding: gzip\r\ncontent-length: 10485760", "\x1f\u{8b}").into())
        }
        "header-bomb-1-mib" => Character::Answers(ok(&format!("x-bomb: {}", "x".repeat(1 << 20)), "").into()),
        "status-line-garbage" => Character::Answers("HELLO\r\n\r\n".into()),
        "status-099" => Character::Answers("HTTP/1.1 099 x\r\ncontent-length: 0\r\n\r\n".into()),
        "http-0.9-body" => Character::AnswersAndCloses("<html><body>hello</body></html>".into()),
        "cl-and-te" => {
            Character::Answers(ok("content-length: 5\r\ntransfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n").into())
        }
        "101-upgrade" => Character::Answers(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".into(),
        ),
        "script-in-body" => Character::Answers(answer(200, "<script>alert(1)</script>").into()),
        "slow-success-after-our-timeout" => Character::Silent,
        other => return Err(format!("no listener plays {other}")),
    };
    let endpoint = Endpoint::start(character).await;
    let sender = sender();
    let body = vec![b'x'; if case.name == "reads-nothing" { 8 << 20 } else { 10 }];
    let message = || OutboundRequest { body: Some(body.clone().into()), ..request() };
    let began = Instant::now();
    let exchange = sender.exchange(&endpoint.url(), message()).await;
    if began.elapsed() > Duration::from_secs(20) {
        return Err(format!("took {:?}", began.elapsed()));
    }
    let attempts_seen = endpoint.requests().len();
    if attempts_seen > 1 {
        return Err(format!("{attempts_seen} requests for one attempt"));
    }
    if case.expect["connection_reused"] == false {
        sender.exchange(&endpoint.url(), message()).await;
        if endpoint.connections() != 2 {
            return Err("used the connection again".to_owned());
        }
    }
    as_expected(case, exchange)
}

/// Cases whose endpoint gives a well-formed answer.
async fn answers(case: &Case) -> Result<(), String> {
    let status = u16::try_from(case.input["status"].as_u64().unwrap()).unwrap();
    let headers = case.input["headers"].as_object().into_iter().flatten();
    let headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap())).collect();
    let reply = answer(status, "").replacen("\r\n", &format!("\r\n{}", headers.concat()), 1);
    let endpoint = Endpoint::start(Character::Answers(reply.into())).await;
    let sender = sender();
    let exchange = sender.post(&endpoint.url()).await;
    if endpoint.requests().len() != 1 {
        return Err(format!("{} requests for one attempt", endpoint.requests().len()));
    }
    if let Some(wait) = case.input["headers"]["Retry-After"].as_str() {
        assert_eq!(exchange.result.as_ref().unwrap().retry_after.as_deref(), Some(wait));
    }
    if case.expect["next_request_has_cookie"] == false {
        sender.post(&endpoint.url()).await;
        assert!(!endpoint.requests()[1].to_lowercase().contains("cookie"));
    }
    as_expected(case, exchange)
}

async fn through_tls(case: &Case) -> Result<(), String> {
    let authority = Authority::new();
    // The answer of a server that knows no newer version than this one.
    let server_hello = |version: u8| {
        let mut hello = vec![22, 3, version, 0, 42, 2, 0, 0, 38, 3, version];
        hello.extend([7; 32]);
        hello.extend([0, 0, 0x2f, 0]);
        hello
    };
    let began = Instant::now();
    let url = |address: std::net::SocketAddr| format!("https://{address}/");
    let trusting = HttpSender::over(Arc::new(SystemNetwork::default()), laptop(), authority.roots()).unwrap();
    let send = async |address| {
        trusting.exchange(&url(address), OutboundRequest { timeout: Duration::from_secs(20), ..request() }).await
    };
    let exchange = match case.name.as_str() {
        "tls-self-signed" => send(self_signed_listener("127.0.0.1").await.address).await,
        "tls-1.0-only" => send(Endpoint::start(Character::Says(server_hello(1))).await.address()).await,
        "tls-handshake-stall" => send(Endpoint::start(Character::ReadsNothing).await.address()).await,
        "plain-http-on-tls-port" => {
            send(Endpoint::start(Character::Says(answer(400, "").into())).await.address()).await
        }
        other => return Err(format!("no listener plays {other}")),
    };
    if case.expect["max_wall_ms"].as_u64().is_some_and(|max| began.elapsed() > Duration::from_millis(max + SLACK_MS)) {
        return Err(format!("took {:?}", began.elapsed()));
    }
    as_expected(case, exchange)
}

fn as_expected(case: &Case, exchange: Exchange) -> Result<(), String> {
    let report = classify(exchange);
    let outcome = match case.expect["attempt"].as_str().unwrap() {
        "success" => Outcome::Success,
        "permanent_failure" => Outcome::PermanentFailure,
        "retry_or_success_never_reuse" if report.outcome == Outcome::Success => Outcome::Success,
        "retry" | "retry_or_success_never_reuse" => Outcome::Failure,
        other => return Err(format!("unknown outcome {other}")),
    };
    let reason = json!(report.error.map(ErrorClass::as_str));
    if report.outcome == outcome && (case.expect["reason"].is_null() || case.expect["reason"] == reason) {
        return Ok(());
    }
    Err(format!("came to {report:?}"))
}

#[tokio::test]
async fn a_certificate_needs_a_known_authority_this_host_name_and_a_valid_date() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = authority.listener(&["127.0.0.1"], &answer(200, "")).await;
    let sender = HttpSender::over(Arc::new(SystemNetwork::default()), laptop(), authority.roots()).unwrap();
    let send = async |address| sender.post(&format!("https://{address}/")).await.result;
    assert_eq!(send(good.address).await.unwrap().status, 200);
    assert_eq!(good.seen()[0].protocol.as_deref(), Some(&b"http/1.1"[..]), "HTTP/2 was on offer");
    for bad in [
        authority.listener(&["example.com"], "").await,
        authority.listener(&["127.0.0.2"], "").await,
        authority.expired_listener("127.0.0.1").await,
        stranger.listener(&["127.0.0.1"], "").await,
    ] {
        assert_eq!(send(bad.address).await, Err(ErrorClass::TlsError));
        assert!(bad.seen().is_empty());
    }
    // The authorities of production do not include the one of the test.
    let production = HttpSender::new(laptop()).unwrap();
    let exchange = production.post(&format!("https://{}/", good.address)).await;
    assert_eq!(exchange.result, Err(ErrorClass::TlsError));
}

#[tokio::test]
async fn a_head_has_at_most_a_hundred_headers_and_thirty_two_kibibytes() {
    let head = |headers: usize, bytes: usize| {
        let headers: Vec<_> = (1..headers).map(|n| format!("x-{n}: 1\r\n")).collect();
        let head = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n", headers.concat());
        format!("{head}{}\r\n", if bytes == 0 { String::new() } else { format!("x-long: {}\r\n", "x".repeat(bytes)) })
    };
    for (answer, fits) in
        [(head(100, 0), true), (head(101, 0), false), (head(1, 31 * 1024), true), (head(1, 32 * 1024), false)]
    {
        let endpoint = Endpoint::start(Character::Answers(answer.into())).await;
        let result = sender().post(&endpoint.url()).await.result;
        assert_eq!(result.as_ref().err(), (!fits).then_some(&ErrorClass::ProtocolError), "{result:?}");
    }
}

#[tokio::test]
async fn bytes_left_from_one_answer_are_not_read_as_the_next() {
    let two = format!("{}{}", answer(200, "one"), answer(500, "two"));
    let endpoint = Endpoint::start(Character::Answers(two.into())).await;
    let sender = sender();
    for _ in 0..5 {
        let answer = sender.post(&endpoint.url()).await.result.unwrap();
        assert_eq!((answer.status, answer.excerpt.as_str()), (200, "one"));
    }
    assert_eq!((endpoint.requests().len(), endpoint.connections()), (5, 5));
}

#[tokio::test]
async fn a_connection_that_cannot_be_kept_is_not_used_again() {
    for (reply, excerpt) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\nzzz\r\n", "yes"),
        ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nyes", "yes"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nyes", "yes"),
    ] {
        let endpoint = Endpoint::start(Character::Answers(reply.into())).await;
        let sender = sender();
        for _ in 0..2 {
            assert_eq!(sender.post(&endpoint.url()).await.result.unwrap().excerpt, excerpt, "{reply}");
        }
        assert_eq!(endpoint.connections(), 2, "{reply}");
    }
}

#[tokio::test]
async fn a_slow_body_is_cut_off_at_the_timeout_and_the_status_counts() {
    let endpoint = Endpoint::start(Character::Answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart".into())).await;
    let report = classify(sender().post(&endpoint.url()).await);
    assert_eq!((report.outcome, report.response_excerpt.as_str()), (Outcome::Success, "part"));
    assert!((1000..10_000).contains(&report.duration_ms), "{}", report.duration_ms);
}

#[tokio::test]
async fn sixteen_interim_answers_are_passed_over_and_more_are_a_protocol_error() {
    let interim = ["HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"];
    for (count, expected) in [(1, Ok(204)), (16, Ok(204)), (17, Err(ErrorClass::ProtocolError))] {
        let interim: String = interim.into_iter().cycle().take(count).collect();
        let endpoint = Endpoint::start(Character::Answers(format!("{interim}{}", answer(204, "")).into())).await;
        let result = sender().post(&endpoint.url()).await.result.map(|answer| answer.status);
        assert_eq!(result, expected, "{count}");
    }
}

#[tokio::test]
async fn an_endpoint_that_sends_interim_answers_for_ever_is_cut_off_at_once() {
    let endless = "HTTP/1.1 102 Processing\r\n\r\n".repeat(200);
    let endpoint = Endpoint::start(Character::Repeats(endless.into())).await;
    // At the timeout it would be another class.
    let timeout = Duration::from_secs(20);
    let result = sender().exchange(&endpoint.url(), OutboundRequest { timeout, ..request() }).await.result;
    assert_eq!(result, Err(ErrorClass::ProtocolError));
    assert!(endpoint.sent_when_cut_off().await < 16 * 1024 * 1024);
}

#[tokio::test]
async fn a_folded_header_is_one_header() {
    let folded = |headers: &str| format!("HTTP/1.1 503 Busy\r\n{headers}\r\ncontent-length: 2\r\n\r\nok");
    for headers in [
        "retry-after:\r\n 120",
        "x-long: a\r\n b\r\n\tc\r\nretry-after: 120",
        "retry-after: 120\r\nx-long: a;\r\n        b",
    ] {
        let endpoint = Endpoint::start(Character::Answers(folded(headers).into())).await;
        let sender = sender();
        for _ in 0..2 {
            let answer = sender.post(&endpoint.url()).await.result.unwrap();
            assert_eq!((answer.status, answer.retry_after.as_deref(), &*answer.excerpt), (503, Some("120"), "ok"));
        }
        assert_eq!(endpoint.connections(), 1, "{headers}");
    }
    // A length that is folded is no length.
    let endpoint =
        Endpoint::start(Character::Answers("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n 2\r\n\r\nx".into())).await;
    assert_eq!(sender().post(&endpoint.url()).await.result, Err(ErrorClass::ProtocolError));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_no_failure() {
    let endpoint = Endpoint::start(Character::AnswersAndCloses(answer(200, "").into())).await;
    let sender = sender();
    for _ in 0..3 {
        let report: AttemptResult = classify(sender.post(&endpoint.url()).await);
        assert_eq!(report.outcome, Outcome::Success, "{report:?}");
        // The close must arrive before the next request; a request that crosses it fails its attempt.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((endpoint.requests().len(), endpoint.connections()), (3, 3));
}

#[tokio::test]
async fn secrets_that_an_endpoint_sends_back_are_redacted() {
    let body = "who is Bearer canary-canary-1? canary-canary-1! \u{1b}[2J";
    let endpoint = Endpoint::start(Character::Answers(answer(401, body).into())).await;
    let mut sent = request();
    let value = mcp_scheduler::domain::Secret::new("Bearer canary-canary-1".to_owned());
    sent.headers.push(("authorization".to_owned(), value));
    let excerpt = sender().exchange(&endpoint.url(), sent).await.result.unwrap().excerpt;
    assert_eq!(excerpt, "who is [redacted]? [redacted]! \\u{1b}[2J");
    assert!(endpoint.requests()[0].contains("canary-canary-1"));
}

#[tokio::test]
async fn only_the_given_certificate_authorities_are_trusted() {
    let authority = Authority::new();
    let listener = authority.listener(&["127.0.0.1"], "").await;
    let sender = HttpSender::over(Arc::new(SystemNetwork::default()), laptop(), RootCertStore::empty()).unwrap();
    let exchange = sender.post(&format!("https://{}/", listener.address)).await;
    assert_eq!(exchange.result, Err(ErrorClass::TlsError));
}
