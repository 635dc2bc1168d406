//! Simulated runs of the real code under random faults. A seed decides every fault, so a run can be repeated.
//!
//! A run schedules a few conversations, cancels some, delivers the rest, and redelivers some that failed. Its workers
//! are killed, frozen and restarted; its table and its queue refuse, lose and repeat calls. Then the faults stop. When
//! nothing is left to do, every promise of docs/delivery.md must have been kept.
//!
//! `SIM_SEEDS=100000 cargo test simulation` runs more; `SIM_FIRST=17 SIM_SEEDS=1` repeats one.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::{RetryRequest, ScheduleRequest};
use mcp_scheduler::domain::{ClientId, EndpointPolicy};
use mcp_scheduler::scheduler::{Scheduler, SchedulerError};
use mcp_scheduler::store::StoreError;
use mcp_scheduler::time::Clock;

use crate::support::simulation::extra_row;
use crate::support::simulation::invariant_checker::Tally;
use crate::support::simulation::process::{self, Process};
use crate::support::simulation::world::World;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
#[allow(clippy::disallowed_methods)] // the two settings of this test
fn no_promise_is_broken_while_everything_fails() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let first = setting("SIM_FIRST").unwrap_or(0);
    let seeds = setting("SIM_SEEDS").unwrap_or(1000);
    let mut total = Tally::default();
    for seed in first..first + seeds {
        let run = run(seed);
        assert!(
            run.violations.is_empty(),
            "seed {seed} breaks a promise (SIM_FIRST={seed} SIM_SEEDS=1 repeats it):\n{:#?}\nits history:\n{}",
            run.violations,
            run.history.join("\n"),
        );
        total.add(&run.tally);
    }
    println!("{seeds} seeds: {total:?}");
    if seeds >= 100 {
        let Tally { sent, deaths, freezes, lease_takeovers, cancels, redeliveries, large_payloads, .. } = total;
        let all = [sent, deaths, freezes, lease_takeovers, cancels, redeliveries, large_payloads];
        assert!(all.into_iter().all(|n| n >= seeds / 5), "{total:?}");
    }
}

#[test]
fn another_kind_of_row_is_kept_moved_and_removed_with_its_conversation_whatever_fails() {
    for seed in 0..300 {
        let run = run_with_extra_rows(seed);
        assert!(run.violations.is_empty(), "seed {seed}:\n{:#?}\n{}", run.violations, run.history.join("\n"));
    }
}

#[test]
fn no_promise_is_broken_while_commits_share_transactions() {
    let mut total = Tally::default();
    for seed in 0..300 {
        let run = run_in(|| World::crowded(seed));
        assert!(run.violations.is_empty(), "seed {seed}:\n{:#?}\n{}", run.violations, run.history.join("\n"));
        total.add(&run.tally);
    }
    assert!(total.shared_commits >= 300 && total.deaths >= 30, "{total:?}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [1, 2, 3] {
        assert_eq!(run(seed).digest, run(seed).digest, "seed {seed}");
        let [first, second] = [(); 2].map(|()| run_in(|| World::crowded(seed)).digest);
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(run(1).digest, run(2).digest);
}

struct Run {
    violations: Vec<String>,
    history: Vec<String>,
    digest: u64,
    tally: Tally,
}

/// Runs with a kind of row that exists only in this test.
fn run_with_extra_rows(seed: u64) -> Run {
    run_in(|| {
        let world = World::with_projection(seed, extra_row::projection());
        world.checker(|checker| checker.has_extra_rows = true);
        world
    })
}

fn run(seed: u64) -> Run {
    run_in(|| World::new(seed))
}

fn run_in(world: impl FnOnce() -> Arc<World>) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = world();
        run_with_faults(&world).await;
        world.faults().stop();
        run_without_faults(&world).await;
        let (rows, now) = (world.all_rows().await, world.now());
        world.checker(|checker| {
            checker.check_at_rest(now, &rows);
            Run {
                digest: checker.digest(),
                violations: std::mem::take(&mut checker.violations),
                history: std::mem::take(&mut checker.history),
                tally: checker.tally,
            }
        })
    })
}

/// Twenty minutes in which clients call and everything can fail.
async fn run_with_faults(world: &Arc<World>) {
    let rng = world.rng();
    let mut actors = tokio::task::JoinSet::new();
    let clients = 2 + rng.below(5) + if world.is_crowded { 10 } else { 0 };
    // In a crowd, all clients call one process, as their schedules would not meet otherwise.
    let shared = world.is_crowded.then(|| Arc::new(scheduler(world)));
    for number in 0..clients {
        let scheduler = shared.clone().unwrap_or_else(|| Arc::new(scheduler(world)));
        actors.spawn(client(Arc::clone(world), scheduler, number));
    }
    for _ in 0..2 + rng.below(2) {
        actors.spawn(keep_a_worker_running(Arc::clone(world)));
    }
    tokio::time::sleep(20 * MINUTE).await;
    actors.shutdown().await;
}

/// Starts a worker, kills it after a while, and starts the next one.
async fn keep_a_worker_running(world: Arc<World>) {
    let rng = world.rng();
    loop {
        let worker = KillOnDrop(Process::start_worker(&world));
        let life = rng.pick(&[MINUTE, 5 * MINUTE, 30 * MINUTE]);
        let _ = tokio::time::timeout(rng.up_to(life), worker.0.died()).await;
        drop(worker);
        tokio::time::sleep(rng.up_to(MINUTE)).await;
    }
}

struct KillOnDrop(Process);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// Schedules one conversation, and may cancel it (most likely around its due time) or redeliver it.
async fn client(world: Arc<World>, scheduler: Arc<Scheduler>, number: u64) {
    let rng = world.rng();
    let seconds = Duration::from_secs;
    let ahead = if world.is_crowded {
        seconds(rng.pick(&[0, 30]))
    } else {
        tokio::time::sleep(rng.up_to(5 * MINUTE)).await;
        seconds(rng.pick(&[0, 1, 3, 30, 200, 900, 3 * 86_400, 8 * 86_400])) + rng.up_to(seconds(1))
    };
    let client: ClientId = rng.pick(&["ann", "bob"]).parse().unwrap();
    // Texts above 4 KiB have a row of their own.
    let text = format!("conversation {number}.") + &"x".repeat(rng.pick(&[0, 0, 5_000, 20_000]));
    let request = ScheduleRequest {
        conversation_text: Some(text.clone()),
        scheduled_time: Some((world.now() + ahead).to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        retry: Some(RetryRequest { max_attempts: Some(rng.pick(&[1, 2, 3, 4, 8])) }),
        timeout_seconds: Some(rng.pick(&[1, 10, 30, 60])),
        ..ScheduleRequest::default()
    };
    let new = request.validate(world.now(), scheduler.endpoint_policy()).unwrap();
    let accepted = match scheduler.schedule(&client, new).await {
        Ok(conversation) => conversation.id(),
        Err(SchedulerError::Unavailable(StoreError::Unknown(_))) => return,
        Err(_) => {
            return world.checker(|checker| checker.saw_rejected(world.now(), text));
        }
    };
    world.checker(|checker| checker.saw_accepted(world.now(), accepted, text));
    for _ in 0..rng.below(4) {
        let around = (world.now().until(world.now() + ahead)).min(15 * MINUTE);
        tokio::time::sleep(rng.pick(&[around, around, rng.up_to(around)]) + rng.up_to(seconds(40))).await;
        if scheduler.cancel(&client, accepted).await.is_ok() {
            world.checker(|checker| checker.saw_cancelled(world.now(), accepted));
        }
    }
    for _ in 0..rng.below(4) {
        tokio::time::sleep(rng.up_to(5 * MINUTE)).await;
        if scheduler.redeliver(&client, accepted).await.is_ok() {
            world.checker(|checker| checker.saw_redelivered(world.now(), accepted));
        }
    }
}

fn scheduler(world: &Arc<World>) -> Scheduler {
    let process = Process::new(world);
    let clock = Arc::clone(&process.clock);
    Scheduler::new(
        process.store(),
        Arc::new(process),
        EndpointPolicy::default(),
        clock as Arc<dyn Clock>,
        process::entropy(world),
    )
}

/// Runs a worker without faults until nothing is left to do. No worker runs on days without work.
async fn run_without_faults(world: &Arc<World>) {
    const LATEST: Duration = Duration::from_mins(20);
    let mut worker = KillOnDrop(Process::start_worker(world));
    let mut waited = Duration::ZERO;
    while let Some(next) = world.checker(|checker| checker.next_wake_up()) {
        let ahead = world.now().until(next);
        if waited > LATEST && next.until(world.now()) > LATEST {
            return;
        }
        if ahead > 30 * MINUTE {
            drop(worker);
            tokio::time::sleep(ahead.saturating_sub(10 * MINUTE)).await;
            worker = KillOnDrop(Process::start_worker(world));
        }
        tokio::time::sleep(MINUTE).await;
        waited += MINUTE;
    }
    // And nothing may happen after that.
    tokio::time::sleep(15 * MINUTE).await;
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.shared_commits += other.shared_commits;
        self.sent += other.sent;
        self.duplicates += other.duplicates;
        self.deaths += other.deaths;
        self.freezes += other.freezes;
        self.lease_takeovers += other.lease_takeovers;
        self.cancels += other.cancels;
        self.redeliveries += other.redeliveries;
        self.large_payloads += other.large_payloads;
    }
}
