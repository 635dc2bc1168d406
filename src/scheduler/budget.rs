//! The limits of single clients: budgets, and the hosts that are approved for them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::ledger::Admitted;
use super::{Scheduler, SchedulerError};
use crate::domain::{
    ClientId, ClientLimits, ClientUsage, Day, EndpointHost, Overrun, ThreadId, Usage, WholeConversation,
};
use crate::store::StoreError;

/// Knows the limits of each client.
pub trait LimitsOfClients: Send + Sync {
    /// The limits of a client. They may be a minute old.
    fn of<'a>(&'a self, client: &'a ClientId) -> BoxFuture<'a, Result<ClientLimits, StoreError>>;
}

/// A budget has no room for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetExceeded {
    /// The thread whose budget it is. `None` if it is the budget of the client.
    pub thread: Option<ThreadId>,
    /// The part of the budget.
    pub overrun: Overrun,
    /// The time after which the process counts again.
    pub recount: Duration,
}

impl Scheduler {
    /// The same with limits of single clients.
    #[must_use]
    pub fn with_limits(self, limits: Arc<dyn LimitsOfClients>) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// The limits of a client, if it has any.
    pub(super) async fn limits_of(&self, client: &ClientId) -> Result<Option<ClientLimits>, SchedulerError> {
        let Some(limits) = &self.limits else { return Ok(None) };
        Ok(Some(limits.of(client).await?).filter(|limits| *limits != ClientLimits::none()))
    }

    /// Checks that a client may have something sent to a host. Returns whether an operator has approved it.
    ///
    /// # Errors
    /// [`SchedulerError::HostNotApproved`], or the error of the limits.
    pub async fn check_host(&self, client: &ClientId, host: &EndpointHost) -> Result<bool, SchedulerError> {
        let limits = self.limits_of(client).await?.unwrap_or_default();
        if !limits.allows(host) {
            return Err(SchedulerError::HostNotApproved { client: client.clone(), host: host.clone() });
        }
        Ok(limits.approved_hosts.contains(host))
    }

    pub(super) fn today(&self) -> Day {
        Day::of(self.clock.now())
    }

    /// Counts what a client has, if that decides whether there is room for what it needs, or if that is not known yet.
    pub(super) async fn refresh_budget(
        &self,
        client: &ClientId,
        limits: &ClientLimits,
        needed: Option<&ClientUsage>,
    ) -> Result<(), SchedulerError> {
        if !limits.has_budget() || needed.is_some_and(|needed| *needed == ClientUsage::default()) {
            return Ok(());
        }
        let lacks_room = |used: &ClientUsage| needed.is_none_or(|needed| overrun(limits, used, needed).is_some());
        let count = || {
            let (store, client, today) = (self.store.clone(), client.clone(), self.today());
            async move { store.count_usage(&client, today).await }
        };
        Ok(self.budgets.refresh(client, lacks_room, count).await?)
    }

    /// Lets through what a client will have in addition. `None` if that is nothing, or if there is no budget.
    pub(super) fn take_budget(
        &self,
        client: &ClientId,
        limits: &ClientLimits,
        needed: ClientUsage,
    ) -> Result<Option<Admitted<ClientUsage>>, SchedulerError> {
        if !limits.has_budget() || needed == ClientUsage::default() {
            return Ok(None);
        }
        let wanted = needed.clone();
        let admitted = self.budgets.take(client, needed, |used, recount| {
            let (thread, overrun) = overrun(limits, used, &wanted)?;
            Some(SchedulerError::BudgetExceeded(Box::new(BudgetExceeded { thread, overrun, recount })))
        })?;
        Ok(Some(admitted))
    }
}

fn overrun(limits: &ClientLimits, used: &ClientUsage, needed: &ClientUsage) -> Option<(Option<ThreadId>, Overrun)> {
    let of_thread = |(thread, needed)| {
        let nothing = Usage::default();
        let used = used.threads.get(thread).unwrap_or(&nothing);
        limits.thread_budget.overrun(used, needed).map(|overrun| (Some(ThreadId::clone(thread)), overrun))
    };
    let whole = limits.budget.overrun(&used.whole, &needed.whole).map(|overrun| (None, overrun));
    whole.or_else(|| needed.threads.iter().find_map(of_thread))
}

/// The first host that a client may not schedule to and that the conversation did not have before.
pub(super) fn unapproved_host(
    limits: &ClientLimits,
    before: Option<&WholeConversation>,
    next: &WholeConversation,
) -> Option<EndpointHost> {
    let had = before.map(WholeConversation::hosts).unwrap_or_default();
    next.hosts().into_iter().find(|host| !limits.allows(host) && !had.contains(host))
}
