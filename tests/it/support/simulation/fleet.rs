//! The processes of a run: they are started, killed and started again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use super::fault_plan::Profile;
use super::host;
use super::receiver::receiver;
use super::service::Service;
use super::world::World;

const MINUTE: Duration = Duration::from_mins(1);

/// What the processes of a run are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The Functions host calls them.
    UnderHost,
    /// Each receives its wake-ups itself.
    Workers,
    /// There is only one at a time, and it has a store of its own.
    OneProcess,
}

pub struct Fleet {
    pub world: Arc<World>,
    kind: Kind,
    size: u64,
    services: Mutex<Vec<Arc<Service>>>,
}

impl Fleet {
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        let rng = world.rng();
        let (kind, size) = match world.faults().profile {
            Profile::OneProcess => (Kind::OneProcess, 1),
            Profile::Everything if rng.chance(500) => (Kind::Workers, 2 + rng.below(2)),
            _ => (Kind::UnderHost, 1 + rng.below(3)),
        };
        Arc::new(Self { world: Arc::clone(world), kind, size, services: Mutex::default() })
    }

    /// Starts what runs the processes, and the receivers of the inboxes. It ends with the set.
    pub fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut running = JoinSet::new();
        if self.kind == Kind::UnderHost {
            running.spawn(host::keep_time(Arc::clone(self)));
            running.spawn(host::dispatch(Arc::clone(self)));
        }
        for _ in 0..self.size {
            running.spawn(Arc::clone(self).keep_one_running());
        }
        for client in ["ann", "ann", "bob"] {
            running.spawn(receiver(Arc::clone(self), client.parse().unwrap()));
        }
        running
    }

    /// Starts a process, kills it after a while, and starts the next one.
    async fn keep_one_running(self: Arc<Self>) {
        let (world, rng) = (&self.world, self.world.rng());
        loop {
            let service = self.begin();
            let life = rng.pick(&[MINUTE, 5 * MINUTE, 30 * MINUTE]);
            if world.faults().kills() && !world.faults().is_stopped() {
                let _ = tokio::time::timeout(rng.up_to(life), service.process.died()).await;
            } else {
                service.process.died().await;
            }
            service.process.kill();
            drop(service);
            tokio::time::sleep(rng.up_to(MINUTE)).await;
        }
    }

    fn begin(&self) -> Arc<Service> {
        let service = Arc::new(match self.kind {
            Kind::UnderHost => Service::under_host(&self.world),
            Kind::Workers => Service::with_worker(&self.world),
            Kind::OneProcess => Service::with_follower(&self.world),
        });
        self.services.lock().unwrap().push(Arc::clone(&service));
        service
    }

    pub fn kill_all(&self) {
        for service in self.services.lock().unwrap().drain(..) {
            service.process.kill();
        }
    }

    /// One of the processes that are alive.
    pub fn any(&self) -> Option<Arc<Service>> {
        let mut services = self.services.lock().unwrap();
        services.retain(|service| !service.process.is_dead());
        if services.is_empty() {
            return None;
        }
        let chosen = self.world.rng().below(services.len() as u64);
        services.get(usize::try_from(chosen).unwrap()).cloned()
    }

    /// One of the processes that are alive. The host starts one if none is.
    pub async fn any_or_new(&self) -> Arc<Service> {
        loop {
            if let Some(service) = self.any() {
                return service;
            }
            let rng = self.world.rng();
            if self.kind == Kind::UnderHost {
                tokio::time::sleep(Duration::from_millis(200) + rng.up_to(Duration::from_secs(1))).await;
                if self.any().is_none() {
                    return self.begin();
                }
            } else {
                tokio::time::sleep(rng.up_to(5 * Duration::from_secs(1))).await;
            }
        }
    }
}
