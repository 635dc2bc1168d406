//! The cost of hostile endpoints for the service and for other endpoints, the cost of a call as a tool of the Model
//! Context Protocol, that of a batch, and the lateness of recurring conversations and of events. The benchmark starts the
//! service, acts as the endpoints and the client, and prints the figures:
//!
//!     cargo bench --bench load -- stalled-host
//!     cargo bench --bench load -- endless-bodies
//!     cargo bench --bench load -- tool-calls
//!     cargo bench --bench load -- batches
//!     cargo bench --bench load -- recurring
//!     cargo bench --bench load -- events
//!
//! All connections use loopback. The figures are valid only on a machine that is otherwise idle.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

mod events;
mod host;
mod recurring;
mod service;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::host::{Host, Reply};
use crate::service::{Client, Service};

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
        rates_of_batches_and_single_calls().await;
    }
    if selected("recurring") {
        recurring::spread_over_the_minute().await;
        recurring::all_at_the_full_minute().await;
    }
    if selected("events") {
        events::beside_webhooks().await;
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

/// The conversations that the service accepts in a second over 64 connections: one in a call, and 100 in a call.
async fn rates_of_batches_and_single_calls() {
    const CONVERSATIONS: u32 = 20_000;
    let new = json!({ "conversationText": "x".repeat(500), "scheduledTime": "2030-01-31T09:30:00Z",
        "endpoint": "https://example.com/" });
    let batch = json!({ "conversations": vec![new.clone(); 100] });
    println!("batches: conversations a second over 64 connections");
    for (case, path, body, size) in
        [("one in a call", "/api/scheduler/schedule", &new, 1), ("100 in a call", "/api/scheduler/batch", &batch, 100)]
    {
        let service = Service::start();
        let client = Client::login(&service).await;
        let began = tokio::time::Instant::now();
        let calls = stream::iter(0..CONVERSATIONS / size);
        calls.for_each_concurrent(64, |_| async { drop(client.call("POST", path, Some(body)).await) }).await;
        println!("  {case:45} {:7.0}", f64::from(CONVERSATIONS) / began.elapsed().as_secs_f64());
    }
}

async fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + limit;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "not all deliveries have arrived");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
