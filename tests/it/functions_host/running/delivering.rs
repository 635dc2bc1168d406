//! Conversations arrive at their time.

use std::time::Duration;

use mcp_scheduler::time::{Clock as _, SystemClock};

use crate::support::functions_host::Source;
use crate::support::host_harness::{HostHarness, PATIENCE, attempts_of_runs, login, until};
use crate::support::recording_receiver::Receiver;

#[tokio::test(flavor = "multi_thread")]
async fn conversations_arrive_at_their_time() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let now = SystemClock.now();
    let mut ids = Vec::new();
    for after in [0, 700, 1_500, 2_300, 3_100, 4_000, 5_500] {
        let due = now + Duration::from_millis(after);
        ids.push(api.try_schedule(due, &receiver.endpoint).await.expect("not accepted"));
    }
    assert!(receiver.wait(PATIENCE, |arrivals| arrivals.len() == ids.len()).await, "{}", host.log());
    for id in &ids {
        let record = api.completed(id, PATIENCE).await;
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    }
    let mut lateness = Vec::new();
    for arrival in receiver.arrivals() {
        assert!(arrival.at >= arrival.scheduled, "early: {arrival:?}");
        lateness.push(arrival.scheduled.until(arrival.at));
    }
    eprintln!("late by {lateness:?}");
    until(&host, || attempts_of_runs(&host.lines(Source::Function)).sum::<u64>() == ids.len() as u64).await;
    assert_eq!(host.lines(Source::Stderr), [""; 0]);
    assert_eq!(host.lines(Source::Host), [""; 0]);
}
