//! `issueOauthToken`

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::app::{BareApi, CLIENT, KEY, OTHER, READER, StoreDown, TestApp};
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;

const PATH: &str = "/oauth/token";
const FORM: &str = "application/x-www-form-urlencoded";
const ALL: &str = "conversations:read conversations:write webhooks:read";

/// Sends a form.
async fn post(client: &ApiClient, parameters: &[(&str, &str)]) -> Answer {
    send(client, None, &form(parameters)).await
}

async fn send(client: &ApiClient, authorization: Option<&str>, body: &str) -> Answer {
    let mut request = client.anonymous(Method::POST, PATH).header("content-type", FORM);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let answer = Answer::unchecked(request.body(body.to_owned())).await;
    check(&answer);
    answer
}

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The parameters of a valid request, and more parameters.
fn asking<'a>(client: &'a str, key: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", key)];
    usual.into_iter().chain(more.iter().copied()).collect()
}

fn basic(client: &str, key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client}:{key}")))
}

/// Checks what every answer in the form of OAuth must have.
#[track_caller]
fn check(answer: &Answer) {
    answer.check_headers(Some("pragma"));
    assert_eq!((answer.header("content-type"), answer.header("pragma")), ("application/json", "no-cache"));
    let json = answer.json();
    if answer.status == 200 {
        return;
    }
    if answer.status == 401 {
        assert_eq!(answer.header("www-authenticate"), r#"Basic realm="mcp-scheduler", charset="UTF-8""#);
    }
    let members: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(members, ["error", "error_description"]);
    let description = json["error_description"].as_str().unwrap();
    // RFC 6749 §5.2 allows no other characters.
    assert!(description.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')), "{description}");
}

#[track_caller]
fn assert_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{}", answer.text);
}

fn claims(answer: &Answer) -> Value {
    let json = answer.json();
    let payload = json["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn list(client: &ApiClient, issued: &Answer) -> Answer {
    let token = issued.json()["access_token"].as_str().unwrap().to_owned();
    Answer::to(client.anonymous(Method::GET, "/api/scheduler").bearer_auth(token)).await
}

/// A message to `/mcp` with the token.
async fn ping(client: &ApiClient, issued: &Answer) -> Answer {
    let token = issued.json()["access_token"].as_str().unwrap().to_owned();
    let request = client.anonymous(Method::POST, "/mcp").bearer_auth(token).header("content-type", "application/json");
    let request = request.header("accept", "application/json, text/event-stream");
    Answer::unchecked(request.body(json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string())).await
}

#[tokio::test]
async fn basic_and_form_credentials_both_get_a_valid_token() {
    let app = TestApp::start().await;
    let client = app.client();
    let grant = form(&[("grant_type", "client_credentials")]);
    let named = form(&[("grant_type", "client_credentials"), ("client_id", CLIENT)]);
    for (authorization, body) in [
        (None, form(&asking(CLIENT, KEY, &[]))),
        (Some(basic(CLIENT, KEY)), grant.clone()),
        (Some(basic(CLIENT, KEY)), named),
        (Some(basic("%61lice", "alice%27s%2Dkey-for-tests")), grant),
    ] {
        let answer = send(&client, authorization.as_deref(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        golden::check("oauth-token", &answer.json());
        let claims = claims(&answer);
        assert_eq!((&claims["sub"], &claims["scope"]), (&json!(CLIENT), &json!(ALL)));
        assert_eq!(claims["aud"], "mcp-scheduler", "as of every token that is for no resource in particular");
        assert_eq!(list(&client, &answer).await.status, 200);
    }
}

#[tokio::test]
async fn a_token_shows_only_the_conversations_of_its_client() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.client(), app.other_client());
    alice.scheduled(json!({})).await;
    let issued = post(&bob, &asking(OTHER, bob.key(), &[])).await;
    assert_eq!(list(&bob, &issued).await.json()["conversations"], json!([]));
}

#[tokio::test]
async fn parameters_that_are_unknown_or_empty_change_nothing() {
    let app = TestApp::start().await;
    let more = [
        ("audience", "https://elsewhere.example"),
        ("audience", "again"),
        ("scope", ""),
        ("resource", ""),
        ("client_id", ""),
        ("\0", "\u{1f4a9}"),
    ];
    let answer = post(&app.client(), &asking(CLIENT, KEY, &more)).await;
    assert_eq!((answer.status, &answer.json()["scope"]), (200, &json!(ALL)));
}

#[tokio::test]
async fn a_token_has_the_requested_scopes_that_the_client_has() {
    let app = TestApp::start().await;
    let (client, reader) = (app.client(), app.reader());
    let (read, write) = ("conversations:read", "conversations:write");
    for (id, key, asked, granted) in [
        (CLIENT, KEY, read, Some(read)),
        (CLIENT, KEY, write, Some(write)),
        (CLIENT, KEY, "webhooks:read conversations:write conversations:read", Some(ALL)),
        (CLIENT, KEY, "conversations:read conversations:read", Some(read)),
        (READER, reader.key(), ALL, Some(read)),
        (READER, reader.key(), "", Some(read)),
        (READER, reader.key(), write, None),
        (CLIENT, KEY, "conversations:admin", None),
        (CLIENT, KEY, "conversations:read openid", None),
        (CLIENT, KEY, "conversations:read,conversations:write", None),
        (CLIENT, KEY, "CONVERSATIONS:READ", None),
        (CLIENT, KEY, "\u{1f4a9}", None),
    ] {
        let answer = post(&client, &asking(id, key, &[("scope", asked)])).await;
        let Some(granted) = granted else {
            assert_error(&answer, 400, "invalid_scope");
            continue;
        };
        assert_eq!((answer.status, &answer.json()["scope"]), (200, &json!(granted)), "{asked}");
        assert_eq!(claims(&answer)["scope"], granted);
        assert_eq!(list(&client, &answer).await.status, if granted == write { 403 } else { 200 });
    }
}

#[tokio::test]
async fn a_token_is_valid_only_for_the_requested_resources() {
    let app = TestApp::start_with(&[("PUBLIC_URL", "https://scheduler.example.com")]).await;
    let client = app.client();
    let (api, mcp) = ("https://scheduler.example.com", "https://scheduler.example.com/mcp");
    for (asked, audience) in [
        (&[api][..], json!(api)),
        (&["https://scheduler.example.com/"], json!(api)),
        (&[mcp], json!(mcp)),
        (&["https://Scheduler.Example.com:443/mcp/"], json!(mcp)),
        (&[mcp, api], json!([mcp, api])),
        (&[api, api], json!(api)),
    ] {
        let more: Vec<_> = asked.iter().map(|resource| ("resource", *resource)).collect();
        let answer = post(&client, &asking(CLIENT, KEY, &more)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(claims(&answer)["aud"], audience);
        assert_eq!(list(&client, &answer).await.status, if audience == mcp { 401 } else { 200 }, "{audience}");
        assert_eq!(ping(&client, &answer).await.status, 200, "{audience}");
    }
    let here = format!("http://{}", app.address);
    for elsewhere in [
        "https://elsewhere.example",
        "http://scheduler.example.com",
        "https://scheduler.example.com/api",
        "https://scheduler.example.com/mcp#x",
        "mcp-scheduler",
        &here,
        "\u{1f4a9}",
    ] {
        for more in [&[("resource", elsewhere)][..], &[("resource", api), ("resource", elsewhere)]] {
            assert_error(&post(&client, &asking(CLIENT, KEY, more)).await, 400, "invalid_target");
        }
    }
}

#[tokio::test]
async fn a_token_for_another_service_with_the_same_keys_is_refused() {
    let app = TestApp::start_with(&[("PUBLIC_URL", "https://one.example")]).await;
    let other = TestApp::start_with(&[("PUBLIC_URL", "https://other.example")]).await;
    let resource = [("resource", "https://other.example")];
    let issued = post(&other.client(), &asking(CLIENT, KEY, &resource)).await;
    assert_eq!(list(&other.client(), &issued).await.status, 200);
    list(&app.client(), &issued).await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn each_wrong_request_gets_its_error_code() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = form(&asking(CLIENT, KEY, &[]));
    let of = |parameters: &[(&str, &str)]| form(parameters);
    let grant = ("grant_type", "client_credentials");
    for (body, error) in [
        (String::new(), "invalid_request"),
        ("{}".to_owned(), "invalid_request"),
        ("%".repeat(1000), "invalid_request"),
        ("&&&===&&".to_owned(), "invalid_request"),
        (of(&[("client_id", CLIENT), ("client_secret", KEY)]), "invalid_request"),
        (of(&[("grant_type", ""), ("client_id", CLIENT), ("client_secret", KEY)]), "invalid_request"),
        (format!("{good}&grant_type=client_credentials"), "invalid_request"),
        (format!("{good}&client_id={CLIENT}"), "invalid_request"),
        (format!("{good}&client_secret=x"), "invalid_request"),
        (format!("{good}&scope=conversations%3Aread&scope=conversations%3Aread"), "invalid_request"),
        (of(&[("grant_type", "password"), ("username", CLIENT), ("password", KEY)]), "unsupported_grant_type"),
        (of(&[("grant_type", "Client_Credentials"), ("client_id", CLIENT)]), "unsupported_grant_type"),
    ] {
        assert_error(&send(&client, None, &body).await, 400, error);
    }
    for parameters in [
        &[grant][..],
        &[grant, ("client_id", CLIENT)],
        &[grant, ("client_secret", KEY)],
        &[grant, ("client_id", CLIENT), ("client_secret", "")],
        &[grant, ("client_id", "alice "), ("client_secret", KEY)],
        &[grant, ("client_id", "a~b"), ("client_secret", KEY)],
        &[grant, ("client_id", OTHER), ("client_secret", KEY)],
        &[grant, ("client_assertion", "x"), ("client_assertion_type", "y")],
        &[("grant_type", "authorization_code"), ("code", "x")],
    ] {
        assert_error(&post(&client, parameters).await, 401, "invalid_client");
    }
    // Credentials in the query are ignored.
    let query = format!("{PATH}?{good}");
    let request = client.anonymous(Method::POST, &query).header("content-type", FORM).body(of(&[grant]));
    assert_error(&Answer::unchecked(request).await, 401, "invalid_client");
}

#[tokio::test]
async fn the_key_is_accepted_in_one_place_and_by_a_known_scheme() {
    let app = TestApp::start().await;
    let client = app.client();
    let grant = form(&[("grant_type", "client_credentials")]);
    let (both, other) = (form(&asking(CLIENT, KEY, &[])), format!("{grant}&client_id={OTHER}"));
    for (authorization, body, status, error) in [
        (basic(CLIENT, KEY), &both, 400, "invalid_request"),
        (basic(CLIENT, KEY), &other, 400, "invalid_request"),
        (basic(CLIENT, "wrong"), &grant, 401, "invalid_client"),
        (basic(CLIENT, ""), &grant, 401, "invalid_client"),
        ("Basic".to_owned(), &grant, 401, "invalid_client"),
        ("Basic ?".to_owned(), &grant, 401, "invalid_client"),
        (format!("Basic {}", STANDARD.encode("alice")), &grant, 401, "invalid_client"),
        (format!("Basic {}", STANDARD.encode(b"alice:\xff")), &grant, 401, "invalid_client"),
        (format!("Bearer {}", client.token().await), &grant, 401, "invalid_client"),
        ("Digest username=alice".to_owned(), &grant, 401, "invalid_client"),
    ] {
        assert_error(&send(&client, Some(&authorization), body).await, status, error);
    }
    let request = client.anonymous(Method::POST, PATH).header("content-type", FORM);
    let twice = request.header("authorization", basic(CLIENT, KEY)).header("authorization", basic(OTHER, KEY));
    assert_error(&Answer::unchecked(twice.body(grant)).await, 400, "invalid_request");
}

#[tokio::test]
async fn only_a_form_is_a_request() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = form(&asking(CLIENT, KEY, &[]));
    for (types, encoding, accepted) in [
        (&["application/x-www-form-urlencoded"][..], None, true),
        (&["Application/X-WWW-Form-URLEncoded; charset=\"UTF-8\""], Some("identity"), true),
        (&[], None, false),
        (&["application/json"], None, false),
        (&["multipart/form-data; boundary=x"], None, false),
        (&["application/x-www-form-urlencoded; charset=utf-16"], None, false),
        (&[FORM, FORM], None, false),
        (&[FORM], Some("gzip"), false),
    ] {
        let mut request = client.anonymous(Method::POST, PATH);
        for value in types {
            request = request.header("content-type", *value);
        }
        if let Some(value) = encoding {
            request = request.header("content-encoding", value);
        }
        let answer = Answer::unchecked(request.body(good.clone())).await;
        check(&answer);
        if accepted {
            assert_eq!(answer.status, 200, "{types:?}");
        } else {
            assert_error(&answer, 400, "invalid_request");
        }
    }
}

#[tokio::test]
async fn errors_outside_of_oauth_are_problem_documents() {
    let app = TestApp::start().await;
    let client = app.client();
    Answer::to(client.anonymous(Method::GET, PATH)).await.assert_problem(405, "method-not-allowed");
    let large = client.anonymous(Method::POST, PATH).header("content-type", FORM).body("x".repeat(300_000));
    Answer::to(large).await.assert_problem(413, "body-too-large");
}

#[tokio::test]
async fn a_store_that_is_down_is_not_a_wrong_key() {
    let api = BareApi::with_faults(StoreDown).start().await;
    let body = form(&asking("somebody", KEY, &[]));
    let request = api.client().anonymous(Method::POST, PATH).header("content-type", FORM).body(body);
    Answer::to(request).await.assert_problem(503, "unavailable");
}

#[tokio::test]
async fn failures_of_both_forms_count_together_and_the_eleventh_gets_429() {
    let app = TestApp::start().await;
    let client = app.client();
    for _ in 0..5 {
        assert_error(&post(&client, &asking(CLIENT, "wrong", &[])).await, 401, "invalid_client");
        client.login(CLIENT, "wrong").await.assert_problem(401, "wrong-credentials");
    }
    let refused = post(&client, &asking(CLIENT, "wrong", &[])).await;
    assert_error(&refused, 429, "invalid_client");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_error(&post(&client, &asking(CLIENT, KEY, &[])).await, 429, "invalid_client");
    assert_error(&post(&client, &asking(OTHER, "wrong", &[])).await, 401, "invalid_client");
}

#[tokio::test]
async fn no_error_repeats_what_was_sent() {
    let app = TestApp::start().await;
    let client = app.client();
    for body in [
        "grant_type=31337",
        "grant_type=client_credentials&client_id=31337&client_secret=31337",
        "grant_type=client_credentials&client_id=a&client_secret=31337&client_secret=31337",
        "grant_type=client_credentials&client_id=a&client_secret=b&scope=31337",
        "grant_type=client_credentials&client_id=a&client_secret=b&resource=31337",
        "31337=1&31337=2",
    ] {
        let answer = send(&client, None, body).await;
        assert!(answer.status >= 400 && !answer.text.contains("31337"), "{} for {body}", answer.text);
    }
}
