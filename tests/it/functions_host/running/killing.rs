//! kill -9 of the handler and of the whole instance, while a thousand conversations are due.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::azurite::Azurite;
use crate::support::functions_host::Host;
use crate::support::host_harness::{HostHarness, login};
use crate::support::process_api::Api;
use crate::support::recording_receiver::{Arrival, Receiver};

const CONVERSATIONS: u32 = 1_000;
/// The first conversation is due this long after the start, when all are scheduled; all are due within 15 s.
const AHEAD: Duration = Duration::from_secs(20);
const APART: Duration = Duration::from_millis(15);
const KILLS: usize = 9;
const BETWEEN_KILLS: Duration = Duration::from_millis(2_500);
/// The time for recovery after the last kill: a lease of 35 s, the grace of 20 s of the sweep, and a pause of a minute
/// before the third wake-up, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_due_conversations_survive_any_kill() {
    let (azurite, receiver) = (Azurite::start(), Receiver::start(Duration::from_millis(20)).await);
    let harness = HostHarness::on(azurite.connection_string());
    let mut host = start(&harness).await;
    let ids = put(&login(&host).await, &receiver.endpoint).await;
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());

    let mut kills = Vec::new();
    for n in 1..=KILLS {
        sleep(BETWEEN_KILLS).await;
        kills.push(SystemClock.now());
        if n % 3 == 0 {
            // The messages of this instance stay locked for ten minutes.
            host.die().await;
            host = start(&harness).await;
        } else {
            host.kill_handler();
        }
    }
    let (quiet, api) = (Instant::now(), login(&host).await);
    let mut records = HashMap::new();
    for id in &ids {
        let patience = PATIENCE.saturating_sub(quiet.elapsed());
        records.insert(id.clone(), api.completed(id, patience).await);
    }
    let after = quiet.elapsed();

    let mut came: HashMap<&str, Vec<Arrival>> = HashMap::new();
    let arrivals = receiver.arrivals();
    for arrival in &arrivals {
        assert!(arrival.at >= arrival.scheduled, "early: {arrival:?}");
        came.entry(&arrival.id).or_default().push(arrival.clone());
    }
    let last_kill = *kills.last().unwrap();
    let cut_off = records.values().map(|record| classify(record, &came, last_kill)).sum::<usize>();
    eprintln!(
        "{KILLS} kills: {} delivered, {} attempts cut off, {} twice; the last one {after:?} after the last kill",
        ids.len(),
        cut_off,
        came.values().filter(|arrivals| arrivals.len() > 1).count(),
    );
    assert!(cut_off > 0, "no kill met anything in flight");
}

/// Starts a host whose timer fires every five seconds.
async fn start(harness: &HostHarness) -> Host {
    let mut options = harness.options();
    options.timer_period = Some(Duration::from_secs(5));
    Host::start(options).await
}

async fn put(api: &Api, endpoint: &str) -> Vec<String> {
    let (began, api) = (SystemClock.now(), Arc::new(api.clone()));
    let ids = stream::iter(0..CONVERSATIONS).map(|n| {
        let api = Arc::clone(&api);
        let conversation = json!({
            "conversationText": "hello", "scheduledTime": (began + AHEAD + n * APART).to_string(),
            "endpoint": endpoint, "timeoutSeconds": 5,
        });
        async move { accepted(&api, &conversation).await }
    });
    ids.buffer_unordered(16).collect().await
}

/// Schedules. It tries again if the storage, which other tests keep busy, does not answer in time.
async fn accepted(api: &Api, conversation: &Value) -> String {
    for _ in 0..10 {
        match api.scheduled_this(conversation).await {
            Ok(id) => return id,
            Err(None | Some(503)) => sleep(Duration::from_secs(1)).await,
            Err(Some(status)) => panic!("{status} for {conversation}"),
        }
    }
    panic!("not accepted: {conversation}");
}

/// Asserts that each arrival has a recorded attempt, that each attempt but the last has an unknown result, and that none of
/// those began after the last kill. Returns the number of attempts with an unknown result.
fn classify(record: &Value, came: &HashMap<&str, Vec<Arrival>>, last_kill: Timestamp) -> usize {
    let arrivals = &came[record["conversationId"].as_str().unwrap()];
    let attempts = record["attempts"].as_array().unwrap();
    assert!(arrivals.len() <= attempts.len(), "not on record: {record} {arrivals:?}");
    let (last, cut_off) = attempts.split_last().unwrap();
    assert_eq!(last["outcome"], "success", "{record}");
    for attempt in cut_off {
        assert_eq!(attempt["outcome"], "unknown", "{record}");
        let started = Timestamp::parse(attempt["startedTime"].as_str().unwrap()).unwrap();
        assert!(started <= last_kill, "tried again, and no kill after it: {record}");
    }
    cut_off.len()
}
