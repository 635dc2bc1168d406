//! `listClients`, `addClient`, `getClient`, `rotateClientKey`, `retireClientKey`, `disableClient`, `enableClient` and
//! `setClientSignatures`.

use http::Method;
use serde_json::{Value, json};
use tracing::Level;

use crate::support::app::{BareApi, CLIENT, KEY, OTHER, READER, StoreDown, TestApp};
use crate::support::captured_log::CapturedLog;
use crate::support::client::{Answer, ApiClient, random_part};
use crate::support::golden;
use crate::support::mcp_wire::newest;

const PATH: &str = "/api/clients";

async fn operator(app: &TestApp) -> ApiClient {
    app.client().with_scopes("operator").await
}

fn path(client: &str, action: &str) -> String {
    format!("{PATH}/{client}/{action}")
}

#[track_caller]
fn key_in(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["apiKey"].as_str().unwrap().to_owned()
}

async fn can_log_in(client: &ApiClient, id: &str, key: &str) -> bool {
    let answer = client.login(id, key).await;
    assert!(matches!(answer.status, 200 | 401), "{}", answer.text);
    answer.status == 200
}

#[tokio::test]
async fn a_client_that_is_added_logs_in_and_is_shown_without_its_key() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let added = operator.post_json(PATH, &json!({ "clientId": "dave" })).await;
    let key = key_in(&added);
    let mut shown = added.json();
    assert!(key.starts_with("msk_dave_"), "{key}");
    shown["apiKey"] = "<key>".into();
    golden::check("client-key", &shown);
    let dave = ApiClient::new(app.address, "dave", &key);
    dave.scheduled(json!({})).await;
    let shown = operator.get(&format!("{PATH}/dave")).await;
    golden::check("client", &shown.json());
    let listed = operator.get(PATH).await;
    assert!(![&shown, &listed].iter().any(|answer| answer.text.contains(&key)));
    assert_eq!(listed.json()["clients"][3], shown.json());
    let again = operator.post_json(PATH, &json!({ "clientId": "dave", "scopes": ["operator"] })).await;
    again.assert_problem(409, "client-exists");
    assert!(can_log_in(&operator, "dave", &key).await, "the client is as it was");
}

#[tokio::test]
async fn a_client_has_the_scopes_that_it_is_added_with() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    for (id, scopes) in
        [("reader", json!(["conversations:read"])), ("second", json!(["operator", "conversations:read"]))]
    {
        let added = operator.post_json(PATH, &json!({ "clientId": id, "scopes": scopes })).await;
        let client = ApiClient::new(app.address, id, &key_in(&added));
        assert_eq!(client.list("").await.status, 200);
        client.schedule(json!({})).await.assert_problem(403, "insufficient-scope");
    }
    let added = operator.post_json(PATH, &json!({ "clientId": "third", "scopes": ["operator"] })).await;
    let third = ApiClient::new(app.address, "third", &key_in(&added)).with_scopes("operator").await;
    assert_eq!(third.get(PATH).await.status, 200);
}

#[tokio::test]
async fn wrong_requests_name_every_field_that_is_wrong() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    for (body, pointers) in [
        (json!({}), &["/clientId"][..]),
        (json!({ "clientId": "a b", "scopes": ["operator", "admin", 1] }), &["/clientId", "/scopes/1", "/scopes/2"]),
        (json!({ "clientId": 7, "scopes": [] }), &["/clientId", "/scopes"]),
        (json!({ "clientId": "x".repeat(65) }), &["/clientId"]),
        (json!({ "id": "anna", "clientId": "anna" }), &["/id"]),
        (json!({ "clientId": "anna", "scopes": "operator" }), &["/scopes"]),
    ] {
        operator.post_json(PATH, &body).await.assert_invalid(pointers);
    }
    operator.get(&format!("{PATH}?limit=0&cursor=a~b")).await.assert_invalid(&["/limit", "/cursor"]);
    for id in ["nobody", "a~b", &"x".repeat(65)] {
        operator.get(&format!("{PATH}/{id}")).await.assert_problem(404, "no-such-client");
        for action in ["rotate", "retire", "disable", "enable"] {
            let answer = operator.post(&path(id, action)).await;
            answer.assert_problem(404, "no-such-client");
            assert_eq!(answer.json()["instance"], PATH);
        }
    }
}

#[tokio::test]
async fn the_first_client_is_listed_and_changed_in_the_settings_alone() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let shown = operator.get(&format!("{PATH}/{CLIENT}")).await.json();
    assert_eq!((&shown["isFirst"], &shown["keys"]), (&json!(true), &json!(1)));
    for action in ["rotate", "retire", "disable", "enable"] {
        let refused = operator.post(&path(CLIENT, action)).await;
        refused.assert_problem(409, "first-client");
        assert!(refused.text.contains("SCHEDULER_API_KEY"), "{}", refused.text);
    }
    operator.post_json(PATH, &json!({ "clientId": CLIENT })).await.assert_problem(409, "first-client");
    assert!(can_log_in(&operator, CLIENT, KEY).await);
}

#[tokio::test]
async fn clients_are_listed_in_pages() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = operator.get(&format!("{PATH}?limit=2{cursor}")).await.json();
        let ids =
            page["clients"].as_array().unwrap().iter().map(|client| client["clientId"].as_str().unwrap().to_owned());
        seen.extend(ids);
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [CLIENT, OTHER, READER]);
}

#[tokio::test]
async fn after_a_rotation_both_keys_log_in_until_the_older_one_is_retired_or_drops_out() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let mut keys = vec![key_in(&operator.post_json(PATH, &json!({ "clientId": "dave" })).await)];
    for _ in 0..2 {
        keys.push(key_in(&operator.post(&path("dave", "rotate")).await));
    }
    let mut valid = Vec::new();
    for key in &keys {
        valid.push(can_log_in(&operator, "dave", key).await);
    }
    assert_eq!(valid, [false, true, true]);
    let retired = operator.post(&path("dave", "retire")).await.json();
    assert_eq!(retired["keys"], 1);
    assert!(!can_log_in(&operator, "dave", &keys[1]).await && can_log_in(&operator, "dave", &keys[2]).await);
}

#[tokio::test]
async fn the_signatures_of_a_client_are_shown_and_changed() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let both = json!(["v1", "v1a"]);
    assert_eq!(operator.get(&format!("{PATH}/{OTHER}")).await.json()["signatures"], both);
    for signatures in [json!(["v1"]), json!(["v1a", "v1"])] {
        let changed = operator.post_json(&path(OTHER, "signatures"), &json!({ "signatures": signatures })).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        let expected = if signatures == json!(["v1"]) { signatures } else { both.clone() };
        assert_eq!(changed.json()["signatures"], expected);
        assert_eq!(operator.get(&format!("{PATH}/{OTHER}")).await.json()["signatures"], expected);
    }
    for wrong in [json!(["v1a"]), json!([]), json!(["v1", "v1"]), json!(["v1", 2]), json!("v1"), Value::Null] {
        let answer = operator.post_json(&path(OTHER, "signatures"), &json!({ "signatures": wrong })).await;
        answer.assert_invalid(&["/signatures"]);
    }
    let v1 = json!({ "signatures": ["v1"] });
    operator.post_json(&path("nobody", "signatures"), &v1).await.assert_problem(404, "no-such-client");
    operator.post_json(&path(CLIENT, "signatures"), &v1).await.assert_problem(409, "first-client");
}

/// In the process that disables it, a client stops at once.
#[tokio::test]
async fn a_disabled_client_is_refused_everywhere_until_it_is_enabled_and_logs_in_again() {
    let app = TestApp::start().await;
    let (operator, other) = (operator(&app).await, app.other_client());
    let id = other.scheduled(json!({})).await;
    let list_tools = || newest("tools/list", json!({}));
    assert_eq!(other.mcp(list_tools()).await.status, 200);
    let disabled = operator.post(&path(OTHER, "disable")).await.json();
    assert_eq!(disabled["disabled"], true);
    other.status(&id).await.assert_problem(401, "unauthorized");
    assert_eq!(other.mcp(list_tools()).await.status, 401);
    assert!(!can_log_in(&operator, OTHER, other.key()).await);
    assert_eq!(operator.post(&path(OTHER, "enable")).await.json()["disabled"], false);
    let again = ApiClient::new(app.address, OTHER, other.key());
    assert_eq!(again.status(&id).await.status, 200, "what it has scheduled stays");
}

#[tokio::test]
async fn the_log_says_who_did_it_and_never_a_key() {
    let (log, _guard) = CapturedLog::start(Level::TRACE);
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let added = key_in(&operator.post_json(PATH, &json!({ "clientId": "dave" })).await);
    let rotated = key_in(&operator.post(&path("dave", "rotate")).await);
    assert!(can_log_in(&operator, "dave", &rotated).await);
    operator.post(&path("dave", "disable")).await;
    let text = log.text();
    for line in ["client added", "key of a client rotated", "client disabled"] {
        let line = text.lines().find(|logged| logged.contains(line)).unwrap_or_else(|| panic!("no {line:?} in {text}"));
        assert!(line.contains("client=dave") && line.contains(&format!("operator={CLIENT}")), "{line}");
    }
    for key in [added, rotated] {
        assert!(!text.contains(random_part(&key)), "{text}");
    }
}

#[tokio::test]
async fn without_the_store_nothing_is_confirmed() {
    let api = BareApi::with_faults(StoreDown).start().await;
    let operator = api.client().with_scopes("operator").await;
    let requests: [(Method, &str, Option<Value>); 4] = [
        (Method::GET, PATH, None),
        (Method::POST, PATH, Some(json!({ "clientId": "dave" }))),
        (Method::GET, "/api/clients/dave", None),
        (Method::POST, "/api/clients/dave/rotate", None),
    ];
    for (method, path, body) in requests {
        let request = operator.request(method, path).await;
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        Answer::to(request).await.assert_problem(503, "unavailable");
    }
}
