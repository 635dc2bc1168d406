//! `getSigningKeys`

use http::Method;
use mcp_scheduler::http::operations;
use serde_json::json;
use standardwebhooks::Webhook;

use super::authorization::token;
use crate::support::app::{CLIENT, OTHER, READER, TestApp, client_secret};
use crate::support::client::{Answer, in_seconds};
use crate::support::golden;
use crate::support::receiver::Receiver;

const PATH: &str = "/api/webhooks/keys";

#[tokio::test]
async fn a_client_gets_its_own_secret_and_public_key() {
    let app = TestApp::start_with(&[("PUBLIC_URL", "https://scheduler.example.com")]).await;
    let shown = app.client().get(PATH).await;
    golden::check("signing-keys", &shown.json());
    assert_eq!(shown.json()["secrets"], json!([client_secret(CLIENT)]));
    assert_eq!(shown.header("cache-control"), "no-store");
    let other = app.other_client().get(PATH).await.json();
    assert_eq!(other["clientId"], OTHER);
    assert_eq!(other["secrets"], json!([client_secret(OTHER)]));
    for member in ["secrets", "publicKeys", "publicKeysUrl"] {
        assert_ne!(other[member], shown.json()[member], "{member}");
    }
}

#[tokio::test]
async fn the_secrets_are_in_the_order_of_the_masters() {
    let [one, two] = ["AA", "BB"].map(|text| format!("whsec_{}", text.repeat(16)));
    let keys = async |masters: &str| {
        let app = TestApp::start_with(&[("WEBHOOK_SIGNING_SECRETS", masters)]).await;
        app.client().get(PATH).await.json()
    };
    let (first, second, both) = (keys(&one).await, keys(&two).await, keys(&format!("{one} {two}")).await);
    for member in ["secrets", "publicKeys"] {
        let of_each = [&first, &second].map(|keys| keys[member][0].clone());
        assert_eq!(both[member], json!(of_each), "{member}");
    }
    assert!(!both.to_string().contains(&"AA".repeat(16)), "a master is shown: {both}");
}

#[tokio::test]
async fn only_the_scope_for_it_gives_access() {
    let app = TestApp::start().await;
    let refused = app.reader().get(PATH).await;
    refused.assert_problem(403, "insufficient-scope");
    let client = app.client();
    for (scope, status) in [("conversations:read conversations:write", 403), ("webhooks:read", 200)] {
        let token = token(&client, scope).await;
        let answer = Answer::to(client.anonymous(Method::GET, PATH).bearer_auth(token)).await;
        assert_eq!(answer.status, status, "{scope}");
        assert_eq!(answer.text.contains("whsec_"), status == 200, "{scope}");
    }
    Answer::to(client.anonymous(Method::GET, PATH)).await.assert_problem(401, "unauthorized");
    assert!(!refused.text.contains(&client_secret(READER)));
}

/// Secrets do not belong into the context of a language model.
#[test]
fn it_is_no_tool() {
    let operation = operations().into_iter().find(|operation| operation.name == "getSigningKeys").unwrap();
    assert!(operation.tool().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_verifies_the_deliveries_of_this_client_and_of_no_other() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let (alice, bob) = (app.client(), app.other_client());
    for client in [&alice, &bob] {
        client.scheduled(json!({ "endpoint": receiver.url("/"), "scheduledTime": in_seconds(0) })).await;
    }
    let arrived = receiver.wait_for(2).await;
    for client in [&alice, &bob] {
        let keys = client.get(PATH).await.json();
        let webhook = Webhook::new(keys["secrets"][0].as_str().unwrap()).unwrap();
        let verified = arrived.iter().filter(|delivery| webhook.verify(&delivery.body, &delivery.headers).is_ok());
        assert_eq!(verified.count(), 1, "each client has made one delivery");
    }
}
