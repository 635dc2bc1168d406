//! Conversations of one client that are due together are read together, before they have a permit. A run leaves alone what
//! another run has in hand.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::{Conversation, Status};
use mcp_scheduler::store::{ConversationStore, DueKey, Slot, SlotWakeUp, Versioned};
use mcp_scheduler::testing::Fault;

use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON, led_to};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

async fn read(harness: &DeliveryHarness, due: &DueKey) -> Option<Box<Versioned<Conversation>>> {
    harness.store.get(&due.client, due.id).await.unwrap().map(Box::new)
}

#[tokio::test(start_paused = true)]
async fn one_that_was_cancelled_after_it_was_read_is_not_sent() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(SECOND, |_| ()).await;
    let before = read(&harness, &due).await;
    harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    let delivered = harness.deliverer().deliver_read(&due, before, None).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::NothingToDo);
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_was_delivered_after_it_was_read_is_not_sent_again() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let before = read(&harness, &due).await;
    harness.deliverer().deliver(&due, None).await.unwrap();
    let delivered = harness.deliverer().deliver_read(&due, before, None).await.unwrap();
    assert_eq!(delivered, DeliveryOutcome::NothingToDo);
    assert_eq!(harness.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_due_at_another_time_when_it_was_read_is_read_again() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let before = read(&harness, &due).await;
    harness.endpoint.will([Answer::status(503)]);
    harness.deliverer().deliver(&due, None).await.unwrap();
    let next = harness.next_due(&due).await.unwrap();
    let delivered = harness.deliverer().deliver_read(&next, before, None).await.unwrap();
    assert_eq!(led_to(&delivered), Some(Status::Completed));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_not_changed_is_not_read_again() {
    let harness = DeliveryHarness::new();
    // The payload has a row of its own, and needs more than one permit.
    let due = harness.schedule(Duration::ZERO, |request| request.conversation_text = Some("x".repeat(150_000))).await;
    let before = read(&harness, &due).await;
    let calls = harness.table.calls();
    let delivered = harness.deliverer().deliver_read(&due, before, None).await.unwrap();
    assert_eq!(led_to(&delivered), Some(Status::Completed));
    assert_eq!(harness.table.calls() - calls, 4, "the payload, the claim, the endpoint's own look, and the result");
}

/// Schedules conversations for one second, and runs its wake-up. The table answers its calls with these faults. Returns the
/// number of calls besides the scans of due rows, the claims, the results, and the looks of the endpoint.
async fn reads_of_a_run(count: usize, faults: &[Fault]) -> usize {
    const PARTITIONS: usize = 16;
    let harness = DeliveryHarness::new();
    for _ in 0..count {
        harness.schedule(MINUTE, |_| ()).await;
    }
    harness.wait_until(NOON + MINUTE).await;
    harness.table.next_calls(&[Fault::default(); PARTITIONS]);
    harness.table.next_calls(faults);
    let calls = harness.table.calls();
    let partitions = ConversationStore::partitions().collect();
    let wake_up = SlotWakeUp { slot: Slot::of(NOON + MINUTE), partitions, part: None };
    harness.runner().run(&wake_up).await.unwrap();
    assert_eq!(harness.endpoint.calls().len(), count);
    harness.table.calls() - calls - PARTITIONS - 3 * count
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_reads_many_conversations_of_a_client_with_one_scan_for_each_partition() {
    // They are in two partitions or three, and in each but one are more than seven.
    let reads = reads_of_a_run(40, &[]).await;
    assert!((2..=2 + 7).contains(&reads), "{reads} reads");
}

#[tokio::test(start_paused = true)]
async fn those_that_cannot_be_read_together_are_read_alone() {
    // The first of one, two or three scans fails, and at least eight conversations are read alone.
    let reads = reads_of_a_run(40, &[Fault::Refused]).await;
    assert!((2 + 8..=1 + 40).contains(&reads), "{reads} reads");
}

#[tokio::test(start_paused = true)]
async fn a_run_leaves_alone_what_another_run_has_until_that_has_ended() {
    let harness = DeliveryHarness::new();
    for _ in 0..5 {
        harness.schedule(MINUTE + SECOND / 2, |_| ()).await;
    }
    harness.wait_until(NOON + MINUTE).await;
    let partitions = ConversationStore::partitions().collect();
    let wake_up = SlotWakeUp { slot: Slot::of(NOON + MINUTE), partitions, part: None };
    let runner = harness.runner();
    let first = tokio::spawn({
        let (runner, wake_up) = (Arc::clone(&runner), wake_up.clone());
        async move { runner.run(&wake_up).await.unwrap() }
    });
    tokio::time::sleep(SECOND / 10).await;
    let calls = harness.table.calls();
    assert_eq!(runner.run(&wake_up).await.unwrap().attempted, 0);
    assert_eq!(harness.table.calls() - calls, 16, "the scans of the due rows");
    // The attempts of the first run are refused before they are claimed.
    harness.table.set_down(true);
    tokio::time::sleep(SECOND).await;
    assert!(first.await.is_err(), "the run has failed");
    harness.table.set_down(false);
    assert_eq!(runner.run(&wake_up).await.unwrap().attempted, 5);
    assert_eq!(harness.endpoint.calls().len(), 5);
}
