//! Simulated runs of the real code under random faults. A seed decides every fault, so a run can be repeated.
//!
//! A run schedules a few conversations, some of which recur, cancels and pauses some, delivers the rest, and redelivers
//! some that failed. Its processes
//! are killed, frozen and restarted; its table, its queue, its timer and its clocks fail. Then the faults stop. When
//! nothing is left to do, every promise of docs/delivery.md must have been kept.
//!
//! `make simulate` runs 20,000 seeds. `SIM_FIRST=17 SIM_SEEDS=1 cargo test simulation` repeats one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::store::Projection;
use tokio::task::JoinSet;

use crate::support::simulation::client::{Instants, client, crowd, visitor};
use crate::support::simulation::extra_row;
use crate::support::simulation::fault_plan::Profile;
use crate::support::simulation::fleet::Fleet;
use crate::support::simulation::recurring_client::recurring_client;
use crate::support::simulation::tally::Tally;
use crate::support::simulation::world::World;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn no_promise_is_broken_while_everything_fails() {
    let total = run_all(1000, |seed| run(seed, Profile::of_seed(seed), false));
    let Tally { sent, deaths, freezes, lease_takeovers, cancels, redeliveries, large_payloads, callbacks, .. } = total;
    let Tally { occurrences, coalesced, steered, cancels_in_flight, received, acknowledged, .. } = total;
    let occurrences_received = 10 * total.acknowledged_occurrences;
    let all = [sent, deaths, freezes, lease_takeovers, cancels, redeliveries, large_payloads, callbacks];
    let of_inboxes = [received, acknowledged, occurrences_received];
    let mut all =
        all.into_iter().chain(of_inboxes).chain([occurrences, steered, 10 * coalesced, 10 * cancels_in_flight]);
    assert!(all.all(|n| n >= seeds(1000) / 5) || seeds(1000) < 100, "{total:?}");
}

#[test]
fn a_process_with_its_own_store_breaks_no_promise() {
    let total = run_all(200, |seed| run(seed, Profile::OneProcess, false));
    let Tally { sent, deaths, freezes, lease_takeovers, cancels, redeliveries, callbacks, occurrences, .. } = total;
    let all = [sent, deaths, freezes, lease_takeovers, cancels, redeliveries, callbacks, occurrences];
    assert!(all.into_iter().all(|n| n >= seeds(200) / 5) || seeds(200) < 100, "{total:?}");
}

#[test]
fn another_kind_of_row_is_kept_moved_and_removed_with_its_conversation_whatever_fails() {
    for seed in 0..150 {
        let run = run(seed, Profile::Everything, true);
        assert!(run.violations.is_empty(), "seed {seed}:\n{:#?}\n{}", run.violations, run.history.join("\n"));
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let digest = |seed, profile| run(seed, profile, false).digest;
    for seed in 0..20 {
        let profile = Profile::of_seed(seed);
        assert_eq!(digest(seed, profile), digest(seed, profile), "seed {seed}");
    }
    for seed in [1, 2, 3] {
        assert_eq!(digest(seed, Profile::OneProcess), digest(seed, Profile::OneProcess), "seed {seed}");
    }
    assert_ne!(digest(1, Profile::Everything), digest(2, Profile::Everything));
}

#[allow(clippy::disallowed_methods)] // the settings of these tests
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn seeds(default: u64) -> u64 {
    setting("SIM_SEEDS").unwrap_or(default)
}

/// Runs all seeds. Shows the history of the first that breaks a promise, and how many others do.
fn run_all(default: u64, run: impl Fn(u64) -> Run) -> Tally {
    let (first, mut total) = (setting("SIM_FIRST").unwrap_or(0), Tally::default());
    let (mut broken, mut shown) = (BTreeMap::<String, Vec<u64>>::new(), None);
    for seed in first..first + seeds(default) {
        let run = run(seed);
        if let Some(violation) = run.violations.first() {
            let promise = violation.split(' ').nth(1).unwrap_or_default();
            broken.entry(promise.to_owned()).or_default().push(seed);
            shown.get_or_insert_with(|| {
                format!(
                    "seed {seed} breaks a promise (SIM_FIRST={seed} SIM_SEEDS=1 repeats it):\n{:#?}\nits history:\n{}",
                    run.violations,
                    run.history.join("\n"),
                )
            });
        }
        total.add(run.tally);
    }
    println!("{} seeds: {total:?}", seeds(default));
    assert!(
        broken.is_empty(),
        "{}\n{} seeds break a promise: {broken:?}",
        shown.unwrap_or_default(),
        broken.values().map(Vec::len).sum::<usize>()
    );
    total
}

struct Run {
    violations: Vec<String>,
    history: Vec<String>,
    digest: u64,
    tally: Tally,
}

/// Runs a seed, with a kind of row that exists only in these tests or without it.
fn run(seed: u64, profile: Profile, extra_rows: bool) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let projection = if extra_rows { extra_row::projection() } else { Projection::default() };
        let world = World::new(seed, profile, projection);
        world.checker(|checker| checker.extra_rows.are_written = extra_rows);
        let fleet = Fleet::new(&world);
        let processes = run_with_faults(&fleet).await;
        run_without_faults(&fleet, processes).await;
        let (rows, now) = (world.all_rows().await, world.now());
        let doubled = world.check_keys(&rows);
        world.checker(|checker| {
            checker.check_at_rest(now, &rows);
            checker.violations.extend(doubled);
            Run {
                digest: checker.digest(),
                violations: std::mem::take(&mut checker.violations),
                history: std::mem::take(&mut checker.history),
                tally: Tally { worst: std::mem::take(&mut checker.punctuality.worst), ..checker.tally.clone() },
            }
        })
    })
}

/// Some time in which clients call and everything can fail.
async fn run_with_faults(fleet: &Arc<Fleet>) -> JoinSet<()> {
    let (world, rng) = (&fleet.world, fleet.world.rng());
    let processes = fleet.start();
    let (instants, mut clients) = (Arc::new(Instants::of(world)), JoinSet::new());
    for number in 0..3 + rng.below(6) {
        clients.spawn(client(Arc::clone(fleet), Arc::clone(&instants), number));
    }
    for number in 0..rng.pick(&[0, 0, 1, 1, 2]) {
        clients.spawn(recurring_client(Arc::clone(fleet), Arc::clone(&instants), number));
    }
    if rng.chance(50) {
        world.checker(|checker| checker.punctuality.has_crowd = true);
        clients.spawn(crowd(Arc::clone(fleet), Arc::clone(&instants)));
    }
    match world.faults().profile {
        Profile::DeadTimer => drop(clients.spawn(visitor(Arc::clone(fleet)))),
        Profile::OneProcess if rng.chance(500) => drop(clients.spawn(set_the_clock(Arc::clone(world)))),
        _ => {}
    }
    tokio::time::sleep(world.faults().lasts()).await;
    clients.shutdown().await;
    processes
}

/// Sets the clock of the machine forward and back, and right at last.
async fn set_the_clock(world: Arc<World>) {
    loop {
        tokio::time::sleep(world.rng().up_to(5 * MINUTE)).await;
        world.machine.offset.set_seconds(world.rng().pick(&[0, 0, 2, -2, 90, -90, 3600, -3600]));
    }
}

/// Runs processes without faults until nothing is left to do. None runs on days without work.
async fn run_without_faults(fleet: &Arc<Fleet>, mut processes: JoinSet<()>) {
    const LATEST: Duration = Duration::from_mins(20);
    let world = &fleet.world;
    world.faults().stop();
    world.machine.offset.set_seconds(0);
    world.checker(|checker| checker.punctuality.becomes_quiet(world.now()));
    if !world.faults().profile.is_in_time() {
        processes.shutdown().await;
        fleet.kill_all();
        processes = fleet.start();
    }
    let mut waited = Duration::ZERO;
    while let Some(next) = world.checker(|checker| checker.next_wake_up()) {
        let ahead = world.now().until(next);
        // After a broken promise, a series may have no end.
        let is_broken = world.checker(|checker| !checker.violations.is_empty());
        if is_broken || (waited > LATEST && next.until(world.now()) > LATEST) {
            return;
        }
        if ahead > 30 * MINUTE {
            processes.shutdown().await;
            fleet.kill_all();
            tokio::time::sleep(ahead.saturating_sub(10 * MINUTE)).await;
            world.checker(|checker| checker.punctuality.becomes_quiet(world.now()));
            processes = fleet.start();
        }
        tokio::time::sleep(MINUTE).await;
        waited += MINUTE;
    }
    // And nothing may happen after that, although old messages come.
    tokio::time::sleep(MINUTE * world.rng().pick(&[5, 15, 15, 75])).await;
}
