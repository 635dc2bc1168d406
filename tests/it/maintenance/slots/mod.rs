//! What a wake-up for a second leads to.

use std::sync::Arc;

use mcp_scheduler::delivery::{RunReport, SlotRunner};
use mcp_scheduler::store::{DueBound, Part};
use mcp_scheduler::testing::Fault;

use super::*;
use crate::support::delivery_harness::Answer;

mod conversations;
mod parts;
mod permits;
mod timing;

/// A wake-up for all rows of the second of this time.
fn wake_up(at: Timestamp, partitions: PartitionSet) -> SlotWakeUp {
    SlotWakeUp { slot: Slot::of(at), partitions, part: None }
}

/// The parts that were left to others, and the pause of each.
fn left(harness: &DeliveryHarness) -> Vec<(SlotWakeUp, Duration)> {
    let enqueued = harness.queue.enqueued().into_iter();
    let parts = enqueued.filter_map(|enqueued| match enqueued.wake_up {
        WakeUp::Slot(wake_up) if wake_up.part.is_some() => Some((wake_up, enqueued.delay)),
        _ => None,
    });
    parts.collect()
}

/// Runs every part that was left, and those that are left meanwhile. Returns the attempts of each.
async fn run_parts(harness: &DeliveryHarness, runner: &SlotRunner) -> Vec<usize> {
    let mut attempted = Vec::new();
    while let Some((part, _)) = left(harness).get(attempted.len()).cloned() {
        attempted.push(runner.run(&part).await.unwrap().attempted);
    }
    attempted
}
