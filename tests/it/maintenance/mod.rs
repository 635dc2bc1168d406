//! Sweeps, the dead man's switch, and what a wake-up leads to, in virtual time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{ConversationId, EndpointPolicy, Timestamp, WholeConversation};
use mcp_scheduler::maintenance::{SweepReason, SweepReport};
use mcp_scheduler::store::{
    ConversationStore, DueKey, Partition, PartitionSet, Slot, SlotWakeUp, StoreError, WakeUp, Watermark,
};

use crate::support::delivery_harness::{DeliveryHarness, NOON};

mod checkup;
mod dead_timer;
mod expiry;
mod logins;
mod overdue;
mod retention;
mod slots;
mod sweep;
mod switch;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A time that no wake-up reaches from noon.
const LATER: Timestamp = Timestamp::from_millis(NOON.as_millis() + 3_600_000);

/// The partition with this number.
fn partition(number: u8) -> Partition {
    ConversationStore::partitions().nth(number.into()).unwrap()
}

fn partitions(numbers: impl IntoIterator<Item = u8>) -> PartitionSet {
    numbers.into_iter().map(partition).collect()
}

/// Adds conversations to a partition, all due at one time and each on a host of its own. They get no wake-up.
async fn add(harness: &DeliveryHarness, number: u8, at: Timestamp, count: usize) -> Vec<DueKey> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    harness.endpoint.expect(&harness.client);
    let mut added = Vec::new();
    for _ in 0..count {
        let [a, b, c, d] = LAST.fetch_add(1, Relaxed).to_be_bytes();
        let id = ConversationId::new(NOON, &[0, 0, 0, 0, a, b, c, d, 0, number]);
        let request = ScheduleRequest {
            conversation_text: Some("Grüße".to_owned()),
            scheduled_time: Some(at.to_string()),
            endpoint: Some(format!("https://host-{id}.example/")),
            ..ScheduleRequest::default()
        };
        let new = request.validate(harness.now(), &EndpointPolicy::default()).unwrap();
        let whole = WholeConversation::new(id, harness.client.clone(), new, harness.now());
        harness.store.insert(&whole).await.unwrap();
        added.push(DueKey { at, client: harness.client.clone(), id });
    }
    added
}

/// Sweeps as the timer does.
async fn try_sweep(harness: &DeliveryHarness) -> Result<SweepReport, StoreError> {
    harness.sweeper().sweep(SweepReason::Timer).await
}

async fn sweep(harness: &DeliveryHarness) -> SweepReport {
    try_sweep(harness).await.unwrap()
}

/// The wake-ups for all rows of a second that were enqueued, in their order.
fn enqueued(harness: &DeliveryHarness) -> Vec<(Slot, PartitionSet)> {
    let enqueued = harness.queue.enqueued().into_iter();
    let slots = enqueued.filter_map(|enqueued| match enqueued.wake_up {
        WakeUp::Slot(SlotWakeUp { slot, partitions, part: None }) => Some((slot, partitions)),
        _ => None,
    });
    slots.collect()
}

/// When the dead man's switch was enqueued, and for which second.
fn switches(harness: &DeliveryHarness) -> Vec<(Timestamp, Slot)> {
    let enqueued = harness.queue.enqueued().into_iter();
    let switches = enqueued.filter_map(|enqueued| match enqueued.wake_up {
        WakeUp::Switch(slot) => Some((enqueued.at, slot)),
        _ => None,
    });
    switches.collect()
}

async fn watermark(harness: &DeliveryHarness) -> Watermark {
    harness.store.watermark().await.unwrap().unwrap().0
}

async fn marks(harness: &DeliveryHarness) -> BTreeMap<Partition, Slot> {
    watermark(harness).await.marks
}

/// How many times each conversation was called.
fn calls(harness: &DeliveryHarness) -> BTreeMap<ConversationId, usize> {
    let mut calls = BTreeMap::new();
    for call in harness.endpoint.calls() {
        *calls.entry(call.record.id()).or_default() += 1;
    }
    calls
}

/// Whether the endpoint was called once for each of these conversations, and for no other.
fn each_was_called_once(harness: &DeliveryHarness, added: &[DueKey]) -> bool {
    calls(harness) == added.iter().map(|key| (key.id, 1)).collect()
}
