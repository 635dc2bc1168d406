//! The cost of hostile endpoints for the service and for other endpoints, the cost of a call as a tool of the Model
//! Context Protocol, and that of a batch. The benchmark starts the service, acts as the endpoints and the client, and prints the figures:
//!
//!     cargo bench --bench load -- stalled-host
//!     cargo bench --bench load -- endless-bodies
//!     cargo bench --bench load -- tool-calls
//!     cargo bench --bench load -- batches
//!
//! All connections use loopback. The figures are valid only on a machine that is otherwise idle.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let selected = |name: &str| names.is_empty() || names.iter().any(|argument| argument == name);
    if selected("stalled-host") {
        stalled_host().await;
    }
    if selected("endless-bodies") {
        endless_bodies().await;
    }
    if selected("tool-calls") {
        tool_calls().await;
    }
    if selected("batches") {
        batches().await;
    }
}

/// The lateness of 1,000 fast hosts, alone and beside a host that stalls.
async fn stalled_host() {
    let alone = lateness_of_fast_hosts(0).await;
    let beside = lateness_of_fast_hosts(1).await;
    let beside_many = lateness_of_fast_hosts(100).await;
    println!("stalled-host: lateness of 1,000 fast hosts in ms, p50 / p99 / max");
    for (case, lateness) in [
        ("alone", &alone),
        ("beside 1 delivery to a host that stalls", &beside),
        ("beside 100 deliveries to a host that stalls", &beside_many),
    ] {
        let percentile = |percent: usize| lateness[(lateness.len() * percent / 100).min(lateness.len() - 1)];
        println!("  {case:45} {:5} {:5} {:5}", percentile(50), percentile(99), percentile(100));
    }
}

/// Schedules this many deliveries to a host that stalls, beside one delivery to each of 1,000 fast hosts. Returns the
/// lateness of the fast hosts in milliseconds, sorted.
async fn lateness_of_fast_hosts(stalling: usize) -> Vec<u64> {
    let service = Service::start();
    let client = Client::login(&service).await;
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let stalled = Host::start(Reply::Never, Arc::default()).await;
    let mut hosts = Vec::new();
    for _ in 0..1000 {
        hosts.push(Host::start(Reply::Empty, Arc::clone(&arrivals)).await);
    }
    let begin = SystemClock.now() + Duration::from_secs(10);
    let fast = hosts.iter().zip(0_u32..).map(|(host, number)| (host, begin + Duration::from_millis(5) * number));
    client.schedule_all(std::iter::repeat_n((&stalled, begin), stalling).chain(fast)).await;
    assert!(SystemClock.now() < begin, "the machine is too slow to schedule that many in time");
    let all_arrived = || arrivals.lock().unwrap().len() >= hosts.len();
    wait_until(Duration::from_mins(1), all_arrived).await;
    let mut lateness = arrivals.lock().unwrap().clone();
    lateness.sort_unstable();
    lateness
}

/// The memory that 10,000 deliveries with endless responses take, compared with 10,000 empty responses.
async fn endless_bodies() {
    const DELIVERIES: usize = 10_000;
    println!("endless-bodies: resident memory of the service in MB, before / highest / growth");
    for (case, replies) in [
        ("10,000 empty responses", vec![Reply::Empty]),
        ("10,000 endless responses", vec![Reply::Endless, Reply::TenGibibytes]),
    ] {
        let service = Service::start();
        let client = Client::login(&service).await;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let mut hosts = Vec::new();
        for reply in replies.iter().cycle().take(32) {
            hosts.push(Host::start(*reply, Arc::clone(&arrivals)).await);
        }
        let begin = SystemClock.now() + Duration::from_secs(25);
        client.schedule_all(hosts.iter().cycle().take(DELIVERIES).map(|host| (host, begin))).await;
        assert!(SystemClock.now() < begin, "the machine is too slow to schedule that many in time");
        let before = service.resident_megabytes();
        let mut highest = before;
        let all_arrived = || {
            highest = highest.max(service.resident_megabytes());
            arrivals.lock().unwrap().len() >= DELIVERIES
        };
        wait_until(Duration::from_mins(5), all_arrived).await;
        println!("  {case:45} {before:7.1} {highest:7.1} {:7.1}", highest - before);
    }
}

/// The CPU time of a call over REST and of the same call as `tools/call`, measured alternately, and the memory of the
/// service after 100,000 calls.
async fn tool_calls() {
    const ROUNDS: usize = 10;
    let service = Service::start();
    let client = Client::login(&service).await;
    let new = json!({ "conversationText": "Remind Anna of the invoice.", "scheduledTime": "2030-01-31T09:30:00Z",
        "endpoint": "https://example.com/hook" });
    let made: Value = serde_json::from_str(&client.call("POST", "/api/scheduler/schedule", Some(&new)).await).unwrap();
    let id = made["conversationId"].as_str().unwrap();
    let status = format!("/api/scheduler/status/{id}");
    let one = json!({ "conversationId": id });
    println!("tool-calls: CPU of the service in microseconds a call, REST / tools/call / ratio");
    for (tool, method, path, body, arguments, calls) in [
        ("getConversationStatus", "GET", &*status, None, &one, 4000),
        ("scheduleConversation", "POST", "/api/scheduler/schedule", Some(&new), &new, 1000),
        ("listConversations", "GET", "/api/scheduler?limit=10", None, &json!({ "limit": 10 }), 1000),
    ] {
        let (mut rest, mut mcp) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let before = service.cpu_microseconds();
            for _ in 0..calls {
                client.call(method, path, body).await;
            }
            let between = service.cpu_microseconds();
            for _ in 0..calls {
                client.call_tool(tool, arguments).await;
            }
            rest.push((between - before) / f64::from(calls));
            mcp.push((service.cpu_microseconds() - between) / f64::from(calls));
        }
        let [rest, mcp] = [rest, mcp].map(|mut costs| {
            costs.sort_by(f64::total_cmp);
            costs[ROUNDS / 2]
        });
        println!("  {tool:45} {rest:7.1} {mcp:7.1} {:7.2}", mcp / rest);
    }
    let before = service.resident_megabytes();
    for _ in 0..100_000 {
        client.call_tool("getConversationStatus", &one).await;
    }
    println!("  MB before and after 100,000 calls {before:19.1} {:7.1}", service.resident_megabytes());
}

/// The time and the CPU of the service for 100 conversations: one by one, 16 calls at a time, and as one batch. Then its
/// memory during 64 batches of 4 MB at the same time.
async fn batches() {
    const ROUNDS: usize = 20;
    const SCHEDULE: &str = "/api/scheduler/schedule";
    const BATCH: &str = "/api/scheduler/batch";
    let service = Service::start();
    let client = Client::login(&service).await;
    let with_text = |text: &str| json!({ "conversationText": text, "scheduledTime": "2030-01-31T09:30:00Z", "endpoint": "https://example.com/" });
    let new = with_text("Remind Anna of the invoice.");
    let batch = json!({ "conversations": vec![new.clone(); 100] });
    println!("batches: 100 conversations, milliseconds / CPU of the service in milliseconds");
    for (case, parallel) in [("one by one", 1), ("16 calls at a time", 16), ("one batch", 0)] {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let (cpu, began) = (service.cpu_microseconds(), tokio::time::Instant::now());
            if parallel == 0 {
                client.call("POST", BATCH, Some(&batch)).await;
            } else {
                let calls = stream::iter(0..100);
                calls
                    .for_each_concurrent(parallel, |_| async { drop(client.call("POST", SCHEDULE, Some(&new)).await) })
                    .await;
            }
            rounds.push((began.elapsed().as_secs_f64() * 1000.0, (service.cpu_microseconds() - cpu) / 1000.0));
        }
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (time, cpu) = rounds[ROUNDS / 2];
        println!("  {case:45} {time:7.1} {cpu:7.1}");
    }
    let large = json!({ "conversations": vec![with_text(&"x".repeat(190_000)); 21] });
    let before = service.resident_megabytes();
    let (sending, mut highest) = (stream::iter(0..64).for_each_concurrent(64, |_| client.post(BATCH, &large)), before);
    let mut sending = std::pin::pin!(sending);
    while tokio::time::timeout(Duration::from_millis(5), &mut sending).await.is_err() {
        highest = highest.max(service.resident_megabytes());
    }
    println!("  64 batches of 4 MB: MB before and at most {:11} {before:7.1} {highest:7.1}", "");
}

async fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + limit;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "not all deliveries have arrived");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The response of a host.
#[derive(Clone, Copy)]
enum Reply {
    Empty,
    Never,
    Endless,
    TenGibibytes,
}

/// A host that records the lateness of each delivery in milliseconds.
struct Host {
    url: String,
}

impl Host {
    async fn start(reply: Reply, arrivals: Arc<Mutex<Vec<u64>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, reply, Arc::clone(&arrivals)));
            }
        });
        Self { url }
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, arrivals: Arc<Mutex<Vec<u64>>>) {
    let mut read = Vec::new();
    while stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&read).into_owned();
        if !text.ends_with('}') {
            continue;
        }
        read.clear();
        let due = text.lines().find_map(|line| line.strip_prefix("scheduler-scheduled-time: ")).unwrap();
        let lateness = Timestamp::parse(due).unwrap().until(SystemClock.now());
        arrivals.lock().unwrap().push(u64::try_from(lateness.as_millis()).unwrap());
        let head = match reply {
            Reply::Empty => "HTTP/1.1 204 No Content\r\n\r\n",
            Reply::Never => continue,
            Reply::Endless => "HTTP/1.1 200 OK\r\n\r\n",
            Reply::TenGibibytes => "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n",
        };
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        if matches!(reply, Reply::Endless | Reply::TenGibibytes) {
            let chunk = vec![b'x'; 64 * 1024];
            while stream.write_all(&chunk).await.is_ok() {}
            return;
        }
    }
}

/// The service with its own store. It is killed when the value is dropped.
struct Service {
    process: Child,
    url: String,
    _data: tempfile::TempDir,
}

const KEY: &str = "a-key-for-the-load-program";

impl Service {
    fn start() -> Self {
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
        Self { process, url, _data: data }
    }

    /// The CPU time of all threads. The kernel's scheduler counts each thread in nanoseconds, but the whole process only
    /// in hundredths of a second.
    fn cpu_microseconds(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let used = threads.map(|thread| {
            let used = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            used.split_once(' ').unwrap().0.parse::<f64>().unwrap() / 1000.0
        });
        used.sum()
    }

    fn resident_megabytes(&self) -> f64 {
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

struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    async fn login(service: &Service) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({ "clientId": "load", "apiKey": KEY }).to_string();
        let request = http.post(format!("{}/api/auth/token", service.url)).header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap().text().await.unwrap();
        let response: Value = serde_json::from_str(&response).unwrap();
        Self { http, url: service.url.clone(), token: response["token"].as_str().unwrap().to_owned() }
    }

    async fn schedule_all<'a>(&self, all: impl Iterator<Item = (&'a Host, Timestamp)>) {
        stream::iter(all).for_each_concurrent(64, |(host, due)| self.schedule(host, due)).await;
    }

    async fn schedule(&self, host: &Host, due: Timestamp) {
        let new = json!({ "conversationText": "x", "endpoint": host.url, "scheduledTime": due.to_string() });
        self.call("POST", "/api/scheduler/schedule", Some(&new)).await;
    }

    /// Makes a call over REST and returns the body of the response.
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> String {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        self.text(match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        })
        .await
    }

    /// Makes a call over REST that may be refused.
    async fn post(&self, path: &str, body: &Value) {
        let request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let _ = request.bearer_auth(&self.token).body(body.to_string()).send().await;
    }

    /// Makes a call as a client of the newest protocol version.
    async fn call_tool(&self, tool: &str, arguments: &Value) -> String {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "load", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let request = self.http.post(format!("{}/mcp", self.url)).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream");
        let request = request.header("mcp-protocol-version", "2026-07-28");
        let request = request.header("mcp-method", "tools/call").header("mcp-name", tool);
        self.text(request.body(message.to_string())).await
    }

    async fn text(&self, request: reqwest::RequestBuilder) -> String {
        let response = request.bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }
}
