//! An outage of storage.

use std::collections::HashMap;
use std::time::Duration;

use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::support::azurite::Azurite;
use crate::support::client::conversation;
use crate::support::host_harness::{HostHarness, PATIENCE, caller, login};
use crate::support::recording_receiver::{Arrival, Receiver};

const OUTAGE: Duration = Duration::from_secs(30);
/// The result of an attempt that begins this shortly before the outage may be lost.
const IN_FLIGHT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn during_an_outage_of_storage_callers_get_503_and_nothing_is_lost() {
    let mut azurite = Azurite::start();
    let harness = HostHarness::on(azurite.connection_string());
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let (api, caller) = (login(&host).await, caller(&host));
    // Some are due before the outage, some during it, and some after it.
    let mut ids = Vec::new();
    for n in 0..60 {
        let due = SystemClock.now() + Duration::from_millis(2_000 + n * 700);
        ids.push(api.try_schedule(due, &receiver.endpoint).await.expect("not accepted"));
    }
    assert!(receiver.wait(PATIENCE, |arrivals| arrivals.len() > 3).await, "{}", host.log());

    caller.token().await;
    let going_at = SystemClock.now();
    block_in_place(|| azurite.stop());
    let (gone, gone_at) = (Instant::now(), SystemClock.now());
    while gone.elapsed() < OUTAGE {
        let refused = caller.schedule(json!({ "endpoint": &receiver.endpoint })).await;
        refused.assert_problem(503, "unavailable");
        assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{refused:?}");
        caller.status(&ids[0]).await.assert_problem(503, "unavailable");
        assert_eq!(caller.get("/health/ready").await.status, 503);
        assert_eq!(caller.get("/health").await.status, 200);
        sleep(Duration::from_secs(1)).await;
    }
    block_in_place(|| azurite.start_again());

    let soon = json!({ "endpoint": &receiver.endpoint, "scheduledTime": SystemClock.now().to_string() });
    let back = Instant::now();
    let id = loop {
        let answer = caller.schedule_raw(conversation(soon.clone()).to_string()).await;
        if answer.status == 200 {
            break answer.json()["conversationId"].as_str().unwrap().to_owned();
        }
        assert!(answer.status == 503 && back.elapsed() < PATIENCE, "{answer:?}");
        sleep(Duration::from_millis(100)).await;
    };
    ids.push(id);
    for id in &ids {
        api.completed(id, 3 * PATIENCE).await;
    }
    let mut came: HashMap<String, Vec<Arrival>> = HashMap::new();
    for arrival in receiver.arrivals() {
        assert!(arrival.at >= arrival.scheduled, "early: {arrival:?}");
        came.entry(arrival.id.clone()).or_default().push(arrival);
    }
    for arrivals in came.values().filter(|arrivals| arrivals.len() > 1) {
        let first = arrivals[0].at;
        let in_flight = first <= gone_at + IN_FLIGHT && first + IN_FLIGHT >= going_at;
        assert!(in_flight, "twice, and not in flight: {arrivals:?}");
    }
    assert_eq!(came.len(), ids.len(), "lost");
    assert_eq!(host.handler_starts(), 1, "{}", host.log());
    eprintln!("{} delivered, {} twice", ids.len(), came.values().filter(|arrivals| arrivals.len() > 1).count());
}
