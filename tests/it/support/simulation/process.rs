//! A process that can freeze or die at each of its calls.

use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::domain::ErrorClass;
use mcp_scheduler::outbound::{EndpointResponse, Exchange, OutboundRequest, Route, RouteError, Sender};
use mcp_scheduler::store::{
    CommitError, Etag, KeyRange, Operation, Partition, ReceivedWakeUp, Row, StoreError, Table, WakeUp, WakeUpQueue,
    WakeUpReceiver,
};
use mcp_scheduler::time::{Clock, StorageClock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fault_plan::Profile;
use super::host::SweepRun;
use super::world::World;
use crate::support::delivery_harness::route_by_name;

/// One process. After its death, its calls do nothing and never return. A call that was under way still has its effect.
///
/// It runs on a machine of its own, whose clock may be wrong, and follows the time that the table tells. In a run of one
/// process there is one machine, and its clock decides.
#[derive(Clone)]
pub struct Process {
    world: Arc<World>,
    /// Tells the attempts of this process from those of others.
    number: u64,
    dead: CancellationToken,
    frozen_until: Arc<Mutex<Instant>>,
    storage_clock: Option<Arc<StorageClock>>,
}

impl Process {
    pub fn new(world: &Arc<World>) -> Self {
        let alone = world.faults().profile == Profile::OneProcess;
        let follows_table = || Arc::new(StorageClock::new(Arc::new(world.other_machine())));
        Self {
            world: Arc::clone(world),
            number: world.rng().next_u64(),
            dead: CancellationToken::new(),
            frozen_until: Arc::new(Mutex::new(Instant::now())),
            storage_clock: (!alone).then(follows_table),
        }
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        match &self.storage_clock {
            Some(clock) => Arc::clone(clock) as _,
            None => Arc::new(self.world.machine.clone()),
        }
    }

    pub fn kill(&self) {
        if !self.is_dead() {
            self.dead.cancel();
            let now = self.world.now();
            self.world.checker(|checker| checker.saw_death(now, self.number));
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Returns when the process has died by itself or been killed.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// Runs something in this process. `None` if the process dies before it is done.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased; // a simulation with the same seed must take the same branch each time
            () = self.died() => None,
            done = work => Some(done),
        }
    }

    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.may_die_or_freeze().await;
        let result = call.await;
        self.may_die_or_freeze().await;
        result
    }

    /// Sends a request to the table, whose response has a date unless it is lost.
    async fn ask<T, E>(&self, call: impl Future<Output = Result<T, E>>, is_lost: fn(&E) -> bool) -> Result<T, E> {
        let Some(clock) = &self.storage_clock else { return self.call(call).await };
        self.may_die_or_freeze().await;
        let sent = clock.since_boot();
        let result = call.await;
        let date = self.world.date();
        self.may_die_or_freeze().await;
        if !result.as_ref().is_err_and(is_lost) {
            clock.learn(date, sent);
        }
        result
    }

    async fn may_die_or_freeze(&self) {
        let (rng, faults) = (self.world.rng(), self.world.faults());
        if !self.is_dead() && faults.process_dies(rng) {
            self.kill();
        }
        if faults.process_freezes(rng) {
            self.world.checker(|checker| checker.tally.freezes += 1);
            let until = Instant::now() + rng.up_to(Duration::from_mins(4));
            let mut frozen_until = self.frozen_until.lock().unwrap();
            *frozen_until = until.max(*frozen_until);
        }
        if SweepRun::is_current() && faults.sweep_dies(rng) {
            SweepRun::kill();
            pending::<()>().await;
        }
        self.still_runs().await;
    }

    /// Waits while the process is frozen, and forever if it is dead.
    async fn still_runs(&self) {
        loop {
            let until = *self.frozen_until.lock().unwrap();
            if Instant::now() >= until || self.world.faults().is_stopped() {
                break;
            }
            tokio::time::sleep_until(until).await;
        }
        if self.is_dead() {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Table for Process {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        let is_lost = |error: &CommitError| matches!(error, CommitError::Unknown(_));
        self.ask(self.world.commit(partition, operations), is_lost).await
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        self.ask(self.world.get(partition, key), |_| true).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        // A sweep has dozens of scans. A process would die at them nearly always, and rarely at another call.
        self.still_runs().await;
        let rows = self.world.scan(partition, range, limit).await;
        self.still_runs().await;
        rows
    }
}

#[async_trait]
impl WakeUpQueue for Process {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        let world = &self.world;
        let (delay, stale) = world.faults().delays(world.rng(), delay);
        if let Some(sweep) = SweepRun::current() {
            let now = world.now();
            world.checker(|checker| checker.saw_enqueued_by_sweep(now, sweep, wake_up));
        }
        let enqueue = async {
            if let Some(stale) = stale {
                world.queue.enqueue(wake_up, stale).await?;
            }
            world.queue.enqueue(wake_up, delay).await
        };
        self.call(enqueue).await
    }
}

#[async_trait]
impl WakeUpReceiver for Process {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        match self.run(self.world.queue.receive(max)).await {
            Some(received) => received,
            None => pending().await,
        }
    }

    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError> {
        if self.world.faults().wake_up_is_kept(self.world.rng()) {
            return Ok(());
        }
        self.world.queue.delete(received).await
    }
}

#[async_trait]
impl Sender for Process {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        route_by_name(endpoint)
    }

    /// The endpoint: it accepts the conversation or not, after some time, and its answer may come too late.
    ///
    /// A process does not freeze between its last check and the first byte: only the endpoint itself could detect that.
    async fn send(&self, request: OutboundRequest, _: Route) -> Exchange {
        if self.is_dead() {
            pending::<()>().await;
        }
        let (world, rng) = (&self.world, self.world.rng());
        let sending = world.checker(|checker| {
            let set = world.machine.offset.times_set();
            checker.saw_begin(world.now(), world.deciding(), self.number, set, &request)
        });
        let takes_it = rng.chance(world.faults().endpoint_takes_it);
        let answers = rng.chance(world.faults().endpoint_answers);
        let longest = if rng.chance(200) { request.timeout } else { Duration::from_secs(1) };
        let takes = if answers { rng.up_to(longest) } else { request.timeout };
        tokio::time::sleep(takes).await;
        world.checker(|checker| checker.saw_end(world.now(), &sending, takes_it));
        self.may_die_or_freeze().await;
        let status = if takes_it { 200 } else { rng.pick(&[503, 503, 503, 429, 410]) };
        let answer = EndpointResponse { status, retry_after: None, excerpt: String::new(), body: None };
        Exchange {
            duration_ms: u64::try_from(takes.as_millis()).unwrap(),
            result: if answers { Ok(answer) } else { Err(ErrorClass::TotalTimeout) },
        }
    }
}
