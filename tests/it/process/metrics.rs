//! The metrics that the running program serves.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::support::azurite::Azurite;
use crate::support::client::http;
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service};

const PATIENCE: Duration = Duration::from_secs(30);

async fn metrics_token(service: &Service) -> String {
    token(service, "metrics:read").await
}

async fn token(service: &Service, scope: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    let login = http().post(format!("{}/oauth/token", service.url())).basic_auth(CLIENT, Some(KEY)).form(&form);
    let answer: serde_json::Value = serde_json::from_str(&login.send().await.unwrap().text().await.unwrap()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// The response to a scrape: its status, its media type and its text.
async fn scrape(service: &Service, token: &str) -> (u16, String, String) {
    let request = http().request(Method::GET, format!("{}/metrics", service.url())).bearer_auth(token);
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.text().await.unwrap())
}

async fn mcp(service: &Service, token: &str, method: &str, params: serde_json::Value) {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let call = http().post(format!("{}/mcp", service.url())).bearer_auth(token);
    let call = call.header("content-type", "application/json").header("accept", "application/json, text/event-stream");
    assert_eq!(call.body(message.to_string()).send().await.unwrap().status(), 200);
}

/// The values of an exposition, by their names and labels.
fn values(text: &str) -> BTreeMap<&str, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name, value.parse().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_has_what_the_service_has_done() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let receiver = Receiver::start([Reply::status(503), Reply::status(200)]).await;
    let id = api.schedule(Duration::ZERO, &receiver.url("/canary-path")).await;
    api.completed(&id, PATIENCE).await;
    assert_eq!(Api::try_login(service.url(), CLIENT, "not-the-key-of-this-client").await.err(), Some(401));
    let call = json!({ "name": "previewTime", "arguments": { "delay": "1h" } });
    mcp(&service, api.token(), "tools/call", call).await;
    http().get(format!("{}/canary-of-a-path", service.url())).send().await.unwrap();

    let (status, kind, text) = scrape(&service, &metrics_token(&service).await).await;
    assert_eq!((status, &*kind), (200, "text/plain; version=0.0.4"));
    let found = values(&text);
    for (name, value) in [
        ("scheduler_conversations_scheduled_total", 1.0),
        ("scheduler_deliveries_total{outcome=\"completed\"}", 1.0),
        ("scheduler_attempt_duration_seconds_count{error_type=\"5xx\",outcome=\"failure\"}", 1.0),
        ("scheduler_attempt_duration_seconds_count{outcome=\"success\"}", 1.0),
        ("scheduler_delivery_lateness_seconds_count", 2.0),
        ("scheduler_delivery_lateness_seconds_bucket{le=\"60\"}", 2.0),
        ("scheduler_auth_failures_total{error_type=\"wrong_credentials\"}", 1.0),
        (
            "mcp_server_operation_duration_seconds_count{gen_ai_tool_name=\"previewTime\",\
             mcp_method_name=\"tools/call\"}",
            1.0,
        ),
        (
            "http_server_request_duration_seconds_count{http_request_method=\"POST\",\
             http_response_status_code=\"200\",http_route=\"/api/scheduler/schedule\"}",
            1.0,
        ),
        (
            "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
             http_response_status_code=\"404\"}",
            1.0,
        ),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name} in\n{text}");
    }
    for operation in ["commit", "get", "scan"] {
        let name = format!("scheduler_storage_operation_duration_seconds_count{{db_operation_name=\"{operation}\"}}");
        assert!(found.get(&*name).is_some_and(|count| *count > 0.0), "{name} in\n{text}");
    }
    // Not in the values: the digits of a sum can be those of a port.
    let names = found.into_keys().collect::<Vec<_>>().join("\n");
    for unbounded in ["canary", CLIENT, id.as_str(), &receiver.address.port().to_string()] {
        assert!(!names.contains(unbounded), "{unbounded} in\n{names}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_has_what_the_sweeps_of_a_storage_account_have_found() {
    let (azurite, place) = (Azurite::start(), Place::new());
    let connection = azurite.connection_string();
    let on_azure = [
        ("USE_AZURE_SERVICES", "true"),
        ("AzureWebJobsStorage", connection.as_str()),
        ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("RUST_LOG", "mcp_scheduler=debug"),
    ];
    let service = place.start(&[&CONFIGURED[..], &on_azure].concat());
    service.stderr_with("sweep finished");
    let (_, _, text) = scrape(&service, &metrics_token(&service).await).await;
    let found = values(&text);
    for (name, value) in [
        ("scheduler_sweeps_total{outcome=\"success\"}", 1.0),
        ("scheduler_sweep_enqueued_total", 0.0),
        ("scheduler_sweep_overdue_seconds", 0.0),
        ("scheduler_poison_queue_length", 0.0),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_the_tools_that_a_token_allows_counts_no_refusal() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let reader = token(&service, "conversations:read").await;
    mcp(&service, &reader, "tools/list", json!({})).await;
    let (_, _, text) = scrape(&service, &metrics_token(&service).await).await;
    assert!(!text.contains("insufficient_scope"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_need_their_scope() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    for token in [api.token(), &token(&service, "operator").await] {
        assert_eq!(scrape(&service, token).await.0, 403);
    }
    assert_eq!(scrape(&service, "wrong").await.0, 401);
    assert_eq!(scrape(&service, &metrics_token(&service).await).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_functions_host_there_is_no_page_of_metrics() {
    let (place, port) = (Place::new(), fixed_port());
    let port = port.to_string();
    let settings = [&CONFIGURED[..], &[("FUNCTIONS_CUSTOMHANDLER_PORT", port.as_str())]].concat();
    let service = place.start(&settings);
    assert_eq!(scrape(&service, &metrics_token(&service).await).await.0, 404);
}
