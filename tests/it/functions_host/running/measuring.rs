//! Measures lateness and start-up time under the stand-in host. Not run with the tests, because the results depend on
//! other work on the machine. docs/performance.md says how to run these, and shows results.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use tokio::time::{Instant, sleep};

use crate::support::azurite::Azurite;
use crate::support::client::http;
use crate::support::functions_host::Host;
use crate::support::host_harness::{HostHarness, login};
use crate::support::recording_receiver::Receiver;

const DELIVERIES: u32 = 1_400;
/// Twenty deliveries a second.
const APART: Duration = Duration::from_millis(50);
/// All are scheduled within this time, before the first is due.
const AHEAD: Duration = Duration::from_secs(45);
const STARTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn lag_at_twenty_deliveries_a_second() {
    let (azurite, receiver) = (Azurite::start(), Receiver::start(Duration::ZERO).await);
    let harness = HostHarness::on(azurite.connection_string());
    let host = as_on_azure(&harness).await;
    let (api, first) = (&login(&host).await, SystemClock.now() + AHEAD);
    let endpoint = &*receiver.endpoint;
    // In mixed order: 37 and the number of deliveries have no common factor, so each time is used once.
    let due_times = stream::iter((0..DELIVERIES).map(|n| first + n * 37 % DELIVERIES * APART));
    let ids: HashSet<String> = due_times
        .map(|due| async move { api.try_schedule(due, endpoint).await.expect("not accepted") })
        .buffer_unordered(16)
        .collect()
        .await;
    assert!(SystemClock.now() < first, "the first was due before all were scheduled");
    let all = first + DELIVERIES * APART;
    let patience = SystemClock.now().until(all) + Duration::from_mins(2);
    assert!(receiver.wait(patience, |arrivals| arrivals.len() >= ids.len()).await, "{}", host.log());
    sleep(Duration::from_secs(2)).await;
    let arrivals = receiver.arrivals();
    let came: HashSet<_> = arrivals.iter().map(|arrival| arrival.id.clone()).collect();
    let early = arrivals.iter().filter(|arrival| arrival.at < arrival.scheduled).count();
    let mut late: Vec<_> = arrivals.iter().map(|arrival| arrival.scheduled.until(arrival.at).as_millis()).collect();
    late.sort_unstable();
    println!(
        "lag at 20/s over {} s: p50 {} ms, p90 {} ms, p99 {} ms, longest {} ms; {early} early, {} lost, {} twice",
        (DELIVERIES * APART).as_secs(),
        percentile(&late, 50),
        percentile(&late, 90),
        percentile(&late, 99),
        percentile(&late, 100),
        ids.difference(&came).count(),
        arrivals.len() - came.len(),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn from_exec_to_the_first_answer() {
    let harness = HostHarness::new();
    let (mut health, mut schedule) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let began = Instant::now();
        let host = as_on_azure(&harness).await;
        let answer = http().get(format!("{}/health", host.url())).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        health.push(began.elapsed().as_millis());
        let api = login(&host).await;
        api.try_schedule(Timestamp::parse("2031-01-01T00:00:00Z").unwrap(), "https://example.com/").await.unwrap();
        schedule.push(began.elapsed().as_millis());
        host.die().await;
    }
    for (what, mut taken) in [("200", health), ("accepted conversation", schedule)] {
        taken.sort_unstable();
        let (half, longest) = (percentile(&taken, 50), percentile(&taken, 100));
        println!("exec to the first {what}, {STARTS} times: p50 {half} ms, longest {longest} ms");
    }
}

/// Starts a host whose timer follows its own schedule, as on Azure.
async fn as_on_azure(harness: &HostHarness) -> Host {
    let mut options = harness.options();
    options.timer_period = None;
    Host::start(options).await
}

fn percentile(sorted: &[u128], percent: usize) -> u128 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
