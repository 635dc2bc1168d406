//! An outage of storage: the host ends and leaves the program, and another instance takes over when storage is back.

use std::collections::HashMap;
use std::time::Duration;

use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::support::azurite::Azurite;
use crate::support::client::{Answer, conversation, http};
use crate::support::functions_host::{Host, HostOptions, Patience};
use crate::support::host_harness::{HostHarness, PATIENCE, caller, login};
use crate::support::process_api::Api;
use crate::support::recording_receiver::{Arrival, Receiver};

/// How long the host waits for storage. A real one waits longer.
const STORAGE: Duration = Duration::from_secs(15);
/// The result of an attempt that begins this shortly before the outage may be lost.
const IN_FLIGHT: Duration = Duration::from_secs(10);

/// What callers are told, in order: a schedule, a look, `ready` and `health`. None if the host ends meanwhile.
async fn ask(host: &Host, api: &Api, id: &str, receiver: &Receiver) -> Option<[Answer; 4]> {
    let url = host.url();
    let body = conversation(json!({ "endpoint": &receiver.endpoint })).to_string();
    let schedule = http().post(format!("{url}/api/scheduler/schedule")).header("content-type", "application/json");
    let look = http().get(format!("{url}/api/scheduler/status/{id}")).bearer_auth(api.token());
    let [ready, health] = ["health/ready", "health"].map(|path| http().get(format!("{url}/{path}")));
    let mut answers = Vec::new();
    for request in [schedule.bearer_auth(api.token()).body(body), look, ready, health] {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { status, headers, text: response.text().await.ok()? };
        answer.check();
        answers.push(answer);
    }
    answers.try_into().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn during_an_outage_of_storage_callers_get_503_and_the_next_instance_loses_nothing() {
    let mut azurite = Azurite::start();
    let harness = HostHarness::on(azurite.connection_string());
    let patience = Patience { poll: STORAGE, release: STORAGE, ..Patience::default() };
    let host = Host::start(HostOptions { patience, ..harness.options() }).await;
    let receiver = Receiver::start(Duration::ZERO).await;
    let api = login(&host).await;
    // Some are due before the outage, some during it, and some after it.
    let mut ids = Vec::new();
    for n in 0..60 {
        let due = SystemClock.now() + Duration::from_millis(2_000 + n * 700);
        ids.push(api.try_schedule(due, &receiver.endpoint).await.expect("not accepted"));
    }
    assert!(receiver.wait(PATIENCE, |arrivals| arrivals.len() > 3).await, "{}", host.log());

    let going_at = SystemClock.now();
    block_in_place(|| azurite.stop());
    let gone_at = SystemClock.now();
    let mut refusals = 0;
    while !host.has_stopped() {
        let Some([refused, seen, ready, health]) = ask(&host, &api, &ids[0], &receiver).await else { break };
        refused.assert_problem(503, "unavailable");
        assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{refused:?}");
        seen.assert_problem(503, "unavailable");
        assert_eq!((ready.status, health.status), (503, 200));
        refusals += 1;
        sleep(Duration::from_secs(1)).await;
    }
    assert!(refusals > 3 && host.has_stopped() && host.handler_is_running(), "{}", host.log());
    block_in_place(|| azurite.start_again());

    // The program that was left behind is still there. It does not matter to the next instance.
    let next = harness.another();
    let next = next.host().await;
    let (api, caller) = (api.at(&next.url()), caller(&next));
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
    assert_eq!((host.handler_starts(), next.handler_starts()), (1, 1), "{}", host.log());
    eprintln!("{} delivered, {} twice", ids.len(), came.values().filter(|arrivals| arrivals.len() > 1).count());
}
