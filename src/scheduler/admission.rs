//! Whether a client may have what it asks for: approved hosts, budgets and quotas.

use super::budget::unapproved_host;
use super::ledger::Admitted;
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientUsage, Pending, WholeConversation};

/// What was let through, until its commit is done.
pub(super) struct Admission {
    _quota: Option<Admitted<Pending>>,
    _budget: Option<Admitted<ClientUsage>>,
}

impl Scheduler {
    /// Lets a client have a conversation in addition, or instead of what it was before.
    ///
    /// # Errors
    /// [`SchedulerError::HostNotApproved`], [`SchedulerError::BudgetExceeded`], [`SchedulerError::QuotaExceeded`], or the
    /// error of the limits or of a count.
    pub(super) async fn admit(
        &self,
        before: Option<&WholeConversation>,
        next: &WholeConversation,
    ) -> Result<Admission, SchedulerError> {
        let (client, bytes) = (next.conversation.client(), next.conversation.stored_bytes());
        let limits = self.limits_of(client).await?;
        let mut usage = ClientUsage::default();
        if let Some(limits) = &limits {
            if let Some(host) = unapproved_host(limits, before, next) {
                return Err(SchedulerError::HostNotApproved { client: client.clone(), host });
            }
            usage = ClientUsage::of(&next.conversation, self.today());
            if let Some(before) = before {
                usage.subtract(&ClientUsage::of(&before.conversation, self.today()));
            }
            self.refresh_budget(client, limits, Some(&usage)).await?;
        }
        let pending = match before {
            None => Pending::one(bytes),
            Some(before) => Pending::growth(before.conversation.stored_bytes(), bytes),
        };
        self.refresh_quota(client, pending).await?;
        let budget = limits.map(|limits| self.take_budget(client, &limits, usage)).transpose()?.flatten();
        Ok(Admission { _quota: self.take_quota(client, pending)?, _budget: budget })
    }
}
