//! What conversations cost: the storage operations and the invocations are counted, and docs/cost.md has the figures.

mod bars;
mod estimate;

use std::time::Duration;

use crate::support::cost::batch;
use crate::support::cost::idle::Idle;
use crate::support::cost::load::{A_DAY, A_MINUTE, Load, Measured, Spread};
use crate::support::cost::tables;
use crate::support::golden::check_part;

const DOCUMENT: &str = "docs/cost.md";

/// Conversations at independent times: the due ones per second, for so many seconds, so many times.
const RATES: [(u64, u64, u64); 4] = [(1, 300, 4), (10, 120, 1), (100, 30, 1), (1000, 5, 1)];

const fn load(per_second: u64, seconds: u64, ahead: Duration) -> Load {
    Load { per_second, seconds, ahead, spread: Spread::Independent, queues: 1, runs: 1 }
}

#[test]
fn conversations_cost_what_the_document_says() {
    let loads = RATES.map(|(per_second, seconds, runs)| {
        [A_MINUTE, A_DAY].map(|ahead| Load { runs, ..load(per_second, seconds, ahead) }.run())
    });
    let regular = [A_MINUTE, A_DAY].map(|ahead| Load { spread: Spread::Regular, ..load(1, 300, ahead) }.run());
    let slow: Vec<Measured> = loads[0].into_iter().chain(regular).collect();
    let loads: Vec<Measured> = loads.into_iter().flatten().collect();
    let commits = batch::commits();
    // The batch is in four or five partitions. Each has a commit that goes at once, and one with the rest.
    assert!(commits <= 9.0, "{commits} transactions for a batch");
    for load in &loads {
        bars::check(load, commits);
    }
    slow.iter().for_each(bars::check_beside_first_release);
    loads.iter().for_each(estimate::check);
    check_part(DOCUMENT, "prices", &tables::prices());
    check_part(DOCUMENT, "batch", &tables::batch(commits));
    check_part(DOCUMENT, "counts", &tables::counts(&loads));
    check_part(DOCUMENT, "bills", &tables::bills(&loads, commits));
    check_part(DOCUMENT, "comparison", &tables::comparison(&loads, commits));
    check_part(DOCUMENT, "first release", &tables::first_release(&slow));
}

#[test]
fn more_instances_cost_what_the_document_says() {
    let loads = [A_MINUTE, A_DAY]
        .into_iter()
        .flat_map(|ahead| [1, 2, 10].map(|queues| Load { queues, ..load(100, 40, ahead) }.run()));
    let loads: Vec<_> = loads.collect();
    loads.iter().for_each(bars::check_instances);
    check_part(DOCUMENT, "instances", &tables::instances(&loads));
}

#[test]
fn many_at_one_instant_cost_what_the_document_says() {
    let load = Load { spread: Spread::AtOnce, ..load(1000, 5, A_DAY) };
    let loads = [1, 2, 10].map(|queues| Load { queues, ..load }.run());
    loads.iter().for_each(bars::check_at_once);
    check_part(DOCUMENT, "at once", &tables::at_once(&loads));
}

#[test]
fn an_idle_month_costs_what_the_document_says() {
    let idle = Idle::measure();
    estimate::check_idle(&idle);
    check_part(DOCUMENT, "month", &tables::month(&idle));
}
