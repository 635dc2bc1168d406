//! The host in front of the service: which parts of requests and answers it passes on.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::discovery::list_by_links_alone;
use crate::support::functions_host::{Host, HostOptions, Source};
use crate::support::host_harness::{HostHarness, PATIENCE, caller, login};
use crate::support::mcp_wire::newest;
use crate::support::ports::fixed_port;
use crate::support::recording_receiver::Receiver;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, text};
use crate::support::wire::{Wire, head};

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_through_the_host_as_without_it() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    let caller = caller(&host);
    // The client checks each answer against the contract, headers included.
    let id = caller.scheduled(json!({})).await;
    assert_eq!(caller.status(&id).await.json()["status"], "Scheduled");
    assert_eq!(caller.list("?limit=5&status=Scheduled").await.json()["conversations"].as_array().unwrap().len(), 1);
    assert_eq!(caller.cancel(&id).await.status, 200);
    for (path, status) in [("/health", 200), ("/health/ready", 200), ("/api/scheduler/status/none", 404)] {
        assert_eq!(caller.get(path).await.status, status, "{path}");
    }
    caller.schedule_raw("{").await.assert_problem(400, "malformed-json");
    assert_eq!(caller.login("nobody", "a wrong key, long enough").await.status, 401);
}

/// A deployed app has no other way to a second client.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_adds_a_client_through_the_host() {
    let (harness, machine) = (HostHarness::new(), Place::new());
    let host = harness.host().await;
    let run = |arguments: &[&str]| {
        let output = machine.run(&[arguments, &["--json", "--url", &host.url()]].concat(), &CONFIGURED[..2]);
        assert!(output.status.success(), "{}{}", text(&output.stderr), host.log());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let added = run(&["client", "add", "anna"]);
    let anna = ApiClient::new(host.address(), "anna", added["apiKey"].as_str().unwrap());
    let id = anna.scheduled(json!({})).await;
    run(&["client", "rotate", "anna"]);
    assert_eq!(run(&["client", "show", "anna"])["keys"], 2);
    assert_eq!(run(&["client", "retire", "anna"])["keys"], 1);
    let operator = caller(&host).with_scopes("conversations:read operator").await;
    let listed = operator.list("?client=*").await.json();
    assert_eq!(
        (&listed["conversations"][0]["clientId"], &listed["conversations"][0]["conversationId"]),
        (&json!("anna"), &json!(id))
    );
    run(&["client", "disable", "anna"]);
    anna.status(&id).await.assert_problem(401, "unauthorized");
    run(&["client", "enable", "anna"]);
    assert_eq!(run(&["client", "list"])["clients"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_the_token_endpoint_through_the_host_by_links_alone() {
    let harness = HostHarness::new();
    let host = harness.host_with(&[("WEBSITE_HOSTNAME", "app.azurewebsites.net")]).await;
    let answer = list_by_links_alone(&caller(&host), (CLIENT, KEY), "https://app.azurewebsites.net").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Ways to write the paths of the functions that only the host may call.
const SPELLINGS: [&str; 24] = [
    "/deliverDueConversations",
    "/sweepDueConversations",
    "/DELIVERDUECONVERSATIONS",
    "/SweepdueconversationS",
    "/sweepDueConversations/",
    "/sweepDueConversations//",
    "/sweepDueConversations/x",
    "/sweepDueConversationsX",
    "/sweepDueConversations?x=1",
    "/sweepDueConversations;x=1",
    "/sweepDueConversations%20",
    "/sweepDueConversations%2F",
    "/%73weepDueConversations",
    "/%64%65liverDueConversations",
    "//sweepDueConversations",
    "///deliverDueConversations",
    "/./sweepDueConversations",
    "/x/../sweepDueConversations",
    "/x/%2e%2E/sweepDueConversations",
    "/%2FsweepDueConversations",
    "/x\\..\\sweepDueConversations",
    "/x%5C..%5CsweepDueConversations",
    "/api/deliverDueConversations",
    "/sweepDueConversations%0A",
];

/// Calls each of them in each way as a client. Whatever answers, it is a 404.
async fn nobody_gets_through(host: &Host) {
    host.ready().await;
    for path in SPELLINGS {
        for method in ["POST", "GET", "DELETE", "OPTIONS", "TRACE", "FOO"] {
            for agent in ["curl/8.5.0", "Azure-Functions-Host/4.1037.0.0"] {
                let headers = [("content-type", "application/json"), ("user-agent", agent), ("content-length", "2")];
                let mut wire = Wire::connect(host.address()).await;
                let answer = wire.exchange(head(method, path, &headers) + "{}").await.unwrap();
                assert_eq!(answer.status, 404, "{method} {path} by {agent}: {}", answer.text);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_the_host_cannot_be_called_by_clients() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    nobody_gets_through(&host).await;
    // The last function has no route to them: nothing of it reached the program.
    let mut wire = Wire::connect(host.address()).await;
    let answer = wire.exchange(head("GET", "/sweepDueConversations", &[])).await.unwrap();
    assert!(answer.text.is_empty() && !answer.headers.contains_key("content-type"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_refuses_them_itself_where_a_route_leads_to_them() {
    let harness = HostHarness::staged();
    let file = harness.options().app.join("zzFallback/function.json");
    let mut function: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    function["bindings"][0]["route"] = json!("{*rest}");
    fs::write(file, function.to_string()).unwrap();
    for knows_proxying in [true, false] {
        // The handler of the host before may still be ending on its port.
        let options = HostOptions { knows_proxying, handler_port: fixed_port(), ..harness.options() };
        let host = Host::start(options).await;
        nobody_gets_through(&host).await;
        // The host itself can call.
        host.fire_timer("sweepDueConversations").await;
        assert_eq!(host.lines(Source::Host), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_answers_what_no_function_takes_as_it_does_alone() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    host.ready().await;
    let program = ([127, 0, 0, 1], harness.options().handler_port).into();
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/api/scheduler/a/b/c", 404),
        ("POST", "/health", 405),
        ("PUT", "/api/scheduler/schedule", 405),
        ("PATCH", "/api/scheduler", 405),
        ("DELETE", "/mcp", 401),
        ("GET", "/mcp", 401),
        ("OPTIONS", "/mcp", 401),
        ("TRACE", "/health", 405),
    ] {
        let through = Wire::connect(host.address()).await.exchange(head(method, path, &[])).await.unwrap();
        let alone = Wire::connect(program).await.exchange(head(method, path, &[])).await.unwrap();
        assert_eq!((through.status, &through.text), (status, &alone.text), "{method} {path}");
        assert_eq!(through.headers.get("allow"), alone.headers.get("allow"), "{method} {path}");
        assert_eq!(through.header("content-type"), "application/problem+json");
    }
    for path in ["/health", "/nowhere"] {
        let [through, alone] = [host.address(), program].map(|address| async move {
            let mut wire = Wire::connect(address).await;
            wire.send(head("HEAD", path, &[])).await;
            wire.answer_to_head().await.unwrap()
        });
        assert_eq!(through.await.status, alone.await.status, "{path}");
    }
    // The host's own names stay the host's, its page answers other methods than GET, and it knows no other methods.
    for (method, path, status) in
        [("GET", "/", 200), ("PUT", "/", 200), ("GET", "/admin/x", 401), ("FOO", "/health", 404)]
    {
        let answer = Wire::connect(host.address()).await.exchange(head(method, path, &[])).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_somebody_else_cannot_call_the_tools_through_the_host() {
    let harness = HostHarness::new();
    let host = harness.host_with(&[("WEBSITE_HOSTNAME", "app.azurewebsites.net")]).await;
    let caller = caller(&host);
    let message = newest("server/discover", json!({}));
    for (name, status) in [("evil.example", 403), ("app.azurewebsites.net", 200)] {
        let request = caller.mcp_request(&message).await.header("host", name).header("x-forwarded-host", "localhost");
        assert_eq!(Answer::unchecked(request).await.status, status, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_length_is_streamed_through() {
    let harness = HostHarness::new();
    let host = harness.host().await;
    let answer = chunked(&host).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_host_forwards_requests_that_have_a_length() {
    let harness = HostHarness::new();
    let options = HostOptions { knows_proxying: false, ..harness.options() };
    let (host, receiver) = (Host::start(options).await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::from_secs(2), &receiver.endpoint).await;
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    api.completed(&id, PATIENCE).await;
    // An older host cannot pass on a body without a length.
    let answer = chunked(&host).await;
    assert_eq!((answer.status, &*answer.text), (500, ""));
}

/// Schedules with a body of unknown length.
async fn chunked(host: &Host) -> Answer {
    let token = login(host).await.token().to_owned();
    let body = conversation(json!({})).to_string();
    let headers = [
        ("authorization", &*format!("Bearer {token}")),
        ("content-type", "application/json"),
        ("transfer-encoding", "chunked"),
    ];
    let mut wire = Wire::connect(host.address()).await;
    let request = head("POST", "/api/scheduler/schedule", &headers);
    wire.exchange(format!("{request}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).await.unwrap()
}
