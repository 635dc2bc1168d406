//! Programs that register themselves.

use http::Method;
use serde_json::json;

use super::assert_error;
use crate::support::app::{BareApi, PUBLISHED, TestApp};
use crate::support::client::Answer;
use crate::support::login::{Program, text};

#[tokio::test]
async fn a_program_gets_an_id_and_no_secret() {
    let app = TestApp::start().await;
    let program = Program::with_id(app.address, "");
    let uris = json!(["http://127.0.0.1/", "https://vscode.dev/redirect", "cursor://anysphere.cursor-retrieval/x"]);
    let metadata = json!({
        "redirect_uris": uris, "client_name": "VS Code", "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code"], "logo_uri": "https://a.example/logo",
    });
    let answer = program.register(&metadata).await;
    let registered = answer.json();
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"));
    assert!(text(&registered, "client_id").starts_with("dcr_"), "{registered}");
    assert_eq!((&registered["redirect_uris"], &registered["client_name"]), (&uris, &json!("VS Code")));
    assert_eq!(registered["token_endpoint_auth_method"], "none");
    assert!(registered.get("client_secret").is_none() && registered["client_id_issued_at"].is_i64(), "{registered}");
}

#[tokio::test]
async fn a_program_can_publish_a_document_instead() {
    let api = BareApi::new().start().await;
    let program = Program::with_id(api.address, PUBLISHED);
    let page = program.open(&[]).await.answer;
    assert!(
        page.text.contains("Let A published agent in?") && page.text.contains("<dd>agent.example</dd>"),
        "{}",
        page.text
    );
    assert_eq!(program.call(text(&program.log_in().await, "access_token")).await.status, 200);
    let unknown = Program::with_id(api.address, "https://other.example/client.json");
    assert_eq!(unknown.open(&[]).await.answer.status, 400);
}

#[tokio::test]
async fn metadata_that_cannot_be_used_is_an_error_of_oauth() {
    let app = TestApp::start().await;
    let program = Program::with_id(app.address, "");
    for (uris, error) in [
        (json!(["javascript:alert(1)"]), "invalid_redirect_uri"),
        (json!(["http://a.example/"]), "invalid_redirect_uri"),
        (json!([]), "invalid_redirect_uri"),
        (json!(vec!["https://a.example/"; 11]), "invalid_redirect_uri"),
        (json!("https://a.example/"), "invalid_client_metadata"),
        (
            json!([format!("https://a.example/{}", "x".repeat(900)), format!("https://a.example/{}", "y".repeat(900))]),
            "invalid_client_metadata",
        ),
    ] {
        assert_error(&program.register(&json!({ "redirect_uris": uris })).await, error);
    }
    let request = program.request(Method::POST, "/oauth/register").header("content-type", "application/json");
    Answer::to(request.body("x".repeat(16 * 1024 + 1))).await.assert_problem(413, "body-too-large");
}

#[tokio::test]
async fn one_source_registers_thirty_programs_in_a_minute() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let program = Program::with_id(app.address, "");
    let register = async |source: &str| {
        let request = program.request(Method::POST, "/oauth/register").header("x-forwarded-for", source);
        let body = json!({ "redirect_uris": ["https://a.example/"] }).to_string();
        Answer::unchecked(request.header("content-type", "application/json").body(body)).await
    };
    for _ in 0..30 {
        assert_eq!(register("203.0.113.5").await.status, 201);
    }
    let refused = register("203.0.113.5").await;
    assert!(refused.status == 429 && !refused.header("retry-after").is_empty(), "{refused:?}");
    assert_eq!(register("203.0.113.6").await.status, 201);
}
