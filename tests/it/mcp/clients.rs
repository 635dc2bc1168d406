//! Third-party clients, against the service itself and through the stand-in for the Functions host.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::http::{Operation, operations};
use mcp_scheduler::mcp::tools::fixtures;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::app::{BareApi, CLIENT, KEY, TestApp};
use crate::support::client::{self, ApiClient, in_seconds};
use crate::support::host_harness::HostHarness;
use crate::support::installed::{ROOT, installed};
use crate::support::receiver::Receiver;
use crate::support::service;

const TOOLS: &str = "tools scheduleConversation getConversationStatus waitForConversation updateConversation cancelConversation redeliverConversation runConversation listConversations previewTime getCurrentTime scheduleNamedConversation getNamedConversation cancelNamedConversation scheduleBatch cancelConversations redeliverConversations receiveConversations acknowledgeConversation\n";

/// The scenarios of the conformance suite that call a fixture, with the number of checks that pass. The first three are in both
/// versions of the protocol, the others in 2026-07-28 alone. Of the last one, a single check calls a fixture.
const OF_FIXTURES: [(&str, u8); 9] = [
    ("tools-call-simple-text", 2),
    ("tools-call-error", 2),
    ("json-schema-2020-12", 8),
    ("input-required-result-basic-elicitation", 3),
    ("input-required-result-request-state", 3),
    ("input-required-result-result-type", 2),
    ("input-required-result-missing-input-response", 2),
    ("input-required-result-tampered-state", 2),
    ("server-stateless:sep-2575-http-server-no-independent-requests-on-stream", 22),
];

/// The address and the credentials that a client gets.
struct Given {
    address: SocketAddr,
    client: (&'static str, &'static str),
    token: String,
    receiver: Receiver,
}

impl Given {
    async fn new(address: SocketAddr, client: (&'static str, &'static str)) -> Self {
        let token = ApiClient::new(address, client.0, client.1).token().await.to_owned();
        Self { address, client, token, receiver: Receiver::accepting().await }
    }

    /// Runs a client to its end, and returns its stdout. Its stderr must be empty.
    async fn run(&self, mut command: Command) -> String {
        let node = installed("target/mcp-clients/node_modules/node/bin");
        let path = std::env::join_paths([node, "/usr/local/bin".into(), "/usr/bin".into(), "/bin".into()]).unwrap();
        command
            .env("PATH", path)
            .env("MCP_URL", format!("http://{}/mcp", self.address))
            .env("CLIENT_ID", self.client.0)
            .env("API_KEY", self.client.1)
            .env("TOKEN", &self.token)
            .env("NO_PROXY", "*")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success() && err.is_empty(), "{}\n{out}{err}", output.status);
        out
    }

    /// Runs an example, which logs in by OAuth and waits for a delivery.
    async fn example(&self, mut command: Command, protocol: &str) {
        command.arg(self.receiver.url("/hook"));
        let out = self.run(command).await;
        assert!(out.starts_with(&format!("protocol {protocol}\n{TOOLS}scheduled for 20")), "{out}");
        for line in
            ["\nCompleted after 1 attempt\n", "\ncancelled false The conversation has already been delivered.\n"]
        {
            assert!(out.contains(line), "{out}");
        }
        let received = self.receiver.wait_for(1).await;
        assert!(received.iter().all(|request| request.path == "/hook"));
    }

    async fn python_sdk(&self) {
        self.example(python("target/venv", "examples/agent.py"), "2026-07-28").await;
    }

    async fn python_sdk_with_a_handshake(&self) {
        let mut command = python("target/venv", "examples/agent.py");
        command.env("MCP_MODE", "legacy");
        self.example(command, "2025-11-25").await;
    }

    async fn older_python_sdk(&self) {
        let mut command = python("target/mcp-clients-venv", "tests/mcp-clients/older.py");
        command.arg("https://example.com/hook");
        let out = self.run(command).await;
        assert_eq!(out, format!("protocol 2025-11-25\n{TOOLS}status Scheduled\ncancelled true\n"));
    }

    async fn typescript_sdk(&self) {
        // Node looks for packages beside the file.
        let beside = installed("target/mcp-clients").join(format!("agent-{}.mjs", self.address.port()));
        fs::copy(Path::new(ROOT).join("examples/agent.mjs"), &beside).unwrap();
        let mut command = node();
        command.arg(&beside);
        self.example(command, "2025-11-25").await;
        fs::remove_file(beside).unwrap();
    }

    async fn inspector(&self) {
        let listed = self.inspect(&["tools/list", "--strict"]).await;
        assert_eq!(listed["tools"].as_array().map(Vec::len), Some(TOOLS.split_whitespace().count() - 1), "{listed}");
        let called = self.inspect(&["tools/call", "--tool-name", "listConversations"]).await;
        assert!(called["structuredContent"]["conversations"].is_array(), "{called}");
        self.inspector_waits().await;
    }

    /// The Inspector knows tasks, so it waits for the end although no call waits under the Functions host.
    async fn inspector_waits(&self) {
        let client = ApiClient::new(self.address, self.client.0, self.client.1);
        let due = json!({ "scheduledTime": in_seconds(5), "endpoint": self.receiver.url("/hook") });
        let id = format!("conversationId={}", client.scheduled(due).await);
        let call = ["tools/call", "--protocol-era", "modern", "--tool-name", "waitForConversation", "--tool-arg", &id];
        let waited = self.inspect(&call).await;
        assert_eq!(waited["structuredContent"]["status"], "Completed", "{waited}");
    }

    async fn inspect(&self, method: &[&str]) -> serde_json::Value {
        let mut command = node();
        command.arg(installed("target/mcp-clients/node_modules/.bin/mcp-inspector"));
        command.args(["--cli", &format!("http://{}/mcp", self.address), "--transport", "http"]);
        command.args(["--header", &format!("Authorization: Bearer {}", self.token), "--method"]).args(method);
        serde_json::from_str(&self.run(command).await).unwrap()
    }

    /// Asserts that every scenario of both versions of the protocol passes, except those in the lists, which give a reason
    /// for each. Without the fixtures, those that need one have to fail too.
    async fn conformance(&self, has_fixtures: bool) {
        let lists = tempfile::tempdir().unwrap();
        for (version, of_server, of_fixtures) in [
            ("2025-11-25", [("server-initialize", 2), ("ping", 2), ("tools-list", 3)], &OF_FIXTURES[..3]),
            ("2026-07-28", [("caching", 6), ("tools-list", 4), ("dns-rebinding-protection", 2)], &OF_FIXTURES[..]),
        ] {
            let list = format!("conformance-{version}.yml");
            let mut failing = fs::read_to_string(Path::new(ROOT).join("tests/mcp-clients").join(&list)).unwrap();
            if !has_fixtures {
                failing.extend(of_fixtures.iter().map(|(name, _)| format!("  - {name}\n")));
            }
            let list = lists.path().join(list);
            fs::write(&list, failing).unwrap();
            let suite = "target/mcp-clients/node_modules/@modelcontextprotocol/conformance/dist/index.js";
            let proxy = with_token(self.address, self.token.clone()).await;
            let mut command = node();
            command.arg(installed(suite)).args(["server", "--url", &format!("http://{proxy}/mcp")]);
            command.args(["--requirements", version, "--expected-failures"]).arg(list);
            let out = self.run(command).await;
            for (name, checks) in of_server.iter().chain(of_fixtures.iter().filter(|_| has_fixtures)) {
                let passed = format!(" {}: {checks} passed, ", name.split(':').next().unwrap());
                assert!(out.contains(&passed), "{passed} in {out}");
            }
        }
    }
}

fn node() -> Command {
    Command::new(installed("target/mcp-clients/node_modules/node/bin/node"))
}

fn python(environment: &str, script: &str) -> Command {
    let mut command = Command::new(installed(environment).join("bin/python"));
    command.arg(Path::new(ROOT).join(script));
    command
}

/// A proxy that adds the token, for a client that cannot send one.
async fn with_token(service: SocketAddr, token: String) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = client::http();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (http, token) = (http.clone(), token.clone());
            let serve =
                service_fn(move |request: Request<Incoming>| forward(request, service, http.clone(), token.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
        }
    });
    address
}

async fn forward(
    request: Request<Incoming>,
    service: SocketAddr,
    http: reqwest::Client,
    token: String,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let url = format!("http://{service}{}", head.uri);
    let request = http.request(head.method, url).headers(head.headers).bearer_auth(token);
    let answer = request.body(body.collect().await?.to_bytes()).send().await?;
    let mut response = Response::new(());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    let body = answer.bytes().await?;
    Ok(response.map(|()| Full::new(body)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_logs_in_and_works_by_both_lifecycles() {
    let app = TestApp::start().await;
    let given = Given::new(app.address, (CLIENT, KEY)).await;
    given.python_sdk().await;
    given.python_sdk_with_a_handshake().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_asks_its_user_and_schedules_with_the_answers() {
    let app = TestApp::start().await;
    let given = Given::new(app.address, (CLIENT, KEY)).await;
    let out = given.run(python("target/venv", "tests/mcp-clients/elicitation.py")).await;
    let zone = "asked timeZone Which time zone is 2035-01-31T09:30 in";
    let answered = format!("asked endpoint Send to hooks.example.com\n{zone}\nscheduled 2035-01-31T08:30:00.000Z\n");
    assert_eq!(out, format!("protocol 2026-07-28\n{answered}{zone}\ndeclined\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_python_sdk_works() {
    let app = TestApp::start().await;
    Given::new(app.address, (CLIENT, KEY)).await.older_python_sdk().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_logs_in_and_works() {
    let app = TestApp::start().await;
    Given::new(app.address, (CLIENT, KEY)).await.typescript_sdk().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mcp_inspector_reports_no_problem() {
    let app = TestApp::start().await;
    Given::new(app.address, (CLIENT, KEY)).await.inspector().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mcp_conformance_suite_passes_where_it_applies() {
    let api = BareApi { fixtures: fixtures::all(), ..BareApi::new() }.start().await;
    Given::new(api.address, (CLIENT, KEY)).await.conformance(true).await;
}

#[test]
fn the_service_offers_no_fixture() {
    let offered: Vec<_> = operations().iter().filter_map(Operation::tool).map(|tool| tool.name).collect();
    assert!(fixtures::all().iter().all(|fixture| !offered.contains(&fixture.name)), "{offered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clients_work_through_the_functions_host() {
    let harness = HostHarness::new();
    let host = harness.host_that_knows_its_address().await;
    host.ready().await;
    let given = Given::new(host.address(), (service::CLIENT, service::KEY)).await;
    given.python_sdk().await;
    given.python_sdk_with_a_handshake().await;
    given.older_python_sdk().await;
    given.typescript_sdk().await;
    given.inspector().await;
    given.conformance(false).await;
    let (client, began) = (ApiClient::new(host.address(), service::CLIENT, service::KEY), Instant::now());
    let open = client.scheduled(json!({})).await;
    assert_eq!(client.get(&format!("/api/scheduler/wait/{open}")).await.json()["status"], "Scheduled");
    assert!(began.elapsed() < Duration::from_secs(15), "it does not wait: {:?}", began.elapsed());
}
