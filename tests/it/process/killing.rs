//! kill -9, a hundred times on one data directory: no acknowledged conversation is lost, none is sent early, and only
//! deliveries in flight at a kill are sent twice.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::recording_receiver::{Arrival, Receiver};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service};

const CYCLES: u64 = 100;
const CONNECTIONS: u64 = 4;
const SEED: u64 = 0x5eed_1e55;
/// The time after the last start within which everything must have arrived. A service with exclusive access to its store
/// does not wait for the leases of lost attempts, which last 35 s. It does wait for the pauses after them: 5 s, then 30 s
/// and 2 minutes if the second and the third attempt of a conversation were lost too.
const PATIENCE: Duration = Duration::from_mins(3);
/// The longest time that a delivery may be in flight, from its request until its result is stored.
const IN_FLIGHT: Duration = Duration::from_secs(5);
/// The time for which the receiver may still read a request that was sent just before the kill.
const ON_THE_WAY: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_lose_nothing_and_send_nothing_early() {
    let began = Instant::now();
    let place = Place::new();
    let receiver = Receiver::start(Duration::ZERO).await;
    let port = fixed_port().to_string();
    let settings: Vec<_> = CONFIGURED.into_iter().chain([("PORT", port.as_str())]).collect();
    let first = place.start(&settings);
    let api = Api::login(first.url(), CLIENT, KEY).await;
    first.stop();

    let acknowledged = Arc::new(Mutex::new(HashMap::new()));
    let mut kills = Vec::new();
    for cycle in 0..CYCLES {
        let mut random = Random(SEED + cycle);
        let mut service = place.spawn(&settings);
        let mut load = JoinSet::new();
        // Every tenth process is killed before it serves, so that some kills hit a recovery.
        if cycle % 10 == 9 {
            pause(random.up_to(40)).await;
        } else {
            service = listening(service).await;
            load = put_load(&api, &receiver.endpoint, cycle, &acknowledged);
            pause(5 + random.up_to(495)).await;
        }
        kills.push(SystemClock.now());
        service.kill();
        load.join_all().await;
    }
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    let killing = began.elapsed();

    let service = place.start(&settings);
    let all_came = |arrivals: &[Arrival]| {
        let came: HashSet<_> = arrivals.iter().map(|arrival| arrival.id.as_str()).collect();
        acknowledged.keys().all(|id: &String| came.contains(id.as_str()))
    };
    let in_time = receiver.wait(PATIENCE, all_came).await;
    let unfinished = unfinished(&api, acknowledged.keys().cloned().collect(), PATIENCE).await;
    service.stop();

    let verdict = Verdict::of(&acknowledged, &receiver.arrivals(), &kills);
    eprintln!(
        "{CYCLES} kills, seed {SEED:#x}: {} acknowledged, {} lost, {} early, {} twice of which {} not in flight at a \
         kill; {:.0} s of killing, {:.0} s in all",
        acknowledged.len(),
        verdict.lost.len(),
        verdict.early.len(),
        verdict.twice,
        verdict.twice_without_cause.len(),
        killing.as_secs_f32(),
        began.elapsed().as_secs_f32(),
    );
    assert!(acknowledged.len() > 500, "too little load to tell anything");
    assert!(verdict.lost.is_empty(), "lost: {:?}", verdict.lost);
    assert!(in_time, "some came only {PATIENCE:?} after the last start or later");
    assert!(verdict.early.is_empty(), "early: {:?}", verdict.early);
    assert!(verdict.twice_without_cause.is_empty(), "twice: {:?}", verdict.twice_without_cause);
    assert!(unfinished.is_empty(), "not Completed: {unfinished:?}");
}

#[test]
fn after_a_kill_during_the_first_start_the_next_start_succeeds() {
    for after in (0..60).step_by(2).map(Duration::from_millis) {
        let place = Place::new();
        let mut service = place.spawn(&[]);
        std::thread::sleep(after);
        service.kill();
        place.start(&[]).stop();
    }
}

async fn listening(mut service: Service) -> Service {
    tokio::task::spawn_blocking(move || {
        service.wait_until_listening();
        service
    })
    .await
    .unwrap()
}

/// Schedules on several connections until the service is gone.
fn put_load(
    api: &Api,
    endpoint: &str,
    cycle: u64,
    acknowledged: &Arc<Mutex<HashMap<String, Timestamp>>>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (api, endpoint, acknowledged) = (api.clone(), endpoint.to_owned(), Arc::clone(acknowledged));
        let mut random = Random(SEED ^ ((cycle * CONNECTIONS + connection + 1) << 32));
        connections.spawn(async move {
            loop {
                let due = SystemClock.now() + Duration::from_millis(random.up_to(3000));
                let conversation = json!({
                    "conversationText": "hello", "scheduledTime": due.to_string(), "endpoint": endpoint,
                    "timeoutSeconds": 5,
                });
                let Some(id) = api.try_schedule_this(&conversation).await else { return };
                acknowledged.lock().unwrap().insert(id, due);
                pause(random.up_to(20)).await;
            }
        });
    }
    connections
}

/// The conversations that are not Completed in time, with their status.
async fn unfinished(api: &Api, ids: Vec<String>, patience: Duration) -> Vec<(String, String)> {
    let deadline = Instant::now() + patience;
    let mut open: Vec<_> = ids.into_iter().map(|id| (id, String::new())).collect();
    loop {
        let mut still = Vec::new();
        for (id, _) in open {
            let status = match api.try_status(&id).await {
                Ok(record) => record["status"].as_str().unwrap().to_owned(),
                Err(status) => format!("HTTP {status}"),
            };
            if status != "Completed" {
                still.push((id, status));
            }
        }
        if still.is_empty() || Instant::now() > deadline {
            return still;
        }
        open = still;
        pause(500).await;
    }
}

struct Verdict {
    lost: Vec<String>,
    early: Vec<Arrival>,
    twice: usize,
    twice_without_cause: Vec<Vec<Arrival>>,
}

impl Verdict {
    fn of(acknowledged: &HashMap<String, Timestamp>, arrivals: &[Arrival], kills: &[Timestamp]) -> Self {
        let mut came: HashMap<&str, Vec<Arrival>> = HashMap::new();
        for arrival in arrivals {
            came.entry(&arrival.id).or_default().push(arrival.clone());
        }
        // A conversation that was not acknowledged may arrive, but not early.
        let due = |arrival: &Arrival| acknowledged.get(&arrival.id).copied().unwrap_or(arrival.scheduled);
        let in_flight = |arrival: &Arrival| {
            kills.iter().any(|kill| (arrival.at - ON_THE_WAY..=arrival.at + IN_FLIGHT).contains(kill))
        };
        let twice: Vec<_> = came.values().filter(|arrivals| arrivals.len() > 1).cloned().collect();
        Self {
            lost: acknowledged.keys().filter(|id| !came.contains_key(id.as_str())).cloned().collect(),
            early: arrivals.iter().filter(|arrival| arrival.at < due(arrival)).cloned().collect(),
            twice: twice.len(),
            // A kill must have cut off each delivery but the last.
            twice_without_cause: twice
                .into_iter()
                .filter(|arrivals| !arrivals[..arrivals.len() - 1].iter().all(in_flight))
                .collect(),
        }
    }
}

/// `SplitMix64` with a fixed seed: the pauses before the kills are the same in every run.
struct Random(u64);

impl Random {
    fn up_to(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % (limit + 1)
    }
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
