//! The lateness of conversations that recur each minute.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;

use crate::host::{Host, Reply};
use crate::service::{Client, Service};
use crate::wait_until;

const HOSTS: usize = 32;
const MINUTE: i64 = 60_000;
const BATCH: usize = 100;

/// 20,000 conversations, a sixtieth of them in each second of the minute, during six minutes.
pub async fn spread_over_the_minute() {
    const CONVERSATIONS: usize = 20_000;
    let run = Run::start(CONVERSATIONS, |number| format!("{} * * * * *", number % 60)).await;
    println!("recurring: 20,000 conversations, spread over each minute");
    println!("  {:45} {:>7} {:>7} {:>7} {:>7}", "lateness in ms, MB", "p50", "p99", "max", "MB");
    // What came due while the conversations were scheduled does not count.
    run.arrived(CONVERSATIONS).await;
    for minute in 1..=6 {
        run.arrivals.lock().unwrap().clear();
        run.arrived(CONVERSATIONS).await;
        run.print(&format!("minute {minute}"));
    }
}

/// 100,000 conversations at each full minute, during three of them.
pub async fn all_at_the_full_minute() {
    const CONVERSATIONS: usize = 100_000;
    let into_the_minute = SystemClock.now().as_millis() % MINUTE;
    tokio::time::sleep(Duration::from_millis(u64::try_from(MINUTE - into_the_minute).unwrap())).await;
    let run = Run::start(CONVERSATIONS, |_| "* * * * *".to_owned()).await;
    assert!(run.arrivals.lock().unwrap().is_empty(), "the machine is too slow to schedule that many in a minute");
    println!("recurring: 100,000 conversations at each full minute");
    println!("  {:45} {:>7} {:>7} {:>7} {:>7}", "lateness in ms, MB", "p50", "p99", "max", "MB");
    for minute in 1..=3 {
        run.arrived(CONVERSATIONS).await;
        run.print(&format!("minute {minute}"));
        run.arrivals.lock().unwrap().clear();
    }
}

struct Run {
    service: Service,
    arrivals: Arc<Mutex<Vec<u64>>>,
}

impl Run {
    /// Starts a service and schedules conversations, whose expressions depend on their numbers.
    async fn start(conversations: usize, cron: impl Fn(usize) -> String) -> Self {
        let service = Service::start();
        let client = Client::login(&service).await;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let mut hosts = Vec::new();
        for _ in 0..HOSTS {
            hosts.push(Host::start(Reply::Empty, Arc::clone(&arrivals)).await);
        }
        let new = |number: usize| json!({ "conversationText": "x", "endpoint": hosts[number % HOSTS].url, "recurrence": { "cron": cron(number) } });
        let batches = stream::iter((0..conversations).step_by(BATCH)).map(|first| {
            let batch: Vec<_> = (first..first + BATCH).map(new).collect();
            json!({ "conversations": batch })
        });
        batches
            .for_each_concurrent(8, |batch| {
                let client = &client;
                async move {
                    let answer = client.call("POST", "/api/scheduler/batch", Some(&batch)).await;
                    assert!(!answer.contains("\"problem\""), "{answer}");
                }
            })
            .await;
        Self { service, arrivals }
    }

    /// Waits until this many deliveries have arrived.
    async fn arrived(&self, deliveries: usize) {
        wait_until(Duration::from_mins(3), || self.arrivals.lock().unwrap().len() >= deliveries).await;
    }

    fn print(&self, case: &str) {
        let mut lateness = self.arrivals.lock().unwrap().clone();
        lateness.sort_unstable();
        let percentile = |percent: usize| lateness[(lateness.len() * percent / 100).min(lateness.len() - 1)];
        let memory = self.service.resident_megabytes();
        println!("  {case:45} {:7} {:7} {:7} {memory:7.1}", percentile(50), percentile(99), percentile(100));
    }
}
