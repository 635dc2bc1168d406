//! Duplicate, stale, early and lost wake-ups.

use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::WakeUp;
use mcp_scheduler::time::{Clock as _, SystemClock};

use crate::support::functions_host::Source;
use crate::support::host_harness::{HostHarness, PATIENCE, login, until};
use crate::support::recording_receiver::Receiver;
use crate::support::service::CLIENT;

fn message(id: &str, generation: u32) -> String {
    WakeUp { client: CLIENT.parse().unwrap(), id: id.parse().unwrap(), generation }.to_message()
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_stale_and_early_wake_ups_change_nothing() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::from_secs(10), &receiver.endpoint).await;
    let (queue, poison) = harness.queues();
    // Twenty wake-ups, nine seconds early; then one of a generation that does not exist.
    for _ in 0..20 {
        queue.put_message(message(&id, 1)).await.unwrap();
    }
    queue.put_message(message(&id, 7)).await.unwrap();
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    let record = api.completed(&id, PATIENCE).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    // And one after the conversation is final.
    queue.put_message(message(&id, 1)).await.unwrap();
    let handled = |lines: &[String]| lines.iter().filter(|line| line.contains(&id)).count();
    until(&host, || handled(&host.lines(Source::Function)) >= 42).await;
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals.len(), 1, "{arrivals:?}");
    assert!(arrivals[0].at >= arrivals[0].scheduled, "early: {arrivals:?}");
    let said = host.lines(Source::Function);
    let with = |ending: &str| said.iter().filter(|line| line.contains(&id) && line.ends_with(ending)).count();
    assert!(with("another wake-up was enqueued") > 0 && with("now Completed") == 1, "{said:#?}");
    assert!(poison.get_messages().await.is_err(), "the poison queue does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_replaces_a_lost_wake_up() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::from_secs(10), &receiver.endpoint).await;
    harness.queues().0.clear_messages().await.unwrap();
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    let arrivals = receiver.arrivals();
    let late = arrivals[0].scheduled.until(arrivals[0].at);
    eprintln!("a lost wake-up costs {late:?}, with a sweep each second");
    // A wake-up counts as lost twenty seconds after its time.
    assert!(late >= Duration::from_secs(20), "{late:?}");
    assert_eq!(api.completed(&id, PATIENCE).await["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_do_not_delay_the_others() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let (queue, _) = harness.queues();
    for text in ["", "no wake-up", r#"{"v":2,"job":{}}"#, r#"{"v":1,"job":{"client":"x","id":"y","generation":1}}"#] {
        queue.put_message(text).await.unwrap();
    }
    let missing = "0189c0de-0000-7000-8000-000000000001";
    queue.put_message(message(missing, 1)).await.unwrap();
    let due: Timestamp = SystemClock.now() + Duration::from_secs(2);
    let id = api.try_schedule(due, &receiver.endpoint).await.unwrap();
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    api.completed(&id, PATIENCE).await;
    let nothing = |lines: &[String]| lines.iter().any(|line| line.contains(missing) && line.ends_with("nothing to do"));
    until(&host, || nothing(&host.lines(Source::Function))).await;
    until(&host, || host.lines(Source::Host).len() >= 4).await;
    assert_eq!(host.handler_starts(), 1);
}
