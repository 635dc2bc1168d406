//! The service in one process, as `app` builds it.

use std::sync::Arc;

use mcp_scheduler::delivery::{Deliverer, Follower, Inbox, NextDue, SlotRunner, WakeUpHandler, Worker};
use mcp_scheduler::domain::EndpointPolicy;
use mcp_scheduler::maintenance::Sweeper;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{ConversationStore, WakeUps, Waker};
use mcp_scheduler::testing::sealer;
use mcp_scheduler::time::Entropy;
use tokio_util::sync::CancellationToken;

use super::own_conflicts::OwnConflicts;
use super::process::Process;
use super::world::World;
use crate::support::app::signer;

pub struct Service {
    pub process: Process,
    pub scheduler: Scheduler,
    pub inbox: Inbox,
    /// What handles the wake-ups of a queue.
    pub handler: Option<Arc<WakeUpHandler>>,
}

/// The random numbers of the world, which all processes share, as the service reads them.
struct WorldEntropy(Arc<World>);

impl Entropy for WorldEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.rng().fill(buffer);
    }
}

/// The parts of the service in a process.
struct Parts {
    process: Process,
    store: ConversationStore,
    waker: Arc<dyn Waker>,
    entropy: Arc<dyn Entropy>,
}

impl Parts {
    fn new(world: &Arc<World>, process: Process, waker: Arc<dyn Waker>) -> Self {
        // As on a storage account, the commits of a process to one partition share transactions.
        let table = Arc::new(OwnConflicts::new(world, process.clone()));
        let store = ConversationStore::new(table, sealer()).with_projection(world.projection.clone());
        Self { process, store, waker, entropy: Arc::new(WorldEntropy(Arc::clone(world))) }
    }

    fn deliverer(&self) -> Arc<Deliverer> {
        Arc::new(Deliverer::new(
            self.store.clone(),
            Arc::clone(&self.waker),
            Arc::new(self.process.clone()),
            signer(),
            self.process.clock(),
            Arc::clone(&self.entropy),
        ))
    }

    fn inbox(&self) -> Inbox {
        let (waker, entropy) = (Arc::clone(&self.waker), Arc::clone(&self.entropy));
        let inbox = Inbox::new(self.store.clone(), waker, self.process.clock(), entropy);
        inbox.waiting_until(CancellationToken::new())
    }

    fn scheduler(&self, deliverer: &Deliverer) -> Scheduler {
        Scheduler::new(
            self.store.clone(),
            Arc::clone(&self.waker),
            EndpointPolicy::default(),
            self.process.clock(),
            Arc::clone(&self.entropy),
        )
        .beside(deliverer.live_attempts().clone())
    }
}

impl Service {
    /// The service on a store that several processes share. A host calls it.
    pub fn under_host(world: &Arc<World>) -> Self {
        let process = Process::new(world);
        let wake_ups = Arc::new(WakeUps::new(Arc::new(process.clone()), process.clock()));
        let parts = Parts::new(world, process.clone(), Arc::clone(&wake_ups) as _);
        let deliverer = parts.deliverer();
        let scheduler = parts.scheduler(&deliverer);
        let (store, clock) = (|| parts.store.clone(), || process.clock());
        let runner = SlotRunner::new(deliverer, store(), Arc::clone(&wake_ups), clock(), Arc::clone(&parts.entropy));
        let runner = Arc::new(runner);
        let sweeper = Sweeper::new(store(), wake_ups, Arc::clone(&runner) as _, clock());
        let handler = Arc::new(WakeUpHandler::new(runner, Arc::new(sweeper)));
        Self { process, scheduler, inbox: parts.inbox(), handler: Some(handler) }
    }

    /// The service that receives its wake-ups itself.
    pub fn with_worker(world: &Arc<World>) -> Self {
        let service = Self::under_host(world);
        let process = service.process.clone();
        let worker = Worker::new(service.handler.clone().unwrap(), Arc::new(process.clone()));
        tokio::spawn(async move { process.run(worker.run(CancellationToken::new())).await });
        service
    }

    /// The service with a store of its own.
    pub fn with_follower(world: &Arc<World>) -> Self {
        let (process, next_due) = (Process::new(world), Arc::new(NextDue::default()));
        let parts = Parts::new(world, process.clone(), Arc::clone(&next_due) as _);
        let deliverer = parts.deliverer();
        let scheduler = parts.scheduler(&deliverer);
        let follower = Follower::new(deliverer, parts.store.clone(), next_due, process.clock());
        let runs_in = process.clone();
        tokio::spawn(async move { runs_in.run(follower.run(CancellationToken::new())).await });
        Self { process, scheduler, inbox: parts.inbox(), handler: None }
    }

    /// A call of a client, which also looks whether the sweeps keep up. `None` if the process dies before it answers.
    pub async fn call<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        if let Some(handler) = &self.handler {
            handler.look();
        }
        self.process.run(call).await
    }
}
