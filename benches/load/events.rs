//! The lateness of events, beside that of webhooks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::host::{Host, Reply};
use crate::service::{Client, Service};
use crate::wait_until;

const CLIENTS: usize = 10;
/// The most subscriptions of a client.
const PER_CLIENT: usize = 100;
const ROUNDS: usize = 3;

/// 1,000 conversations that are due at one time, each of which one subscription or one endpoint gets, in turn.
pub async fn beside_webhooks() {
    let service = Service::start();
    let clients: Vec<_> = (0..CLIENTS).map(|number| service.add_client(&format!("client-{number}"))).collect();
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let host = Host::start(Reply::Echo, Arc::clone(&arrivals)).await;
    println!("events: lateness of 1,000 conversations in ms, p50 / p99 / max");
    for _ in 0..ROUNDS {
        for (case, is_event) in [("webhooks", false), ("events, each to its own subscription", true)] {
            let due = SystemClock.now() + Duration::from_secs(15);
            let all = (0..CLIENTS * PER_CLIENT).map(|number| (&clients[number % CLIENTS], number));
            let (host, all) = (&host, stream::iter(all));
            all.for_each_concurrent(16, |(client, number)| async move {
                if is_event {
                    subscribe(client, &schedule(client, due, json!({ "deliver": "events" })).await, host, number).await;
                } else {
                    schedule(client, due, json!({ "endpoint": host.url })).await;
                }
            })
            .await;
            assert!(SystemClock.now() < due, "the machine is too slow to schedule that many in time");
            wait_until(Duration::from_mins(1), || arrivals.lock().unwrap().len() >= CLIENTS * PER_CLIENT).await;
            let mut lateness = std::mem::take(&mut *arrivals.lock().unwrap());
            lateness.sort_unstable();
            let percentile = |percent: usize| lateness[(lateness.len() * percent / 100).min(lateness.len() - 1)];
            println!("  {case:45} {:5} {:5} {:5}", percentile(50), percentile(99), percentile(100));
        }
    }
}

/// Schedules a conversation and returns its id.
async fn schedule(client: &Client, due: Timestamp, mut new: Value) -> String {
    new["conversationText"] = json!("x");
    new["scheduledTime"] = json!(due.to_string());
    let made: Value = serde_json::from_str(&client.call("POST", "/api/scheduler/schedule", Some(&new)).await).unwrap();
    made["conversationId"].as_str().unwrap().to_owned()
}

/// Subscribes to one conversation, at an address of its own.
async fn subscribe(client: &Client, conversation: &str, host: &Host, number: usize) {
    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let delivery = json!({ "mode": "webhook", "url": format!("{}?{number}", host.url), "secret": SECRET });
    let params = json!({ "name": "conversation.due", "arguments": { "conversationId": conversation },
        "delivery": delivery });
    let answer = client.call_mcp("events/subscribe", params).await;
    assert!(answer.contains("\"result\""), "{answer}");
}
