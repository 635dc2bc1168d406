//! Programs whose users type the id of a client in.

use http::Method;
use serde_json::json;

use super::assert_error;
use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::login::{BOTH, Program, REDIRECT, allowing, returned, text};

/// Adds a client with an address; returns its key.
async fn add(app: &TestApp, id: &str) -> String {
    let body = json!({ "clientId": id, "redirectUris": ["http://127.0.0.1/callback"] });
    let added = app.operator().await.post_json("/api/clients", &body).await;
    assert_eq!(added.status, 200, "{}", added.text);
    text(&added.json(), "apiKey").to_owned()
}

#[tokio::test]
async fn the_id_of_a_client_with_an_address_begins_a_login() {
    let app = TestApp::start().await;
    let key = add(&app, "me").await;
    let shown = app.operator().await.get("/api/clients/me").await.json();
    assert_eq!(shown["redirectUris"], json!(["http://127.0.0.1/callback"]));
    let program = Program::with_id(app.address, "me");
    let page = program.open(&[]).await;
    assert!(page.answer.text.contains("Let me in?"), "{}", page.answer.text);
    for secret in [None, Some(&*key)] {
        let code = returned(&program.submit(&page, &allowing("me", &key, BOTH)).await)["code"].clone();
        let form: Vec<_> = secret.map(|secret| ("client_secret", secret)).into_iter().collect();
        let tokens = program.exchange(&code, &form).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text);
        let tokens = program.refresh(text(&tokens.json(), "refresh_token"), &form).await;
        assert_eq!(tokens.status, 200, "{}", tokens.text);
    }
    let code = returned(&program.submit(&page, &allowing("me", &key, BOTH)).await)["code"].clone();
    assert_error(&program.exchange(&code, &[("client_secret", "a wrong secret")]).await, "invalid_client");
    // A program without a secret may send an empty one by HTTP Basic.
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", "a-verifier-of-pkce-that-has-enough-characters-0123"),
    ];
    let request = program.request(Method::POST, "/oauth/token").basic_auth("me", Some("")).form(&form);
    assert_eq!(Answer::unchecked(request).await.status, 200);
}

#[tokio::test]
async fn a_disabled_client_begins_no_login_and_ends_those_by_its_id() {
    let app = TestApp::start().await;
    add(&app, "shared").await;
    let (program, bob) = (Program::with_id(app.address, "shared"), app.other_client());
    let answer = program.approve(&[], ("bob", bob.key())).await;
    let tokens = program.exchange(&answer["code"], &[]).await.json();
    assert_eq!(app.operator().await.post("/api/clients/shared/disable").await.status, 200);
    assert_eq!(program.open(&[]).await.answer.status, 400);
    assert_error(&program.refresh(text(&tokens, "refresh_token"), &[]).await, "invalid_grant");
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_pointed_at() {
    let app = TestApp::start().await;
    let uris = json!(["https://claude.ai/api/mcp/auth_callback", "http://a.example/"]);
    let refused =
        app.operator().await.post_json("/api/clients", &json!({ "clientId": "new", "redirectUris": uris })).await;
    refused.assert_invalid(&["/redirectUris/1"]);
}
