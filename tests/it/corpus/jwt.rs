//! Every token of the corpus, straight at the authenticator and over HTTP.

use std::sync::Arc;

use http::Method;
use mcp_scheduler::auth::{AuthError, Authenticator, Directory, SigningKeys, TokenIssuer, TokenSettings};
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{Client, ClientStore, SimulatedTable};
use serde_json::Value;

use super::Case;
use crate::support::app::{BareApi, Fixed};
use crate::support::client::Answer;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../fixtures/corpora/jwt.fixture.json")).unwrap()
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../fixtures/corpora/jwt.json")).unwrap()
}

fn seconds(value: &Value) -> Timestamp {
    Timestamp::from_millis(value.as_i64().unwrap() * 1000)
}

/// The active key first: it is the one that signs.
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
            id: id.parse().unwrap(),
            key_hashes: Vec::new(),
            disabled: client["disabled"] == true,
            tokens_valid_from: client.get("tokens_valid_from").map(seconds),
        };
        store.insert(&client).await.unwrap();
    }
    table
}

/// The values of all `Authorization` headers of a case.
fn authorization(input: &Value) -> Vec<String> {
    let one = input["authorization"].as_str().map(|value| vec![value.to_owned()]);
    let list = input["authorization_list"].as_array();
    one.or_else(|| list.map(|values| values.iter().map(|v| v.as_str().unwrap().to_owned()).collect()))
        .unwrap_or_default()
}

#[tokio::test]
async fn every_token_of_the_corpus_is_accepted_or_not_as_it_should_be() {
    let fixture = fixture();
    let table = Arc::new(clients(&fixture).await);
    for Case { name, input, expect } in cases() {
        let directory = Directory::new(None, ClientStore::new(Arc::clone(&table) as _));
        let issuer = TokenIssuer::new(keys(&fixture), settings(&fixture));
        let authenticator = Authenticator::new(directory, issuer, Arc::new(Fixed(seconds(&input["now"]))));
        let values = authorization(&input);
        let values: Vec<_> = values.iter().map(String::as_bytes).collect();
        let result = authenticator.authenticate(&values).await;
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
            assert_eq!(answer.header("www-authenticate"), expect["www_authenticate"], "{name}");
            bodies.push(answer.text);
        }
    }
    assert!(bodies.windows(2).all(|two| two[0] == two[1]), "{bodies:#?}");
}
