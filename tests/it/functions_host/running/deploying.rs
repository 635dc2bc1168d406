//! A deployment loses no conversation: a new package replaces a running one while 500 conversations are due.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};

use crate::support::app_folder::AppFolder;
use crate::support::functions_host::Host;
use crate::support::host_harness::{HostHarness, login};
use crate::support::process_api::Api;
use crate::support::recording_receiver::{Arrival, Receiver};

const DUE: usize = 500;
/// All conversations are due within this time.
const WITHIN: Duration = Duration::from_secs(5);
/// The attempt after a lost one begins when the lease of 35 s is over and a sweep has found the conversation.
const PATIENCE: Duration = Duration::from_mins(4);
/// A request that was sent just before the kill may be read this long after it. Far shorter than a lease.
const ON_THE_WAY: Duration = Duration::from_secs(5);

/// Schedules the conversations on several connections, all of them before the first is due.
async fn schedule(api: &Api, endpoint: &str) -> HashSet<String> {
    let mut first = SystemClock.now() + Duration::from_secs(30);
    let step = WITHIN / u32::try_from(DUE).unwrap();
    let due: Vec<_> = std::iter::repeat_with(|| {
        first = first + step;
        first
    })
    .take(DUE)
    .collect();
    let requests =
        stream::iter(due).map(|due| async move { api.try_schedule(due, endpoint).await.expect("not accepted") });
    requests.buffer_unordered(16).collect().await
}

fn came(arrivals: &[Arrival]) -> HashMap<&str, Vec<Timestamp>> {
    let mut came: HashMap<_, Vec<_>> = HashMap::new();
    for arrival in arrivals {
        assert!(arrival.at >= arrival.scheduled, "early: {arrival:?}");
        came.entry(arrival.id.as_str()).or_default().push(arrival.at);
    }
    came
}

/// Asserts that every conversation arrives and is Completed. Returns how many arrived twice.
async fn classify(host: &Host, api: &Api, receiver: &Receiver, ids: &HashSet<String>, deployed: Timestamp) -> usize {
    let all = |arrivals: &[Arrival]| came(arrivals).len() == ids.len();
    let in_time = receiver.wait(PATIENCE, all).await;
    let arrivals = receiver.arrivals();
    let came = came(&arrivals);
    assert!(in_time, "{} of {DUE} arrived:\n{}", came.len(), host.log());
    stream::iter(ids).for_each_concurrent(16, |id| async move { drop(api.completed(id, PATIENCE).await) }).await;
    let twice: Vec<_> = came.values().filter(|times| times.len() > 1).collect();
    for times in &twice {
        assert!(
            times[0] <= deployed + ON_THE_WAY,
            "only the deployment may cause a second delivery: {times:?}, {deployed}"
        );
    }
    let late = arrivals.iter().map(|arrival| arrival.scheduled.until(arrival.at)).max().unwrap();
    eprintln!("{DUE} due at a deployment: {} twice, the last {:.1} s late", twice.len(), late.as_secs_f32());
    twice.len()
}

async fn half_way(receiver: &Receiver, host: &Host) {
    let some = receiver.wait(PATIENCE, |arrivals| arrivals.len() > DUE / 4).await;
    assert!(some, "{}", host.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_program_continues_the_work_of_the_old_one_that_was_killed() {
    let (harness, new) = (HostHarness::staged(), AppFolder::harness());
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::from_millis(200)).await);
    let api = login(&host).await;
    let ids = schedule(&api, &receiver.endpoint).await;
    half_way(&receiver, &host).await;
    // As the platform replaces a mounted package: another folder gets its name, then the process ends.
    let app = harness.options().app;
    fs::rename(&app, app.with_extension("old")).unwrap();
    fs::rename(new.path(), &app).unwrap();
    host.kill_handler();
    let deployed = SystemClock.now();
    let twice = classify(&host, &api, &receiver, &ids, deployed).await;
    assert!(twice <= 256, "at most what one instance has in flight");
    assert_eq!(host.handler_starts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_instance_takes_over_while_the_old_one_finishes_its_calls() {
    let harness = HostHarness::new();
    let (mut old, receiver) = (harness.host().await, Receiver::start(Duration::from_millis(200)).await);
    let api = login(&old).await;
    let ids = schedule(&api, &receiver.endpoint).await;
    half_way(&receiver, &old).await;
    let next = harness.another();
    let new = next.host().await;
    new.ready().await;
    old.shut_down().await;
    let deployed = SystemClock.now();
    let api = api.at(&new.url());
    classify(&new, &api, &receiver, &ids, deployed).await;
}
