//! The service in one process, as `app` builds it under the Functions host.

use std::sync::Arc;

use mcp_scheduler::delivery::{Deliverer, SlotRunner, WakeUpHandler};
use mcp_scheduler::domain::EndpointPolicy;
use mcp_scheduler::maintenance::Sweeper;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{ConversationStore, GroupedTable, WakeUps};
use mcp_scheduler::testing::sealer;
use mcp_scheduler::time::{Clock, Entropy};

use super::account::{Account, Process};
use super::counts::Kind;
use super::meter::Meter;
use crate::support::app::signer;

pub struct Service {
    pub scheduler: Scheduler,
    pub handler: Arc<WakeUpHandler>,
    /// Bills the instance.
    pub meter: Meter,
}

/// The functions that an instance runs. Flex Consumption scales them separately.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Http,
    Queue,
    Timer,
}

impl Service {
    pub fn new(account: &Arc<Account>, role: Role) -> Arc<Self> {
        let (commit, billed) = match role {
            Role::Http => (Kind::ScheduleCommit, Kind::HttpMillisecond),
            Role::Queue => (Kind::Commit, Kind::QueueMillisecond),
            Role::Timer => (Kind::Commit, Kind::TimerMillisecond),
        };
        let meter = Meter::new(account, billed);
        let process = Process::new(account, commit);
        let ports = Arc::new(process.clone());
        let store = ConversationStore::new(Arc::new(GroupedTable::new(Arc::clone(&ports) as _)), sealer());
        let clock: Arc<dyn Clock> = process.clock;
        let entropy: Arc<dyn Entropy> = process.account;
        let wake_ups = Arc::new(WakeUps::new(Arc::clone(&ports) as _, Arc::clone(&clock)));
        let deliverer = Deliverer::new(
            store.clone(),
            Arc::clone(&wake_ups) as _,
            ports,
            signer(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let deliverer = Arc::new(deliverer.with_max_in_flight(Deliverer::MAX_IN_FLIGHT_UNDER_HOST));
        let scheduler = Scheduler::new(
            store.clone(),
            Arc::clone(&wake_ups) as _,
            EndpointPolicy::default(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let runner = SlotRunner::new(deliverer, store.clone(), Arc::clone(&wake_ups), Arc::clone(&clock), entropy);
        let runner = Arc::new(runner);
        let sweeper = Sweeper::new(store, wake_ups, Arc::clone(&runner) as _, clock);
        Arc::new(Self { scheduler, handler: Arc::new(WakeUpHandler::new(runner, Arc::new(sweeper))), meter })
    }
}
