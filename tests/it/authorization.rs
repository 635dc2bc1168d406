//! What a token allows: scopes.

use http::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;

/// Every operation on conversations, with the scope it needs.
fn operations(id: &str) -> [(Method, String, &'static str); 4] {
    [
        (Method::POST, "/api/scheduler/schedule".to_owned(), "conversations:write"),
        (Method::GET, format!("/api/scheduler/status/{id}"), "conversations:read"),
        (Method::GET, "/api/scheduler".to_owned(), "conversations:read"),
        (Method::DELETE, format!("/api/scheduler/{id}"), "conversations:write"),
    ]
}

async fn call(client: &ApiClient, token: &str, method: Method, path: &str) -> Answer {
    let request = client.anonymous(method.clone(), path).bearer_auth(token);
    Answer::to(match method {
        Method::POST => request.header("content-type", "application/json").body(conversation(json!({})).to_string()),
        _ => request,
    })
    .await
}

#[tokio::test]
async fn a_read_only_client_reads_and_is_told_what_it_lacks_for_the_rest() {
    let app = TestApp::start().await;
    let (reader, id) = (app.reader(), app.client().scheduled(json!({})).await);
    let token = reader.token().await;
    for (method, path, scope) in operations(&id) {
        let answer = call(&reader, token, method, &path).await;
        if scope == "conversations:read" {
            // Its own conversations: there are none.
            assert!(matches!(answer.status, 200 | 404), "{answer:?}");
            continue;
        }
        answer.assert_problem(403, "insufficient-scope");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.starts_with(r#"Bearer error="insufficient_scope", scope="conversations:write""#),
            "{challenge}"
        );
    }
    golden::check("problem-insufficient-scope", &reader.schedule(json!({})).await.json());
    assert_eq!(app.client().status(&id).await.json()["status"], "Scheduled");
}
