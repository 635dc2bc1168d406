//! Tokens of another issuer.

use http::Method;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient};
use crate::support::issuer::{FIRST, Issuer, SECOND, signed};

/// A service that trusts an issuer.
async fn app(issuer: &Issuer) -> TestApp {
    let setting = json!([{ "issuer": issuer.url, "audience": "the-api", "claim": "azp",
                           "clients": { "workload": "carol", "other": "nobody", "boss": "alice" } }]);
    TestApp::start_with(&[("TRUSTED_ISSUERS", &setting.to_string())]).await
}

async fn list(client: &ApiClient, token: &str) -> u16 {
    Answer::to(client.anonymous(Method::GET, "/api/scheduler").bearer_auth(token)).await.status
}

#[tokio::test]
async fn a_token_of_a_trusted_issuer_stands_for_a_client() {
    let issuer = Issuer::start().await;
    let app = app(&issuer).await;
    let (client, key) = (app.client(), ("first", FIRST));
    let now = SystemClock.now().as_secs();
    for good in [json!({}), json!({ "aud": ["x", "the-api"] }), json!({ "exp": now - 20, "nbf": now + 20 })] {
        assert_eq!(list(&client, &issuer.token(key, &good)).await, 200, "{good}");
    }
    let schedule = client.anonymous(Method::POST, "/api/scheduler/schedule").bearer_auth(issuer.token(key, &json!({})));
    Answer::to(schedule).await.assert_problem(403, "insufficient-scope");
    for bad in [
        json!({ "iss": format!("{}/", issuer.url) }),
        json!({ "aud": "another-api" }),
        json!({ "aud": ["x"] }),
        json!({ "azp": "unknown" }),
        json!({ "azp": 1 }),
        json!({ "azp": "other" }),
        json!({ "exp": now - 40 }),
        json!({ "nbf": now + 40 }),
        json!({ "iat": now + 40 }),
        json!({ "exp": null }),
    ] {
        assert_eq!(list(&client, &issuer.token(key, &bad)).await, 401, "{bad}");
    }
    assert_eq!(list(&client, &issuer.token(("first", SECOND), &json!({}))).await, 401, "signed with another key");
    let claims = json!({ "iss": issuer.url, "aud": "the-api", "azp": "workload", "iat": now, "exp": now + 600 });
    for header in [
        json!({ "alg": "HS256", "kid": "first" }),
        json!({ "alg": "none", "kid": "first" }),
        json!({ "alg": "RS512", "kid": "first" }),
        json!({ "alg": "RS256", "kid": "first", "crit": ["x"] }),
        json!({ "alg": "RS256" }),
    ] {
        assert_eq!(list(&client, &signed(&header, &claims, FIRST)).await, 401, "{header}");
    }
    let clients =
        client.anonymous(Method::GET, "/api/clients").bearer_auth(issuer.token(key, &json!({ "azp": "boss" })));
    Answer::to(clients).await.assert_problem(403, "insufficient-scope");
    assert_eq!(*issuer.reads.lock().unwrap(), 1, "the keys are kept");
    assert_eq!(app.operator().await.post("/api/clients/carol/disable").await.status, 200);
    assert_eq!(list(&client, &issuer.token(key, &json!({}))).await, 401);
}

#[tokio::test]
async fn an_unknown_key_has_the_keys_read_again_once_in_a_minute() {
    let issuer = Issuer::start().await;
    let app = app(&issuer).await;
    let (client, second) = (app.client(), issuer.token(("second", SECOND), &json!({})));
    for _ in 0..5 {
        assert_eq!(list(&client, &second).await, 401);
    }
    issuer.keys.lock().unwrap().push(("second", SECOND));
    assert_eq!(list(&client, &second).await, 401);
    assert_eq!(*issuer.reads.lock().unwrap(), 1, "strangers cannot make the service read the keys for each token");
}
