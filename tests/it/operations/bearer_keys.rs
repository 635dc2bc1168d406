//! API keys in the place of tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use http::Method;
use mcp_scheduler::testing::{Fault, Faults};
use serde_json::json;

use crate::support::app::{BareApi, CLIENT, KEY, TestApp};
use crate::support::client::{Answer, ApiClient};
use crate::support::login::text;

async fn list(client: &ApiClient, bearer: &str) -> Answer {
    Answer::to(client.anonymous(Method::GET, "/api/scheduler").bearer_auth(bearer)).await
}

#[tokio::test]
async fn a_key_stands_in_place_of_a_token_with_the_scopes_of_its_client() {
    let app = TestApp::start().await;
    let (client, bob, reader) = (app.client(), app.other_client(), app.reader());
    for good in [bob.key().to_owned(), format!("bob:{}", bob.key()), format!("{CLIENT}:{KEY}")] {
        assert_eq!(list(&client, &good).await.status, 200, "{good}");
    }
    let read = reader.key();
    let schedule = client.anonymous(Method::POST, "/api/scheduler/schedule").bearer_auth(read);
    Answer::to(schedule).await.assert_problem(403, "insufficient-scope");
    let mcp = client.anonymous(Method::POST, "/mcp").bearer_auth(read).header("content-type", "application/json");
    let mcp = mcp.header("accept", "application/json, text/event-stream");
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    assert_eq!(Answer::unchecked(mcp.body(ping)).await.status, 200);
    client.scheduled(json!({})).await;
    assert_eq!(list(&client, bob.key()).await.json()["conversations"], json!([]));
}

#[tokio::test]
async fn a_wrong_key_is_refused_like_a_wrong_token_and_counted_like_a_login() {
    let app = TestApp::start().await;
    let (client, bob) = (app.client(), app.other_client());
    let wrong = format!("{}B", &bob.key()[..bob.key().len() - 1]);
    for bad in [&*wrong, "nobody:0123456789abcdef", ":", "a~b:0123456789abcdef", "msk_", "msk_alice_0123456789", KEY] {
        let answer = list(&client, bad).await;
        answer.assert_problem(401, "unauthorized");
        assert_eq!(answer.challenge(), "Bearer error=\"invalid_token\"", "{bad}");
        assert!(!answer.text.contains("0123456789"), "{}", answer.text);
    }
    for _ in 0..9 {
        list(&client, &wrong).await.assert_problem(401, "unauthorized");
    }
    list(&client, bob.key()).await.assert_problem(429, "too-many-failures");
    assert_eq!(bob.login("bob", bob.key()).await.status, 429);
}

#[tokio::test]
async fn a_key_that_is_retired_or_whose_client_is_disabled_is_refused() {
    let app = TestApp::start().await;
    let (client, bob) = (app.client(), app.other_client());
    assert_eq!(list(&client, bob.key()).await.status, 200);
    let operator = app.operator().await;
    let rotated = text(&operator.post("/api/clients/bob/rotate").await.json(), "apiKey").to_owned();
    operator.post("/api/clients/bob/retire").await;
    list(&client, bob.key()).await.assert_problem(401, "unauthorized");
    assert_eq!(list(&client, &rotated).await.status, 200);
    operator.post("/api/clients/bob/disable").await;
    list(&client, &rotated).await.assert_problem(401, "unauthorized");
}

/// Counts the calls of the store.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Faults for Calls {
    fn next(&self) -> Fault {
        self.0.fetch_add(1, SeqCst);
        Fault::None
    }
}

#[tokio::test]
async fn a_client_that_sends_its_key_with_every_request_logs_in_once() {
    let calls = Calls::default();
    let api = BareApi::with_faults(calls.clone()).start().await;
    let client = api.client();
    let operator = api.client().with_scopes("operator").await;
    let new = json!({ "clientId": "anna", "scopes": ["webhooks:read"] });
    let key = text(&operator.post_json("/api/clients", &new).await.json(), "apiKey").to_owned();
    let keys = async || Answer::to(client.anonymous(Method::GET, "/api/webhooks/keys").bearer_auth(&key)).await.status;
    calls.0.store(0, SeqCst);
    for _ in 0..10 {
        assert_eq!(keys().await, 200);
    }
    assert_eq!(calls.0.load(SeqCst), 2, "the login, and the client for the next minute");
}
