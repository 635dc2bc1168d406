//! `openapi` and `docs`: the document that describes the API, and its page for people.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use mcp_scheduler::api::{ProblemType, RecurrenceRequest};
use mcp_scheduler::http::{Operation, openapi_document, operations};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::delivery_harness::DeliveryHarness;
use crate::support::golden;

#[tokio::test]
async fn the_document_changes_only_on_purpose() {
    let app = TestApp::start().await;
    let answer = Answer::to(app.client().anonymous(Method::GET, "/openapi.json")).await;
    assert_eq!(answer.status, 200);
    golden::check_exactly("openapi", &answer.json());
}

#[test]
fn every_operation_and_every_type_of_problem_is_described() {
    let (document, table) = (openapi_document(), operations());
    for Operation { name, method, path, .. } in &table {
        let described = &document["paths"][path][method.as_str().to_ascii_lowercase()];
        assert_eq!(described["operationId"], *name, "{name} has no description");
    }
    let whole = document.to_string();
    let missing: Vec<_> = ProblemType::ALL.iter().filter(|it| !whole.contains(&format!("{:?}", it.urn()))).collect();
    assert!(missing.is_empty(), "no operation answers with {missing:?}");
}

/// The examples in the bodies of requests, with the method and the path of each.
fn examples(document: &Value) -> Vec<(Method, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let examples = operation["requestBody"]["content"]["application/json"]["examples"].as_object();
            for example in examples.into_iter().flatten() {
                let method: Method = method.to_uppercase().parse().unwrap();
                found.push((method, path.clone(), example.1["value"].clone()));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_example_of_a_request_is_accepted() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({ "recurrence": { "cron": "30 9 * * MON" } })).await;
    let of_clients = |path: &str| path.starts_with("/api/scheduler");
    let examples = examples(&openapi_document());
    for (method, path, body) in examples.iter().filter(|(_, path, _)| of_clients(path)) {
        let path = path.replace("{id}", &id).replace("{name}", "daily");
        let request = client.request(method.clone(), &path).await.header("content-type", "application/json");
        let answer = Answer::to(request.body(body.to_string())).await;
        assert_eq!(answer.status, 200, "{method} {path} {body}: {}", answer.text);
    }
    assert!(examples.len() > 10, "{examples:?}");
}

#[tokio::test(start_paused = true)]
async fn the_webhook_has_the_headers_and_the_fields_of_a_delivery() {
    let harness = DeliveryHarness::in_one_process();
    let due = harness.schedule(Duration::from_mins(1), |request| {
        let cron = Some("0 * * * *".to_owned());
        request.recurrence = Some(RecurrenceRequest { cron, ..RecurrenceRequest::default() });
        request.thread_id = Some("thread".to_owned());
    });
    let due = due.await;
    harness.start();
    harness.wait_until(due.at + Duration::from_mins(1)).await;
    let delivered = harness.endpoint.calls().remove(0).request;
    let of_http = ["content-type", "user-agent"];
    let sent = delivered.headers.iter().map(|(name, _)| name.as_str()).filter(|name| !of_http.contains(name));
    let document = openapi_document();
    let post = &document["webhooks"]["conversationDue"]["post"];
    let described = post["parameters"].as_array().unwrap().iter();
    let described: BTreeSet<_> = described.map(|header| header["name"].as_str().unwrap()).collect();
    assert_eq!(described, sent.collect::<BTreeSet<_>>());
    let fields = document["components"]["schemas"]["Delivery"]["properties"].as_object().unwrap();
    let body: Value = serde_json::from_slice(&delivered.body.unwrap()).unwrap();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), fields.keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_page_shows_everything_without_scripts_and_other_hosts() {
    let app = TestApp::start().await;
    let page = Answer::unchecked(app.client().anonymous(Method::GET, "/docs")).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let html = &page.text;
    for Operation { name, path, .. } in operations() {
        assert!(html.contains(&format!("<section id=\"{name}\">")) && html.contains(path), "{name}");
    }
    for problem in ProblemType::ALL {
        assert!(html.contains(problem.urn()), "{problem:?}");
    }
    for active in ["<script", "<link", "<img", "<iframe", "src=", "url(", "@import", " style=", " onclick"] {
        assert!(!html.contains(active), "{active}");
    }
    let links: Vec<_> = html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for link in links {
        let target = link.strip_prefix('#').map(|id| html.contains(&format!("id=\"{id}\"")));
        assert!(target.unwrap_or(link == "openapi.json"), "{link}");
    }
}

/// The browser shows the page with its style, and would run nothing that somebody smuggled into it.
#[tokio::test]
async fn the_policy_of_the_page_allows_its_style_alone() {
    let app = TestApp::start().await;
    let page = Answer::unchecked(app.client().anonymous(Method::GET, "/docs")).await;
    page.check_headers(None);
    let style = page.text.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with(&format!("default-src 'none'; style-src 'sha256-{hash}';")), "{policy}");
    let other = Answer::to(app.client().anonymous(Method::GET, "/openapi.json")).await;
    assert_eq!(other.header("content-security-policy"), "default-src 'none'");
}
