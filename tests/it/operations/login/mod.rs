//! The login of a user in a browser: `authorize`, `submitAuthorization`, `completeSignIn`, `registerOauthClient`,
//! `revokeOauthToken`, and the grants of `issueOauthToken` that belong to it.

mod code;
mod consent;
mod cost;
mod programs;
mod refresh;
mod registration;
mod sign_in;
mod typed_in;

use http::Method;
use mcp_scheduler::domain::Timestamp;
use serde_json::json;

use crate::support::app::{CLIENT, KEY, TestApp};
use crate::support::client::Answer;
use crate::support::login::{BOTH, Program, REDIRECT, claims, text};

const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);

#[track_caller]
fn assert_error(answer: &Answer, error: &str) {
    let status = if error == "invalid_client" { 401 } else { 400 };
    assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{}", answer.text);
}

#[tokio::test]
async fn a_program_that_knows_only_the_address_is_let_in() {
    let app = TestApp::start().await;
    let browser = Program::with_id(app.address, "");
    let at = |url: &str| url.strip_prefix(&browser.base).unwrap_or_else(|| panic!("{url} leads away")).to_owned();
    let refused = Answer::to(browser.request(Method::GET, "/mcp")).await;
    let expected = format!(
        r#"Bearer resource_metadata="{}/.well-known/oauth-protected-resource/mcp", scope="{BOTH}""#,
        browser.base
    );
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, &*expected));
    let read = async |path: &str| Answer::to(browser.request(Method::GET, path)).await.json();
    let resource = read("/.well-known/oauth-protected-resource/mcp").await;
    let issuer = resource["authorization_servers"][0].as_str().unwrap().to_owned();
    let server = read(&format!("{}/.well-known/oauth-authorization-server", at(&issuer))).await;
    assert_eq!(at(text(&server, "registration_endpoint")), "/oauth/register");
    assert_eq!(at(text(&server, "authorization_endpoint")), "/oauth/authorize");
    assert_eq!(at(text(&server, "token_endpoint")), "/oauth/token");

    let program = Program::registered(app.address).await;
    let resource = text(&resource, "resource");
    let answer = program.approve(&[("resource", resource)], (CLIENT, KEY)).await;
    assert_eq!((&*answer["state"], &answer["iss"]), ("the state", &issuer));
    let tokens = program.exchange(&answer["code"], &[("resource", resource)]).await.json();
    let access = text(&tokens, "access_token");
    let claims = claims(access);
    assert_eq!((&claims["client_id"], &claims["aud"]), (&json!(program.id), &json!(resource)));
    assert_eq!((&claims["sub"], &claims["scope"], &tokens["scope"]), (&json!("alice"), &json!(BOTH), &json!(BOTH)));
    assert_eq!(program.call(access).await.status, 200);
    let elsewhere = Answer::to(program.request(Method::GET, "/api/scheduler").bearer_auth(access)).await;
    assert_eq!(elsewhere.status, 401, "the token is for /mcp alone");
    let next = program.refresh(text(&tokens, "refresh_token"), &[("resource", resource)]).await.json();
    assert_eq!(program.call(text(&next, "access_token")).await.status, 200);
}

#[tokio::test]
async fn a_caller_of_mcp_without_a_token_is_told_to_log_in_before_it_is_told_the_method() {
    let app = TestApp::start().await;
    let program = Program::with_id(app.address, REDIRECT);
    for method in [Method::GET, Method::DELETE] {
        let anonymous = Answer::to(program.request(method.clone(), "/mcp")).await;
        anonymous.assert_problem(401, "unauthorized");
        let token = app.client().token().await.to_owned();
        Answer::to(program.request(method.clone(), "/mcp").bearer_auth(token))
            .await
            .assert_problem(405, "method-not-allowed");
        Answer::to(program.request(method, "/api/scheduler/schedule")).await.assert_problem(405, "method-not-allowed");
    }
}
