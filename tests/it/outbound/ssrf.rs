//! The corpus of hostile endpoints: what the API answers to them, and what a delivery to them does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mcp_scheduler::delivery::classify;
use mcp_scheduler::domain::{EndpointPolicy, ErrorClass, Outcome};
use mcp_scheduler::outbound::HttpSender;
use serde::Deserialize;
use serde_json::{Value, json};

use super::RoutedExchange as _;
use crate::support::app::BareApi;
use crate::support::client::ApiClient;
use crate::support::outbound::endpoints::answer;
use crate::support::outbound::network::ScriptedNetwork;
use crate::support::outbound::tls::Authority;

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Input,
    expect: Value,
}

#[derive(Deserialize)]
struct Input {
    url: String,
    #[serde(default)]
    own_host: Option<String>,
    #[serde(default)]
    dns: serde_json::Map<String, Value>,
    #[serde(default)]
    responds: Vec<Value>,
    #[serde(default)]
    pool: Option<String>,
}

#[tokio::test]
async fn every_endpoint_of_the_corpus_is_accepted_or_blocked_as_expected() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../fixtures/corpora/ssrf.json")).unwrap();
    let policy = EndpointPolicy { own_hosts: vec!["myapp.azurewebsites.net".to_owned()], ..EndpointPolicy::default() };
    assert!(cases.iter().filter_map(|case| case.input.own_host.as_ref()).all(|own| *own == policy.own_hosts[0]));
    let api = BareApi { endpoints: policy.clone(), ..BareApi::new() }.start().await;
    let client = api.client();
    let authority = Authority::new();
    let mut wrong = Vec::new();
    for case in &cases {
        let scheduled = schedule(&client, case).await;
        let delivered = deliver(&authority, &policy, case).await;
        for problem in [scheduled, delivered].into_iter().filter_map(Result::err) {
            wrong.push(format!("{}: {problem}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(cases.len(), 86);
}

async fn schedule(client: &ApiClient, case: &Case) -> Result<(), String> {
    let answer = client.schedule(json!({ "endpoint": case.input.url })).await;
    let refused = answer.status == 400 && answer.pointers() == ["/endpoint"];
    let expected = &case.expect["schedule_status"];
    let as_expected = if *expected == 400 { refused } else { *expected == answer.status };
    if as_expected { Ok(()) } else { Err(format!("answered {} {}", answer.status, answer.text)) }
}

/// Sends to the endpoint even if the API refuses it, because a stored row may be older than a rule.
async fn deliver(authority: &Authority, policy: &EndpointPolicy, case: &Case) -> Result<(), String> {
    let Input { url, dns, responds, pool, .. } = &case.input;
    let host = url::Url::parse(url).ok().and_then(|url| Some(url.host_str()?.trim_matches(['[', ']', '.']).to_owned()));
    let names = host.filter(|host| host.contains(['.', ':'])).unwrap_or_else(|| "example.com".to_owned());
    let reply = responds.first().map_or_else(
        || answer(200, ""),
        |reply| {
            let location = reply["headers"]["Location"].as_str().unwrap();
            format!("HTTP/1.1 {} Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n", reply["status"])
        },
    );
    let listener = authority.listener(&[&names], &reply).await;
    let mut network = ScriptedNetwork::leading_to(listener.address);
    for (name, lookups) in dns {
        let lookups: Vec<Vec<&str>> = lookups.as_array().unwrap().iter().map(strings).collect();
        let lookups: Vec<&[&str]> = lookups.iter().map(Vec::as_slice).collect();
        network = network.name(name, &lookups);
    }
    let network = Arc::new(network);
    let sender = HttpSender::over(Arc::clone(&network), policy.clone(), authority.roots()).unwrap();
    let report = classify(sender.post(url).await);
    if pool.is_some() {
        sender.post(url).await;
    }

    let expect = &case.expect;
    let outcome = match expect["verdict"].as_str().unwrap() {
        "allow" => (Outcome::Success, None),
        "fail" => (Outcome::PermanentFailure, None),
        "retry" => (Outcome::Failure, Some(ErrorClass::DnsError)),
        "reject" | "block" => (Outcome::PermanentFailure, Some(ErrorClass::Blocked)),
        other => return Err(format!("unknown verdict {other}")),
    };
    if (report.outcome, report.error) != outcome {
        return Err(format!("came to {report:?}"));
    }
    let port = url::Url::parse(url).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default();
    let connects: Vec<_> = expect["connect_to"].as_array().into_iter().flatten().collect();
    let connects = connects.iter().map(|a| SocketAddr::new(a.as_str().unwrap().parse::<IpAddr>().unwrap(), port));
    if network.connects() != connects.collect::<Vec<_>>() {
        return Err(format!("connected to {:?}", network.connects()));
    }
    if expect["lookups"].as_u64().is_some_and(|n| network.lookups().len() as u64 != n) {
        return Err(format!("looked up {:?}", network.lookups()));
    }
    let seen = listener.seen();
    if expect["requests_made"].as_u64().is_some_and(|n| seen.len() as u64 != n) {
        return Err(format!("made {} requests", seen.len()));
    }
    for request in seen {
        if request.head.lines().next().unwrap().contains('#') || request.protocol.as_deref() != Some(b"http/1.1") {
            return Err(format!("sent {request:?}"));
        }
        if expect["normalized"].is_string() && request.server_name.as_deref() != Some("example.com") {
            return Err(format!("asked for {:?}", request.server_name));
        }
    }
    Ok(())
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}
