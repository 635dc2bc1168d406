//! `issueToken`

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use http::Method;
use serde_json::{Value, json};

use crate::support::app::{CLIENT, KEY, OTHER, TestApp};
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;

const PATH: &str = "/api/auth/token";

async fn post(client: &ApiClient, body: impl Into<reqwest::Body>) -> Answer {
    let request = client.anonymous(Method::POST, PATH).header("content-type", "application/json");
    Answer::to(request.body(body)).await
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn the_right_key_gets_a_token_that_works_for_as_long_as_it_says() {
    let app = TestApp::start().await;
    let client = app.client();
    let answer = client.login(CLIENT, KEY).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    golden::check("token", &json);
    let claims = claims(json["token"].as_str().unwrap());
    assert_eq!(claims["sub"], CLIENT);
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(json["expiresIn"], life);
    assert_eq!(client.list("").await.status, 200);
}

#[tokio::test]
async fn the_life_of_a_token_is_configured() {
    let app = TestApp::start_with(&[("JWT_TTL_SECONDS", "60")]).await;
    assert_eq!(app.client().login(CLIENT, KEY).await.json()["expiresIn"], 60);
}

#[tokio::test]
async fn a_wrong_key_and_an_unknown_client_look_the_same() {
    let app = TestApp::start().await;
    let client = app.client();
    let wrong_key = client.login(CLIENT, "not alice's key").await;
    wrong_key.assert_problem(401, "wrong-credentials");
    assert_eq!(wrong_key.challenge(), "Bearer");
    golden::check("problem-wrong-credentials", &wrong_key.json());
    let long = "x".repeat(4000);
    for (id, key) in [
        ("nobody", KEY),
        (OTHER, KEY),
        ("alice ", KEY),
        ("Alice", KEY),
        ("x' or PartitionKey ne '", KEY),
        ("a\0b", KEY),
        ("\u{1f4a9}", KEY),
        (&long, KEY),
        (CLIENT, &long),
        (CLIENT, "\0"),
    ] {
        let answer = client.login(id, key).await;
        assert_eq!((answer.status, answer.text), (401, wrong_key.text.clone()), "{id:.20}");
    }
}

#[tokio::test]
async fn after_ten_failures_not_even_the_right_key_is_judged() {
    let app = TestApp::start().await;
    let client = app.client();
    for _ in 0..10 {
        client.login(CLIENT, "wrong").await.assert_problem(401, "wrong-credentials");
    }
    let refused = client.login(CLIENT, "wrong").await;
    refused.assert_problem(429, "too-many-failures");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(refused.json()["detail"].as_str().unwrap().contains(&seconds.to_string()));
    client.login(CLIENT, KEY).await.assert_problem(429, "too-many-failures");
    client.login(OTHER, "wrong").await.assert_problem(401, "wrong-credentials");
    let mut json = refused.json();
    json["detail"] = json["detail"].as_str().unwrap().replace(&seconds.to_string(), "<seconds>").into();
    golden::check("problem-too-many-failures", &json);
}

#[tokio::test]
async fn guesses_lock_out_neither_another_source_nor_one_that_has_logged_in() {
    let app = TestApp::start().await;
    let (client, elsewhere) = (app.client(), app.client_from([127, 0, 0, 2].into()));
    assert_eq!(elsewhere.login(CLIENT, KEY).await.status, 200);
    for i in 0..20 {
        let status = client.login(CLIENT, "wrong").await.status;
        assert_eq!(status, if i < 10 { 401 } else { 429 });
        assert_eq!(elsewhere.login(CLIENT, "wrong").await.status, 401);
    }
    assert_eq!(elsewhere.login(CLIENT, KEY).await.status, 200);
    assert_eq!(app.client_from([127, 0, 0, 3].into()).login(CLIENT, KEY).await.status, 200, "a new source");
    assert_eq!(client.login(CLIENT, KEY).await.status, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_guesses_that_arrive_together_no_more_are_judged() {
    let app = TestApp::start().await;
    let client = app.client();
    let client = &client;
    let guess = |i| async move { client.login(CLIENT, &format!("guess-{i}")).await.status };
    let statuses: Vec<_> = futures_util::stream::iter((0..1000).map(guess)).buffer_unordered(50).collect().await;
    let judged = statuses.iter().filter(|status| **status == 401).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((judged, refused), (10, 990));
}

#[tokio::test]
async fn a_trusted_proxy_names_the_source() {
    let app = TestApp::start_with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let client = app.client();
    let login = async |source: &str, id: &str, key: &str| {
        let request = client.anonymous(Method::POST, PATH).header("content-type", "application/json");
        let body = json!({ "clientId": id, "apiKey": key }).to_string();
        Answer::to(request.header("x-forwarded-for", source).body(body)).await.status
    };
    for i in 0..40 {
        let status = login("198.51.100.7, 203.0.113.5", &format!("name-{i}"), "wrong").await;
        assert_eq!(status, if i < 30 { 401 } else { 429 }, "{i}");
    }
    assert_eq!(login("203.0.113.5", CLIENT, KEY).await, 429, "the source has used its failures up");
    assert_eq!(login("203.0.113.5, 203.0.113.6", CLIENT, KEY).await, 200, "the last one is the source");
}

#[tokio::test]
async fn each_wrong_member_is_pointed_at() {
    let app = TestApp::start().await;
    let client = app.client();
    for (body, pointers) in [
        ("{}", &["/clientId", "/apiKey"][..]),
        (r#"{"clientId":"a"}"#, &["/apiKey"]),
        (r#"{"clientId":"","apiKey":""}"#, &["/clientId", "/apiKey"]),
        (r#"{"clientId":null,"apiKey":"b"}"#, &["/clientId"]),
        (r#"{"clientId":1,"apiKey":"b"}"#, &["/clientId"]),
        (r#"{"clientId":"a","apiKey":["b"]}"#, &["/apiKey"]),
        (r#"{"clientId":"a","apiKey":"\ud800"}"#, &["/apiKey"]),
        (r#"{"clientId":"a","apiKey":"b","apiKey":"c"}"#, &["/apiKey"]),
        (r#"{"clientId":"a","apiKey":"b","client_id":"c"}"#, &["/client_id"]),
        (r#"["a","b"]"#, &[""]),
    ] {
        post(&client, body).await.assert_invalid(pointers);
    }
    post(&client, r#"{"clientId":"a""#).await.assert_problem(400, "malformed-json");
}

#[tokio::test]
async fn no_error_repeats_the_key() {
    let app = TestApp::start().await;
    let client = app.client();
    for body in [
        r#"{"clientId":"a","apiKey":31337}"#,
        r#"{"clientId":"a","apiKey":{"31337":"31337"}}"#,
        r#"{"clientId":"a","apiKey":"31337\ud800"}"#,
        r#"{"clientId":{"x":1},"apiKey":"31337"}"#,
        r#"{"clientId":"a","apiKey":"31337","apiKey":"31337"}"#,
        r#"{"clientId":"a","apiKey":"31337"} at line 31337"#,
        r#"{"clientId":"a","apiKey":"31337"#,
        r#"{"clientId":"31337","apiKey":"31337"}"#,
        r#""31337""#,
        "31337",
    ] {
        let answer = post(&client, body).await;
        assert!(answer.status >= 400 && !answer.text.contains("31337"), "{} for {body}", answer.text);
    }
}

#[tokio::test]
async fn bearer_is_accepted_in_any_case_and_no_other_scheme_is() {
    let app = TestApp::start().await;
    let client = app.client();
    let token = client.token().await;
    let list = async |authorization: &str| {
        Answer::to(client.anonymous(Method::GET, "/api/scheduler").header("Authorization", authorization)).await
    };
    for good in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(list(&format!("{good} {token}")).await.status, 200);
    }
    for (value, challenge) in [
        (format!("Basic {token}"), "Bearer"),
        (token.to_owned(), "Bearer"),
        (String::new(), "Bearer"),
        ("Bearer".to_owned(), "Bearer error=\"invalid_token\""),
        (format!("Bearer {token}x"), "Bearer error=\"invalid_token\""),
        (format!("Bearer {token},"), "Bearer error=\"invalid_token\""),
        (format!("Bearer \"{token}\""), "Bearer error=\"invalid_token\""),
    ] {
        let answer = list(&value).await;
        answer.assert_problem(401, "unauthorized");
        assert_eq!(answer.challenge(), challenge, "{value:.20}");
    }
}

#[tokio::test]
async fn a_token_in_the_query_or_of_another_service_is_refused() {
    let (app, elsewhere) = (TestApp::start().await, TestApp::start_with(&[("JWT_ISSUER", "elsewhere")]).await);
    let (client, foreign) = (app.client(), elsewhere.client());
    let token = client.token().await;
    let query = format!("/api/scheduler?access_token={token}");
    Answer::to(client.anonymous(Method::GET, &query)).await.assert_problem(401, "unauthorized");
    let request = client.anonymous(Method::GET, "/api/scheduler").bearer_auth(foreign.token().await);
    Answer::to(request).await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn no_operation_works_without_a_token() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    for (method, path) in [
        (Method::POST, "/api/scheduler/schedule".to_owned()),
        (Method::GET, "/api/scheduler".to_owned()),
        (Method::GET, format!("/api/scheduler/status/{id}")),
        (Method::DELETE, format!("/api/scheduler/{id}")),
        (Method::GET, "/api/scheduler/status/nonsense".to_owned()),
        (Method::DELETE, "/api/scheduler/nonsense".to_owned()),
    ] {
        let answer = Answer::to(client.anonymous(method, &path)).await;
        answer.assert_problem(401, "unauthorized");
        assert_eq!(answer.challenge(), "Bearer");
    }
    assert_eq!(client.status(&id).await.json()["status"], "Scheduled");
}
