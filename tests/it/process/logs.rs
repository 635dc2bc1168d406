//! The lines that the running program logs.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use http::Method;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{PartitionSet, Slot, WakeUp};
use serde_json::{Map, Value, json};

use crate::support::client::{http, in_seconds};
use crate::support::invocations;
use crate::support::log_lines::{documented, parse, with_message};
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{BINARY, CLIENT, CONFIGURED, KEY, Place, Service};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const PATIENCE: Duration = Duration::from_secs(30);

struct Caller<'a> {
    service: &'a Service,
    token: String,
}

impl<'a> Caller<'a> {
    async fn login(service: &'a Service) -> Self {
        let api = Api::login(service.url(), CLIENT, KEY).await;
        Self { service, token: api.token().to_owned() }
    }

    /// Sends a request, and returns the status and the body of its response.
    async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = http().request(method, format!("{}{path}", self.service.url())).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json").header("traceparent", TRACEPARENT);
        let request = request.header("accept", "application/json, text/event-stream").body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    async fn schedule(&self, endpoint: &str, seconds: i64) -> String {
        let body = json!({
            "conversationText": "hello", "scheduledTime": in_seconds(seconds), "endpoint": endpoint,
            "retry": { "maxAttempts": 2 },
        });
        let (status, response) = self.call(Method::POST, "/api/scheduler/schedule", &body).await;
        assert_eq!(status, 200, "{response}");
        response["conversationId"].as_str().unwrap().to_owned()
    }

    async fn tool(&self, name: &str, arguments: Value) -> Value {
        let params = json!({ "name": name, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        self.call(Method::POST, "/mcp", &message).await.1
    }
}

/// The line of a request to this operation with this status.
fn line_of<'a>(lines: &'a [Map<String, Value>], operation: &str, status: u16) -> &'a Map<String, Value> {
    let finished = with_message(lines, "request finished");
    let mut found = finished.iter().filter(|line| {
        line.get("operation").is_some_and(|name| name == operation) && line["http.response.status_code"] == status
    });
    let line = found.next().unwrap_or_else(|| panic!("{operation} {status}: {finished:?}"));
    assert!(found.next().is_none(), "one line for each request");
    line
}

/// The value of a field, or null.
fn value<'a>(line: &'a Map<String, Value>, field: &str) -> &'a Value {
    line.get(field).unwrap_or(&Value::Null)
}

fn start(place: &Place, log: &str) -> Service {
    place.start(&[&CONFIGURED[..], &[("RUST_LOG", log)]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_one_line() {
    let place = Place::new();
    let service = start(&place, "info");
    let caller = Caller::login(&service).await;
    let id = caller.schedule("http://127.0.0.1:9/", 3600).await;
    for (method, path) in [
        (Method::GET, format!("/api/scheduler/status/{id}")),
        (Method::DELETE, format!("/api/scheduler/{id}")),
        (Method::POST, format!("/api/scheduler/{id}/redeliver")),
        (Method::GET, "/api/nothing".to_owned()),
        (Method::GET, "/api/scheduler".to_owned()),
    ] {
        caller.call(method, &path, &json!({})).await;
    }
    caller.call(Method::POST, "/api/scheduler/schedule", &json!({})).await;
    let wrong = json!({ "clientId": CLIENT, "apiKey": "not-the-key-of-this-client" });
    caller.call(Method::POST, "/api/auth/token", &wrong).await;
    let log = service.stderr_with("wrong-credentials");
    let lines = parse(&log);

    let finished = with_message(&lines, "request finished");
    assert_eq!(finished.len(), 9, "{log}");
    for (operation, status, about, reason) in [
        ("scheduleConversation", 200, json!(id), Value::Null),
        ("getConversationStatus", 200, json!(id), Value::Null),
        ("cancelConversation", 200, json!(id), Value::Null),
        ("redeliverConversation", 409, json!(id), json!("not-failed")),
        ("listConversations", 200, Value::Null, Value::Null),
        ("scheduleConversation", 400, Value::Null, json!("invalid-request")),
    ] {
        let line = line_of(&lines, operation, status);
        assert_eq!((value(line, "conversation.id"), value(line, "error.type")), (&about, &reason), "{line:?}");
        assert_eq!((&line["client.id"], &line["traceparent"]), (&json!(CLIENT), &json!(TRACEPARENT)));
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0 && line["level"] == "INFO", "{line:?}");
    }
    let login = line_of(&lines, "issueToken", 401);
    assert_eq!((value(login, "client.id"), &login["error.type"]), (&Value::Null, &json!("wrong-credentials")));
    let unknown = finished.iter().find(|line| !line.contains_key("operation")).unwrap();
    assert_eq!((&unknown["http.request.method"], &unknown["error.type"]), (&json!("GET"), &json!("no-such-path")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_tool_call_has_the_tool_and_its_conversation() {
    let place = Place::new();
    let service = start(&place, "info");
    let caller = Caller::login(&service).await;
    let scheduled = caller
        .tool(
            "scheduleConversation",
            json!({ "conversationText": "hello", "delay": "1h", "endpoint": "http://127.0.0.1:9/" }),
        )
        .await;
    let id = scheduled["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    caller.tool("cancelConversation", json!({ "conversationId": id })).await;
    caller.tool("cancelConversation", json!({})).await;
    let lines = parse(&service.stderr_with("invalid-request"));
    let calls: Vec<_> = with_message(&lines, "request finished")
        .into_iter()
        .filter(|line| value(line, "operation") == "mcp")
        .map(|line| ["gen_ai.tool.name", "conversation.id", "error.type"].map(|field| value(line, field).clone()))
        .collect();
    let expected = [
        [json!("scheduleConversation"), json!(id), Value::Null],
        [json!("cancelConversation"), json!(id), Value::Null],
        [json!("cancelConversation"), Value::Null, json!("invalid-request")],
    ];
    assert_eq!(calls, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_has_one_line_and_every_line_about_a_conversation_names_it() {
    let place = Place::new();
    let service = start(&place, "mcp_scheduler=trace");
    let caller = Caller::login(&service).await;
    let receiver = Receiver::start([Reply::status(503), Reply::status(200)]).await;
    let delivered = caller.schedule(&receiver.url("/canary-path?q=canary-query"), 0).await;
    // Nothing listens on port 9, and the address is of no network that this service may reach.
    let refused = caller.schedule("http://127.0.0.1:9/", 0).await;
    Api::login(service.url(), CLIENT, KEY).await.completed(&delivered, PATIENCE).await;
    let log = service.stderr_with("conversation failed");
    assert!(!log.contains("canary"), "{log}");
    let lines = parse(&log);
    let attempts = |id: &str| -> Vec<_> {
        let finished = with_message(&lines, "attempt finished").into_iter();
        finished.filter(|line| line["conversation.id"] == id && line["level"] == "INFO").collect()
    };

    let [first, second] = attempts(&delivered)[..] else { panic!("{log}") };
    let of = |line: &Map<String, Value>, names: [&str; 6]| names.map(|name| value(line, name).clone());
    let names = ["attempt", "http.response.status_code", "outcome", "error.type", "conversation.status", "server.port"];
    let port = json!(receiver.address.port());
    let expected = [json!(1), json!(503), json!("failure"), json!("503"), json!("InProgress"), port.clone()];
    assert_eq!(of(first, names), expected);
    assert_eq!(of(second, names), [json!(2), json!(200), json!("success"), Value::Null, json!("Completed"), port]);
    for line in [first, second] {
        assert!(line["duration_ms"].is_u64() && line["lateness_ms"].is_u64(), "{line:?}");
        let names = ["http.request.method", "server.address", "client.id"].map(|name| line[name].as_str().unwrap());
        assert_eq!(names, ["POST", "127.0.0.1", CLIENT]);
    }
    assert!(first["next_attempt_time"].as_str().unwrap().ends_with('Z') && !second.contains_key("next_attempt_time"));
    let sent: Vec<_> = receiver.received().iter().map(|request| request.headers["traceparent"].clone()).collect();
    assert_eq!(
        [&first["traceparent"], &second["traceparent"]].map(|t| t.as_str().unwrap()),
        [sent[0].to_str().unwrap(), sent[1].to_str().unwrap()]
    );
    let [_, last] = attempts(&refused)[..] else { panic!("{log}") };
    assert_eq!(
        (&last["error.type"], value(last, "http.response.status_code")),
        (&json!("connect_refused"), &Value::Null)
    );

    for id in [&delivered, &refused] {
        for line in log.lines().filter(|line| line.contains(id.as_str()) || line.contains(&id.replace('-', ""))) {
            assert_eq!(parse(line)[0]["conversation.id"], **id, "{line}");
        }
    }
    let [failed] = with_message(&lines, "conversation failed")[..] else { panic!("{log}") };
    assert_eq!((&failed["conversation.id"], &failed["attempt"]), (&json!(refused), &json!(2)));
    let table = documented();
    for line in &lines {
        let names: BTreeSet<_> = line.keys().cloned().collect();
        assert!(names.is_subset(&table), "{line:?}");
        assert!(["time", "level", "message", "target"].iter().all(|name| line[*name].is_string()), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_the_egress_guard_blocks_names_its_conversation() {
    let place = Place::new();
    let service = start(&place, "info");
    let id = Caller::login(&service).await.schedule("http://127.0.0.1:9/", 2).await;
    service.stop();
    let service =
        place.start(&[&CONFIGURED[..], &[("DELIVERY_ALLOWED_NETWORKS", "none"), ("RUST_LOG", "warn")]].concat());
    let lines = parse(&service.stderr_with("conversation failed"));
    let [blocked] = with_message(&lines, "delivery blocked: the endpoint is not accepted")[..] else {
        panic!("{lines:?}")
    };
    assert_eq!((&blocked["conversation.id"], &blocked["server.address"]), (&json!(id), &json!("127.0.0.1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_host_every_line_is_json_and_those_of_an_invocation_have_its_id() {
    let (place, port) = (Place::new(), fixed_port().to_string());
    let settings = [("FUNCTIONS_CUSTOMHANDLER_PORT", &*port), ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8")];
    let service = place.start(&[&CONFIGURED[..], &settings].concat());
    let caller = Caller::login(&service).await;
    let receiver = Receiver::start([Reply::status(200)]).await;
    let id = caller.schedule(&receiver.url("/"), 0).await;
    let record = Api::login(service.url(), CLIENT, KEY).await.status(&id).await;
    let due = Timestamp::parse(record["scheduledTime"].as_str().unwrap()).unwrap();
    let wake_up = WakeUp::of_slot(Slot::of(due), PartitionSet::ALL);
    let request = http().post(format!("{}/deliverDueConversations", service.url()));
    let request = request.header("content-type", "application/json; charset=utf-8");
    let request = request.header("user-agent", "Azure-Functions-Host/4.1037.0.0").header("traceparent", TRACEPARENT);
    let request = request.header("x-azure-functions-invocationid", "the-invocation");
    let body = invocations::envelope(&invocations::text_of(&wake_up)).to_string();
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    let lines = parse(&service.stdout_with("\"deliverDueConversations\""));
    assert!(parse(&service.stderr()).is_empty());
    let invocation = line_of(&lines, "deliverDueConversations", 200);
    let ids = ["faas.invocation_id", "traceparent"].map(|name| &invocation[name]);
    assert_eq!(ids, [&json!("the-invocation"), &json!(TRACEPARENT)]);
    let [attempt] = with_message(&lines, "attempt finished")[..] else { panic!("{lines:?}") };
    let ids = ["faas.invocation_id", "conversation.id"].map(|name| &attempt[name]);
    assert_eq!(ids, [&json!("the-invocation"), &json!(id)]);
    assert!(attempt["traceparent"].as_str().unwrap().contains(&id.replace('-', "")), "{attempt:?}");
}

/// The first line of the log that contains this text. The service runs on a terminal.
fn on_a_terminal(settings: &[(&str, &str)], text: &str) -> String {
    let place = Place::new();
    // The command `script` makes a terminal.
    let mut terminal = Command::new("/usr/bin/script");
    terminal.args(["-qefc", BINARY, "/dev/null"]).current_dir(place.cwd()).env_clear();
    let settings = [("PORT", "0"), ("SHELL", "/bin/sh")].iter().chain(&CONFIGURED).chain(settings).copied();
    let mut running = terminal.envs(settings).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find(|line| line.contains(text)).unwrap();
    // The end of the terminal ends the service.
    running.kill().unwrap();
    running.wait().unwrap();
    line
}

#[test]
fn on_a_terminal_the_log_is_for_people_with_colours_unless_they_are_not_wanted() {
    let said = "deliveries may also go to this machine";
    let line = on_a_terminal(&[], said);
    assert!(line.contains("\u{1b}[32mINFO\u{1b}[0m  deliveries may") && !line.contains('{'), "{line:?}");
    let plain = on_a_terminal(&[("NO_COLOR", "1")], said);
    let message = plain.split_once(" INFO  deliveries may also go to this machine, with http or https networks=");
    assert!(message.is_some_and(|(time, _)| time.len() == "08:30:00.000".len()), "{plain:?}");
    assert_eq!(parse(on_a_terminal(&[("LOG_FORMAT", "json")], said).trim_end())[0]["level"], "INFO");
}
