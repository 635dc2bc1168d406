//! `webhookKeys`

use http::Method;
use serde_json::{Value, json};

use crate::support::app::{CLIENT, OTHER, TestApp};
use crate::support::client::{Answer, ApiClient};
use crate::support::golden;

const PATH: &str = "/.well-known/webhook-keys.json";

async fn get(client: &ApiClient, query: &str) -> Answer {
    Answer::to(client.anonymous(Method::GET, &format!("{PATH}{query}"))).await
}

async fn keys(client: &ApiClient, query: &str) -> Value {
    let answer = get(client, query).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["keys"].clone()
}

#[tokio::test]
async fn everybody_gets_the_public_keys_of_a_client_and_may_keep_them_for_five_minutes() {
    let app = TestApp::start().await;
    let client = app.client();
    let answer = get(&client, &format!("?client={CLIENT}")).await;
    golden::check("webhook-keys", &answer.json());
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let private = client.get("/api/webhooks/keys").await.json();
    assert_eq!(answer.json()["keys"], private["publicKeys"]);
    for secret in ["whsec_", "whsk_", "\"d\""] {
        assert!(!answer.text.contains(secret), "{secret} in {}", answer.text);
    }
    let path = private["publicKeysUrl"].as_str().unwrap().split_once("/.well-known").unwrap().1.to_owned();
    assert_eq!(get(&client, path.split_once(".json").unwrap().1).await.text, answer.text, "the address of the keys");
}

#[tokio::test]
async fn without_a_client_they_are_those_of_the_first_one() {
    let app = TestApp::start().await;
    let client = app.client();
    let first = keys(&client, &format!("?client={CLIENT}")).await;
    for query in ["", "?", "?client="] {
        assert_eq!(keys(&client, query).await, first, "{query}");
    }
    assert_ne!(keys(&client, &format!("?client={OTHER}")).await, first);
}

#[tokio::test]
async fn the_answer_does_not_tell_which_clients_exist() {
    let app = TestApp::start().await;
    let client = app.client();
    let unknown = keys(&client, "?client=nobody").await;
    assert_eq!(unknown.as_array().unwrap().len(), 1);
    assert_ne!(unknown, keys(&client, &format!("?client={OTHER}")).await);
}

#[tokio::test]
async fn a_wrong_query_is_told_what_is_wrong_and_the_problem_is_not_kept() {
    let app = TestApp::start().await;
    let client = app.client();
    for (query, pointer) in [("?client=a%20b", "/client"), ("?clientid=a", "/clientid"), ("?x=1", "/x")] {
        let answer = get(&client, query).await;
        answer.assert_problem(400, "invalid-request");
        assert_eq!(answer.json()["errors"][0]["pointer"], json!(pointer), "{}", answer.text);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}
