//! The service as a process, and a client of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use futures_util::{StreamExt as _, stream};
use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::host::Host;

/// The service with its own store. It is killed when the value is dropped.
pub struct Service {
    process: Child,
    url: String,
    data: tempfile::TempDir,
}

const KEY: &str = "a-key-for-the-load-program";

impl Service {
    pub fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_mcp-scheduler"))
            .env_clear()
            .envs([("PORT", "0"), ("SCHEDULER_CLIENT_ID", "load"), ("SCHEDULER_API_KEY", KEY), ("RUST_LOG", "error")])
            .env("JWT_SIGNING_KEYS", format!("k:{}", "5a".repeat(32)))
            .env("SCHEDULER_DATA_DIR", data.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let url = greeting.split_once(" is listening on ").unwrap().1.trim().to_owned();
        Self { process, url, data }
    }

    /// Adds a client and logs in as this client, with its API key.
    pub fn add_client(&self, name: &str) -> Client {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-scheduler"));
        command.env_clear().env("SCHEDULER_DATA_DIR", self.data.path()).args(["client", "add", name, "--json"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let added: Value = serde_json::from_slice(&output.stdout).unwrap();
        Client { http: http(), url: self.url.clone(), token: added["apiKey"].as_str().unwrap().to_owned() }
    }

    /// The CPU time of all threads. The kernel's scheduler counts each thread in nanoseconds, but the whole process only
    /// in hundredths of a second.
    pub fn cpu_microseconds(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let used = threads.map(|thread| {
            let used = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            used.split_once(' ').unwrap().0.parse::<f64>().unwrap() / 1000.0
        });
        used.sum()
    }

    pub fn resident_megabytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    pub async fn login(service: &Service) -> Self {
        let http = http();
        let body = json!({ "clientId": "load", "apiKey": KEY }).to_string();
        let request = http.post(format!("{}/api/auth/token", service.url)).header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap().text().await.unwrap();
        let response: Value = serde_json::from_str(&response).unwrap();
        Self { http, url: service.url.clone(), token: response["token"].as_str().unwrap().to_owned() }
    }

    pub async fn schedule_all<'a>(&self, all: impl Iterator<Item = (&'a Host, Timestamp)>) {
        stream::iter(all).for_each_concurrent(64, |(host, due)| self.schedule(host, due)).await;
    }

    async fn schedule(&self, host: &Host, due: Timestamp) {
        let new = json!({ "conversationText": "x", "endpoint": host.url, "scheduledTime": due.to_string() });
        self.call("POST", "/api/scheduler/schedule", Some(&new)).await;
    }

    /// Makes a call over REST and returns the body of the response.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> String {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        self.text(match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        })
        .await
    }

    /// Makes a call over REST that may be refused.
    pub async fn post(&self, path: &str, body: &Value) {
        let request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let _ = request.bearer_auth(&self.token).body(body.to_string()).send().await;
    }

    /// Makes a call as a client of the newest protocol version.
    pub async fn call_tool(&self, tool: &str, arguments: &Value) -> String {
        self.call_mcp("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Sends a request of the newest protocol version, whose parameters have a name.
    pub async fn call_mcp(&self, method: &str, mut params: Value) -> String {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "load", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().unwrap().to_owned();
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(format!("{}/mcp", self.url)).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream");
        let request = request.header("mcp-protocol-version", "2026-07-28");
        let request = request.header("mcp-method", method).header("mcp-name", name);
        self.text(request.body(message.to_string())).await
    }

    async fn text(&self, request: reqwest::RequestBuilder) -> String {
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
