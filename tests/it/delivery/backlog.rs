//! The follower while a client has more overdue conversations than the follower takes into memory.

use std::collections::BTreeSet;
use std::time::Duration;

use mcp_scheduler::domain::{ClientId, Timestamp};
use mcp_scheduler::store::DueKey;

use crate::support::delivery_harness::{Call, DeliveryHarness, NOON};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// The most conversations of a client that the follower takes into memory.
const IN_MEMORY: usize = 4096;
/// The most requests of a client alone that are under way.
const IN_FLIGHT: usize = 1024;

fn client(name: &str) -> ClientId {
    name.parse().unwrap()
}

/// A conversation with a host of its own, which answers after this time.
async fn schedule(harness: &DeliveryHarness, client: &ClientId, at: Timestamp, host: &str, takes: Duration) -> DueKey {
    harness.endpoint.set_latency(host, takes);
    let ahead = harness.now().until(at);
    harness.schedule_for(client, ahead, |request| request.endpoint = Some(format!("https://{host}/"))).await
}

/// Conversations of a client that are all due in a second.
async fn schedule_many(harness: &DeliveryHarness, client: &ClientId, count: usize, takes: Duration) {
    for number in 0..count {
        schedule(harness, client, NOON + SECOND, &format!("{client}-{number}.example"), takes).await;
    }
}

fn calls_of(harness: &DeliveryHarness, client: &str) -> Vec<Call> {
    harness.endpoint.calls().into_iter().filter(|call| call.record.client().as_str() == client).collect()
}

fn lateness(calls: &[Call]) -> Duration {
    calls.iter().map(|call| call.record.due().until(call.at)).max().unwrap()
}

/// The tasks of this test. A delivery that has been started is a task.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn a_row_is_on_time_beside_hanging_rows(count: usize) {
    let harness = DeliveryHarness::in_one_process();
    let (ann, bob) = (harness.client.clone(), client("bob"));
    schedule_many(&harness, &ann, count, HOUR).await;
    let (first, second) = (NOON + SECOND, NOON + 3 * MINUTE);
    schedule(&harness, &bob, first, "good.example", Duration::ZERO).await;
    harness.start_follower();
    harness.wait_until(NOON + 2 * MINUTE).await;
    assert_eq!(calls_of(&harness, "ann").len(), IN_FLIGHT);
    assert!(tasks() <= IN_MEMORY + 1, "{} tasks", tasks());
    schedule(&harness, &bob, second, "good.example", Duration::ZERO).await;
    schedule(&harness, &bob, harness.now(), "good.example", Duration::ZERO).await;
    harness.wait_until(NOON + 4 * MINUTE).await;
    let good = calls_of(&harness, "bob");
    assert_eq!((good.len(), lateness(&good)), (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_row_is_on_time_beside_ten_thousand_rows_of_a_client_whose_endpoints_hang() {
    a_row_is_on_time_beside_hanging_rows(10_000).await;
}

/// Takes a minute. Run by `make hold`.
#[tokio::test(start_paused = true)]
#[ignore = "takes a minute without optimisation"]
async fn hold_a_row_is_on_time_beside_a_hundred_thousand_rows_of_a_client_whose_endpoints_hang() {
    a_row_is_on_time_beside_hanging_rows(100_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_with_overdue_rows_of_a_client_whose_endpoints_hang_delays_no_other_client() {
    let harness = DeliveryHarness::in_one_process();
    let (ann, bob) = (harness.client.clone(), client("bob"));
    schedule_many(&harness, &ann, 10_000, HOUR).await;
    let start = NOON + MINUTE;
    // Overdue before the others, overdue behind them, and due soon.
    for at in [NOON, start - SECOND, start + SECOND / 10, start + SECOND] {
        schedule(&harness, &bob, at, "good.example", Duration::ZERO).await;
    }
    harness.wait_until(start).await;
    harness.start_follower();
    harness.wait_until(start + 2 * SECOND).await;
    let good: Vec<_> = calls_of(&harness, "bob").iter().map(|call| call.at).collect();
    assert_eq!(good, [start, start, start + SECOND / 10, start + SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_sent_to_its_end_and_each_row_once() {
    let harness = DeliveryHarness::in_one_process();
    let ann = harness.client.clone();
    schedule_many(&harness, &ann, 10_000, SECOND).await;
    harness.start_follower();
    // 1,024 at a time, each in a second.
    harness.wait_until(NOON + 15 * SECOND).await;
    let calls = harness.endpoint.calls();
    let sent: BTreeSet<_> = calls.iter().map(|call| call.record.id()).collect();
    assert_eq!((calls.len(), sent.len()), (10_000, 10_000));
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_sent_to_its_end_behind_one_of_a_client_whose_endpoints_hang() {
    let harness = DeliveryHarness::in_one_process();
    let (ann, bob) = (harness.client.clone(), client("bob"));
    schedule_many(&harness, &ann, 10_000, HOUR).await;
    schedule_many(&harness, &bob, 6_000, SECOND).await;
    harness.start_follower();
    // A third of the permits, each for a second.
    harness.wait_until(NOON + 20 * SECOND).await;
    assert_eq!(calls_of(&harness, "bob").len(), 6_000);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_committed_behind_a_backlog_with_the_same_time_is_sent() {
    let harness = DeliveryHarness::in_one_process();
    let (ann, bob) = (harness.client.clone(), client("bob"));
    schedule_many(&harness, &ann, 10_000, HOUR).await;
    harness.start_follower();
    harness.wait_until(NOON + SECOND - Duration::from_millis(1)).await;
    // All rows of the other client have been read by now, and in the order of the store this one is behind them.
    schedule(&harness, &bob, NOON + SECOND, "good.example", Duration::ZERO).await;
    harness.wait_until(NOON + 2 * SECOND).await;
    let good = calls_of(&harness, "bob");
    assert_eq!((good.len(), lateness(&good)), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_backlog_with_failures_of_the_store_is_sent_to_its_end() {
    let harness = DeliveryHarness::in_one_process();
    let ann = harness.client.clone();
    schedule_many(&harness, &ann, 10_000, SECOND).await;
    harness.start_follower();
    for second in [2, 4, 7] {
        harness.wait_until(NOON + SECOND * second).await;
        harness.table.set_down(true);
        tokio::time::sleep(SECOND / 2).await;
        harness.table.set_down(false);
    }
    harness.wait_until(NOON + 5 * MINUTE).await;
    let sent: BTreeSet<_> = harness.endpoint.calls().iter().map(|call| call.record.id()).collect();
    assert_eq!(sent.len(), 10_000);
    assert!(harness.due_rows().await.is_empty());
}
