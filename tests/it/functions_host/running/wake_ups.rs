//! Duplicate, stale, early and lost wake-ups.

use std::sync::Arc;
use std::time::Duration;

use azure_storage_queues::QueueClient;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{AzureNames, ConversationStore, Etag, PartitionSet, Slot, WakeUp, Watermark};
use mcp_scheduler::testing::sealer;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::azurite;
use crate::support::functions_host::{Host, Source};
use crate::support::host_harness::{HostHarness, PATIENCE, caller, login, runs, until};
use crate::support::invocations::{first_release, text_of};
use crate::support::process_api::Api;
use crate::support::recording_receiver::{Arrival, Receiver};
use crate::support::service::CLIENT;

/// An overdue conversation is left to its wake-up for this long.
const GRACE: Duration = Duration::from_secs(10);
/// The wake-up of a conversation that is due this far ahead is hidden at first, so that a test can delete it.
const AHEAD: Duration = Duration::from_secs(5);

/// The message for all rows of the second in which a conversation is due.
fn slot_of(record: &Value) -> String {
    let due = Timestamp::parse(record["scheduledTime"].as_str().unwrap()).unwrap();
    text_of(&WakeUp::of_slot(Slot::of(due), PartitionSet::ALL))
}

async fn arrival(host: &Host, receiver: &Receiver) -> Arrival {
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    receiver.arrivals().swap_remove(0)
}

async fn completed_at_once(api: &Api, id: &str) {
    let record = api.completed(id, PATIENCE).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
}

async fn put(queue: &QueueClient, message: &str) {
    queue.put_message(message).await.unwrap();
}

/// Waits for a sweep, so that the next ones begin three minutes ahead and enqueue nothing for what is due before.
async fn have_swept(host: &Host) {
    until(host, || host.lines(Source::Function).iter().any(|line| line.contains("scheduler.sweep.enqueued"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_stale_and_early_wake_ups_change_nothing() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::from_secs(10), &receiver.endpoint).await;
    let (queue, poison) = harness.queues();
    let message = slot_of(&api.status(&id).await);
    // Twenty wake-ups, nine seconds early; then one of the first release, whose generation does not exist.
    for _ in 0..20 {
        put(&queue, &message).await;
    }
    put(&queue, &first_release(CLIENT, &id, 7)).await;
    let arrival = arrival(&host, &receiver).await;
    assert!(arrival.at >= arrival.scheduled, "early: {arrival:?}");
    completed_at_once(&api, &id).await;
    // And one after the conversation is final.
    put(&queue, &message).await;
    // Each of the twenty was enqueued again, because it came too early to be held.
    until(&host, || runs(&host, false) + runs(&host, true) >= 42).await;
    assert_eq!((receiver.arrivals().len(), runs(&host, true)), (1, 1), "{}", host.log());
    assert!(poison.get_messages().await.is_err(), "the poison queue does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_runs_what_a_lost_wake_up_has_left() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    have_swept(&host).await;
    let id = api.schedule(AHEAD, &receiver.endpoint).await;
    harness.queues().0.clear_messages().await.unwrap();
    let arrival = arrival(&host, &receiver).await;
    let late = arrival.scheduled.until(arrival.at);
    eprintln!("a lost wake-up costs {late:?}, with a sweep each second");
    assert!(late >= GRACE, "{late:?}");
    completed_at_once(&api, &id).await;
    assert_eq!(runs(&host, true), 0, "no message brought it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_finds_lost_wake_ups_when_the_timer_never_fires() {
    let harness = HostHarness::new();
    let mut options = harness.options();
    options.timer_period = Some(Duration::from_hours(1));
    let (host, receiver) = (Host::start(options).await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let (store, began) = (store(&harness), Instant::now());
    while swept(&store).await.is_none() {
        assert!(began.elapsed() < PATIENCE, "nobody has swept:\n{}", host.log());
        sleep(Duration::from_millis(10)).await;
    }
    let id = api.schedule(AHEAD, &receiver.endpoint).await;
    let (queue, _) = harness.queues();
    queue.clear_messages().await.unwrap();
    sleep(AHEAD + GRACE + Duration::from_secs(1)).await;
    assert!(receiver.arrivals().is_empty(), "{}", host.log());
    // As if the last sweep were long ago. The next request is the first that a new process gets.
    let etag = swept(&store).await.unwrap();
    store.write_watermark(Some(etag), &Watermark::start()).await.unwrap();
    host.kill_handler();
    until(&host, || host.handler_starts() == 2).await;
    assert_eq!(caller(&host).get("/health").await.status, 200);
    arrival(&host, &receiver).await;
    completed_at_once(&api, &id).await;
    assert_eq!(runs(&host, true), 0, "no message brought it");
    // The dead man's switch is on its way again.
    assert_eq!(queue.get_metadata().await.unwrap().approximate_messages_count, 1);
}

fn store(harness: &HostHarness) -> ConversationStore {
    let store = azurite::store_under(&harness.connection, &AzureNames::default(), Arc::new(SystemClock));
    ConversationStore::new(store.conversations(), sealer())
}

/// The etag of the watermark of the first complete sweep, or of a later one.
async fn swept(store: &ConversationStore) -> Option<Etag> {
    let (watermark, etag) = store.watermark().await.unwrap()?;
    (watermark.lowest().start() > Timestamp::MIN).then_some(etag)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_an_older_program_has_left_in_the_queue_are_delivered() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let (queue, poison) = harness.queues();
    have_swept(&host).await;
    let id = api.schedule(AHEAD, &receiver.endpoint).await;
    queue.clear_messages().await.unwrap();
    let message = first_release(CLIENT, &id, 1);
    queue.put_message(message).visibility_timeout(Duration::from_secs(3)).await.unwrap();
    let arrival = arrival(&host, &receiver).await;
    let late = arrival.scheduled.until(arrival.at);
    assert!(arrival.at >= arrival.scheduled && late < GRACE, "not by its message: {late:?}");
    completed_at_once(&api, &id).await;
    until(&host, || runs(&host, true) == 1).await;
    assert!(poison.get_messages().await.is_err(), "the poison queue does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_do_not_delay_the_others() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let (queue, _) = harness.queues();
    let unread = r#"{"v":1,"job":{"client":"x","id":"y","generation":1}}"#;
    for text in ["", "no wake-up", r#"{"v":2,"job":{}}"#, r#"{"v":3,"job":{}}"#, unread] {
        put(&queue, text).await;
    }
    put(&queue, &first_release(CLIENT, "0189c0de-0000-7000-8000-000000000001", 1)).await;
    let due: Timestamp = SystemClock.now() + Duration::from_secs(2);
    let id = api.try_schedule(due, &receiver.endpoint).await.unwrap();
    let arrival = arrival(&host, &receiver).await;
    assert!(arrival.scheduled.until(arrival.at) < GRACE, "{arrival:?}");
    api.completed(&id, PATIENCE).await;
    until(&host, || runs(&host, false) >= 1).await;
    until(&host, || host.lines(Source::Host).len() >= 5).await;
    assert_eq!(host.handler_starts(), 1);
}
