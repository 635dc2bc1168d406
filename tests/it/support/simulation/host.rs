//! A stand-in for the Functions host: it hands the messages of the queue and the ticks of the timer to the processes.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::store::{ReceivedWakeUp, WakeUpReceiver as _};
use tokio_util::sync::CancellationToken;

use super::fleet::Fleet;

/// The sweep of a timer, within which calls know that they belong to it.
#[derive(Clone)]
pub struct SweepRun {
    number: u64,
    dead: CancellationToken,
}

tokio::task_local! {
    static SWEEP: SweepRun;
}

impl SweepRun {
    pub fn current() -> Option<u64> {
        SWEEP.try_with(|run| run.number).ok()
    }

    pub fn is_current() -> bool {
        Self::current().is_some()
    }

    /// The current sweep ends here, as if the host had stopped it.
    pub fn kill() {
        let _ = SWEEP.try_with(|run| run.dead.cancel());
    }
}

const PERIOD: Duration = Duration::from_mins(1);
/// The longest time that a sweep may take.
const MAX_SWEEP: Duration = Duration::from_mins(4);
/// A message whose handling failed is visible again after this time.
const RELEASE: Duration = Duration::from_secs(30);

/// Starts sweeps, one after the other, and sometimes two that race.
pub async fn keep_time(fleet: Arc<Fleet>) {
    let world = Arc::clone(&fleet.world);
    tokio::time::sleep(world.rng().up_to(PERIOD)).await;
    let mut timer = tokio::time::interval(PERIOD);
    loop {
        timer.tick().await;
        if world.faults().timer_is_dead(world.elapsed()) {
            continue;
        }
        if world.rng().chance(200) {
            tokio::spawn(sweep(Arc::clone(&fleet)));
        }
        sweep(Arc::clone(&fleet)).await;
    }
}

async fn sweep(fleet: Arc<Fleet>) {
    let world = Arc::clone(&fleet.world);
    tokio::time::sleep(world.rng().up_to(Duration::from_secs(2))).await;
    let service = fleet.any_or_new().await;
    let Some(handler) = service.handler.clone() else { return };
    let run = SweepRun { number: world.rng().next_u64(), dead: CancellationToken::new() };
    let (number, dead) = (run.number, run.dead.clone());
    world.checker(|checker| checker.punctuality.sweep_begins(number, world.now()));
    let swept = tokio::time::timeout(MAX_SWEEP, SWEEP.scope(run, handler.sweep()));
    let swept = service.process.run(async {
        tokio::select! {
            biased;
            () = dead.cancelled() => false,
            swept = swept => matches!(swept, Ok(Ok(_))),
        }
    });
    if swept.await == Some(true) {
        world.checker(|checker| checker.punctuality.sweep_ends_well(number, world.now()));
    }
}

/// Hands each message to a process.
pub async fn dispatch(fleet: Arc<Fleet>) {
    loop {
        for received in fleet.world.queue.receive(32).await.unwrap() {
            tokio::spawn(handle(Arc::clone(&fleet), received));
        }
    }
}

async fn handle(fleet: Arc<Fleet>, received: ReceivedWakeUp) {
    let world = Arc::clone(&fleet.world);
    // The host polls the queue.
    tokio::time::sleep(world.rng().up_to(Duration::from_millis(500))).await;
    let service = fleet.any_or_new().await;
    let Some(handler) = service.handler.clone() else { return };
    match service.process.run(handler.handle(&received.wake_up)).await {
        Some(Ok(_)) if world.faults().wake_up_is_kept(world.rng()) => {}
        Some(Ok(_)) => world.queue.delete(&received).await.unwrap(),
        Some(Err(_)) => world.queue.release(&received, RELEASE),
        // The host renews the time for which the message is hidden, until the process is dead.
        None => {}
    }
}
