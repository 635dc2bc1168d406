//! What a copy of the store shows: no endpoint beyond its host, no header value, no body and no callback.
//!
//! The test schedules conversations whose secrets contain one word, and searches every byte of the store for it.

use std::fs;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::support::azurite::Azurite;
use crate::support::client::{http, in_seconds};
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service, files};

/// The word in all secrets.
const SECRET: &str = "canary";
/// The word in all texts, which are not encrypted.
const TEXT: &str = "visible-text";
const PATIENCE: Duration = Duration::from_mins(1);

/// A conversation with a secret in each field that can have one. `text` is repeated.
fn conversation(endpoint: &str, callback: &str, repeat: usize, due: u64) -> Value {
    json!({
        "conversationText": TEXT.repeat(repeat),
        "scheduledTime": in_seconds(due.try_into().unwrap()),
        "endpoint": endpoint,
        "headers": { "Authorization": "Bearer canary-header" },
        "body": { "text": "{{conversationText}}", "key": "canary-body" },
        "successWhen": { "pointer": "/canary-pointer", "absent": true },
        "onCompleted": { "endpoint": callback, "headers": { "X-Key": "canary-callback-header" } },
        "onFailed": { "endpoint": callback, "headers": { "X-Key": "canary-callback-header" } },
        "retry": { "maxAttempts": 1 },
    })
}

async fn send(api: &Api, method: Method, url: &str, body: &Value) -> Value {
    let request = http().request(method, url).bearer_auth(api.token()).header("content-type", "application/json");
    let response = request.body(body.to_string()).send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// Schedules, changes and delivers conversations with secrets. Some are left for later.
async fn work(service: &Service) -> Receiver {
    let receiver = Receiver::start([Reply::status(200)]).await;
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let (endpoint, callback) = (receiver.url("/canary-path?key=canary-query"), receiver.url("/canary-callback"));
    let url = |path: &str| format!("{}/api/scheduler{path}", service.url());
    for (endpoint, repeat, due) in [
        (endpoint.as_str(), 1, 0),
        (endpoint.as_str(), 1000, 0),
        ("http://127.0.0.1:9/canary-refused", 1, 0),
        (endpoint.as_str(), 1, 80_000),
        (endpoint.as_str(), 1000, 80_000),
    ] {
        let new = conversation(endpoint, &callback, repeat, due);
        let accepted = send(&api, Method::POST, &url("/schedule"), &new).await;
        if due > 0 {
            let id = accepted["conversationId"].as_str().unwrap();
            let update =
                json!({ "endpoint": format!("{endpoint}&canary-update"), "headers": { "X-Key": "canary-new" } });
            send(&api, Method::PATCH, &url(&format!("/{id}")), &update).await;
        }
    }
    let named = conversation(&endpoint, &callback, 1, 80_000);
    send(&api, Method::PUT, &url("/named/a-name"), &named).await;
    // Two are delivered, and each of the three that end has a callback.
    assert!(receiver.wait_until(PATIENCE, |received| received.len() >= 5).await, "{}", service.stderr());
    let received = receiver.received();
    let delivered = received.iter().find(|request| request.path.starts_with("/canary-path")).unwrap();
    assert_eq!(delivered.headers["authorization"], "Bearer canary-header");
    assert!(received.iter().any(|request| request.path == "/canary-callback"));
    receiver
}

/// Asserts that the word is in none of these bytes, and that the search works.
fn assert_hidden(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = text.find(SECRET).map(|at| text[..at].chars().rev().take(200).collect::<Vec<_>>());
    let before = found.map(|before| before.into_iter().rev().collect::<String>());
    assert_eq!(before, None, "a secret is in {place}, behind this");
}

fn assert_logs_are_silent(service: &Service) {
    assert_hidden("stdout", service.stdout().as_bytes());
    assert_hidden("stderr", service.stderr().as_bytes());
    assert!(service.stderr().contains("attempt finished"), "the log is not detailed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_data_directory_without_its_key_shows_no_secret() {
    let place = Place::new();
    let settings = [("SCHEDULER_CLIENT_ID", CLIENT), ("SCHEDULER_API_KEY", KEY), ("RUST_LOG", "trace")];
    let mut service = place.start(&settings);
    let receiver = work(&service).await;
    assert_logs_are_silent(&service);
    let search = || {
        let all: Vec<u8> = files(&place.data())
            .into_iter()
            .filter(|file| file.file_name().unwrap() != "secrets.json")
            .flat_map(|file| fs::read(file).unwrap())
            .collect();
        assert_hidden("the data directory", &all);
        let text = String::from_utf8_lossy(&all).into_owned();
        assert!(text.contains(TEXT) && text.contains(&format!("\"origin\":\"{}\"", receiver.url(""))));
    };
    // The journals of a killed process, and what the next one makes of them.
    service.kill();
    search();
    let again = place.start(&settings);
    let api = Api::login(again.url(), CLIENT, KEY).await;
    let listed = api.list("?limit=100").await;
    let ids =
        listed["conversations"].as_array().unwrap().iter().map(|summary| summary["conversationId"].as_str().unwrap());
    let shown = join_all(ids.map(|id| api.status(id))).await;
    assert!(
        shown.iter().any(|one| one.to_string().contains("canary-query")),
        "the client sees its endpoints: {shown:?}"
    );
    again.stop();
    search();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_storage_account_shows_no_secret() {
    let (mut azurite, place) = (Azurite::start(), Place::new());
    let connection = azurite.connection_string();
    let on_azure = [
        ("USE_AZURE_SERVICES", "true"),
        ("RATE_LIMIT_PER_SECOND", "0"),
        ("AzureWebJobsStorage", &*connection),
        ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("RUST_LOG", "trace"),
        // The other test reads JSON.
        ("LOG_FORMAT", "human"),
    ];
    let service = place.start(&[&CONFIGURED[..], &on_azure].concat());
    work(&service).await;
    assert_logs_are_silent(&service);
    service.stop();
    azurite.stop();
    let stored = azurite.stored();
    assert!(String::from_utf8_lossy(&stored).contains(TEXT));
    assert_hidden("the account", &stored);
}
