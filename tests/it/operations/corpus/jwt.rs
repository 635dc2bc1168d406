//! The corpus of hostile tokens, with the authenticator alone and over HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use mcp_scheduler::auth::{AuthError, Authenticator, ClientDirectory, SigningKeys, TokenSettings};
use mcp_scheduler::domain::{Scopes, Timestamp};
use mcp_scheduler::public_url::Resource;
use mcp_scheduler::store::{Client, ClientStore};
use mcp_scheduler::testing::SimulatedTable;
use ring::hmac;
use serde_json::{Value, json};

use super::Case;
use crate::operations::authorization::here;
use crate::support::app::{BareApi, Fixed};
use crate::support::client::Answer;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../fixtures/corpora/jwt.fixture.json")).unwrap()
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../fixtures/corpora/jwt.json")).unwrap()
}

fn seconds(value: &Value) -> Timestamp {
    Timestamp::from_millis(value.as_i64().unwrap() * 1000)
}

/// The keys of the fixture, the active one first, because the first key signs.
fn keys(fixture: &Value) -> SigningKeys {
    let (active, all) = (fixture["active_kid"].as_str().unwrap(), fixture["verify_kids"].as_object().unwrap());
    let others = all.keys().map(String::as_str).filter(|kid| *kid != active);
    let pairs: Vec<_> =
        [active].into_iter().chain(others).map(|kid| format!("{kid}:{}", all[kid].as_str().unwrap())).collect();
    pairs.join(",").parse().unwrap()
}

fn settings(fixture: &Value) -> TokenSettings {
    TokenSettings {
        issuer: fixture["issuer"].as_str().unwrap().to_owned(),
        audience: fixture["audience"].as_str().unwrap().to_owned(),
        ttl_seconds: 3600,
    }
}

async fn clients(fixture: &Value) -> SimulatedTable {
    let table = SimulatedTable::new(());
    let store = ClientStore::new(Arc::new(table.clone()));
    for (id, client) in fixture["clients"].as_object().unwrap() {
        let client = Client {
            disabled: client["disabled"] == true,
            tokens_valid_from: client.get("tokens_valid_from").map(seconds),
            ..Client::without_keys(id.parse().unwrap(), Scopes::all())
        };
        store.insert(&client).await.unwrap();
    }
    table
}

/// The authenticator of the service at `https://api.scheduler.test`.
fn authenticator(fixture: &Value, clients: Arc<SimulatedTable>, now: Timestamp) -> Authenticator {
    let directory = ClientDirectory::new(None, ClientStore::new(clients));
    let public_url = "https://api.scheduler.test".parse().unwrap();
    Authenticator::new(directory, keys(fixture), settings(fixture), public_url, Arc::new(Fixed(now)))
}

/// The values of all `Authorization` headers of a case.
fn authorization(input: &Value) -> Vec<String> {
    let one = input["authorization"].as_str().map(|value| vec![value.to_owned()]);
    let list = input["authorization_list"].as_array();
    one.or_else(|| list.map(|values| values.iter().map(|v| v.as_str().unwrap().to_owned()).collect()))
        .unwrap_or_default()
}

#[tokio::test]
async fn every_token_of_the_corpus_is_accepted_or_refused_as_expected() {
    let fixture = fixture();
    let table = Arc::new(clients(&fixture).await);
    for Case { name, input, expect } in cases() {
        let authenticator = authenticator(&fixture, Arc::clone(&table), seconds(&input["now"]));
        let values = authorization(&input);
        let values: Vec<_> = values.iter().map(String::as_bytes).collect();
        let result = authenticator.authenticate(&values, Resource::Api, here()).await;
        match (expect["accept"].as_bool().unwrap(), expect["reason"].as_str(), result) {
            (true, _, Ok(principal)) => assert_eq!(principal.client().as_str(), expect["sub"], "{name}"),
            (false, Some("missing"), Err(AuthError::Missing)) | (false, _, Err(AuthError::InvalidToken)) => {}
            (.., result) => panic!("{name}: {result:?} instead of {expect}"),
        }
    }
}

#[tokio::test]
async fn over_http_every_refused_token_gets_the_same_body() {
    let fixture = fixture();
    let mut api = BareApi::new();
    api.table = clients(&fixture).await;
    api.clock = Arc::new(Fixed(seconds(&fixture["now"])));
    api.signing_keys = keys(&fixture);
    api.tokens = settings(&fixture);
    let api = api.start().await;
    let client = api.client();
    let mut bodies = Vec::new();
    for Case { name, input, expect } in cases() {
        let mut request = client.anonymous(Method::GET, "/api/scheduler");
        for value in authorization(&input) {
            request = request.header("authorization", value);
        }
        for (header, value) in input["headers"].as_object().into_iter().flatten() {
            request = request.header(header, value.as_str().unwrap());
        }
        let answer = Answer::to(request).await;
        if expect["accept"] == true {
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
        } else {
            answer.assert_problem(401, "unauthorized");
            assert_eq!(answer.challenge(), expect["www_authenticate"], "{name}");
            bodies.push(answer.text);
        }
    }
    assert!(bodies.windows(2).all(|two| two[0] == two[1]), "{bodies:#?}");
}

/// A token with any header and claims, signed with the active key.
fn signed(header: &Value, claims: &Value) -> String {
    let fixture = fixture();
    let hex = fixture["verify_kids"]["k1"].as_str().unwrap();
    let key: Vec<_> = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn limits_hold_to_the_second_and_every_claim_has_its_type() {
    let fixture = fixture();
    let now = fixture["now"].as_i64().unwrap();
    let authenticator = authenticator(&fixture, Arc::new(clients(&fixture).await), seconds(&fixture["now"]));
    let (usual, header) = (json!({ "iat": now - 10 }), json!({ "alg": "HS256", "kid": "k1" }));
    for (header, claims, accepted) in [
        (json!({ "typ": "JWT" }), usual.clone(), true),
        (json!({ "typ": "at+jwt" }), usual.clone(), false),
        (json!({ "alg": "HS384" }), usual.clone(), false),
        (json!({ "kid": "k0" }), usual.clone(), false),
        (json!({ "kid": null }), usual.clone(), false),
        (json!({ "b64": false }), usual, false),
        (header.clone(), json!({ "iat": now - 100, "exp": now - 30 }), true),
        (header.clone(), json!({ "iat": now - 100, "exp": now - 31 }), false),
        (header.clone(), json!({ "iat": now + 30, "exp": now + 60 }), true),
        (header.clone(), json!({ "iat": now + 31, "exp": now + 60 }), false),
        (header.clone(), json!({ "nbf": now + 30 }), true),
        (header.clone(), json!({ "nbf": now + 31 }), false),
        (header.clone(), json!({ "nbf": null }), true),
        (header.clone(), json!({ "nbf": "0" }), false),
        (header.clone(), json!({ "iat": now, "exp": now + 3600 }), true),
        (header.clone(), json!({ "iat": now, "exp": now + 3601 }), false),
        (header.clone(), json!({ "iat": now, "exp": now - 1 }), false),
        (header.clone(), json!({ "iat": i64::MIN, "exp": i64::MAX }), false),
        (header.clone(), json!({ "exp": u64::MAX }), false),
        (header.clone(), json!({ "exp": "9999999999" }), false),
        (header.clone(), json!({ "jti": null }), false),
        (header.clone(), json!({ "jti": 1 }), false),
        (header.clone(), json!({ "aud": ["x", "y"] }), false),
        (header.clone(), json!({ "aud": null }), false),
        (header.clone(), json!({ "aud": "https://api.scheduler.test" }), true),
        (header.clone(), json!({ "aud": "https://api.scheduler.test/mcp" }), false),
        (header.clone(), json!({ "aud": ["x", "https://api.scheduler.test/mcp"] }), false),
        (header.clone(), json!({ "aud": ["https://api.scheduler.test/mcp", "https://api.scheduler.test"] }), true),
        (header.clone(), json!({ "aud": "https://api.scheduler.test/" }), false),
        (header.clone(), json!({ "aud": "https://api.scheduler.test/mcp/x" }), false),
        (header.clone(), json!({ "aud": "http://api.scheduler.test" }), false),
        (header.clone(), json!({ "aud": "https://scheduler.test" }), false),
        (header.clone(), json!({ "scope": "conversations:read" }), true),
        (header.clone(), json!({ "scope": "something:else" }), true),
        (header.clone(), json!({ "scope": "" }), true),
        (header.clone(), json!({ "scope": null }), false),
        (header.clone(), json!({ "scope": 1 }), false),
        (header.clone(), json!({ "scope": ["conversations:read"] }), false),
        (header.clone(), json!({ "iss": "https://scheduler.test/" }), false),
        (header.clone(), json!({ "iss": ["https://scheduler.test", "x"] }), false),
        (header.clone(), json!({ "sub": "" }), false),
        (header.clone(), json!({ "sub": "client-a~x" }), false),
        (header.clone(), json!({ "sub": ["client-a"] }), false),
        (header.clone(), json!({ "sub": "client-unknown" }), false),
        (header.clone(), json!({ "sub": "client-rotated", "iat": now - 5 }), true),
        (header.clone(), json!({ "sub": "client-rotated", "iat": now - 6 }), false),
    ] {
        let mut all = json!({
            "iss": fixture["issuer"], "aud": fixture["audience"], "sub": "client-a", "jti": "1",
            "iat": now - 10, "exp": now + 1000,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let mut whole_header = json!({ "alg": "HS256", "kid": "k1" });
        whole_header.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        let value = format!("Bearer {}", signed(&whole_header, &all));
        let result = authenticator.authenticate(&[value.as_bytes()], Resource::Api, here()).await;
        assert_eq!(result.is_ok(), accepted, "{whole_header} {all}");
    }
}
