//! The number of requests that a client may send, over REST and MCP together.

use std::num::NonZeroU32;

use http::Method;
use serde_json::json;

use crate::support::app::{BareApi, Running};
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;
use crate::support::mcp_wire::newest;

/// More requests than the limit lets pass while they are sent.
const MANY: usize = 50;

/// A client may send one request per second, and two at once.
async fn limited() -> Running {
    BareApi { rate_limit: NonZeroU32::new(1), ..BareApi::new() }.start().await
}

/// Sends requests until one is refused. Returns those that were served, and the refusal.
async fn until_refused(client: &ApiClient) -> (Vec<Answer>, Answer) {
    let mut served = Vec::new();
    for _ in 0..MANY {
        let answer = client.list("").await;
        if answer.status != 200 {
            return (served, answer);
        }
        served.push(answer);
    }
    panic!("no request of {MANY} was refused");
}

#[tokio::test]
async fn a_client_that_sends_too_much_is_refused_and_told_when_to_come_back() {
    let api = limited().await;
    let (served, refused) = until_refused(&api.client()).await;
    assert!(served.len() >= 2, "the burst is served");
    assert_eq!(served[0].header("ratelimit-policy"), r#""client";q=2;w=2"#);
    assert_eq!(served[0].header("ratelimit"), r#""client";r=1"#);
    refused.assert_problem(429, "rate-limited");
    golden::check("problem-rate-limited", &refused.json());
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("1", r#""client";r=0;t=1"#));
}

#[tokio::test]
async fn calls_of_tools_count_like_other_requests() {
    let api = limited().await;
    let client = api.client();
    let call = newest("tools/call", json!({ "name": "listConversations", "arguments": {} }));
    // On a slow machine the next second may begin before the call.
    for _ in 0..MANY {
        until_refused(&client).await;
        let answer = client.mcp(call.clone()).await;
        if answer.status == 429 {
            answer.assert_problem(429, "rate-limited");
            return;
        }
    }
    panic!("no call of {MANY} was refused");
}

#[tokio::test]
async fn health_checks_and_logins_have_no_such_limit() {
    let api = limited().await;
    let client = api.client();
    until_refused(&client).await;
    for _ in 0..5 {
        assert_eq!(Answer::to(client.anonymous(Method::GET, "/health")).await.status, 200);
        assert_eq!(client.login("alice", client.key()).await.status, 200);
    }
}

#[tokio::test]
async fn without_the_setting_there_is_no_limit_and_no_header() {
    let api = BareApi::new().start().await;
    let client = api.client();
    for _ in 0..20 {
        let answer = client.list("").await;
        assert_eq!((answer.status, answer.headers.get("ratelimit")), (200, None));
    }
}
