//! The use case of `redeliverConversation`.

use super::change::Transition;
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, ClientLimits, ClientUsage, Conversation, ConversationId, Day, Pending};

impl Scheduler {
    /// Starts another delivery of a failed conversation, with as many attempts as the first one. While these attempts are
    /// under way, another call changes nothing and returns `Ok` too: a proxy repeats a request whose response was lost.
    ///
    /// # Errors
    /// [`SchedulerError::RedeliveryRefused`] in every other state, and if the conversation has had too many attempts.
    /// [`SchedulerError::QuotaExceeded`] or [`SchedulerError::BudgetExceeded`], because a redelivered conversation is pending
    /// again.
    pub async fn redeliver(&self, client: &ClientId, id: ConversationId) -> Result<Conversation, SchedulerError> {
        let limits = self.limits_of(client).await?.unwrap_or_default();
        // Its thread is known only later.
        self.refresh_budget(client, &limits, None).await?;
        self.refresh_quota(client, Pending::one(0)).await?;
        match self.try_redeliver(client, id, &limits).await {
            // Its bytes are known only now, and the count that has no room for them is old.
            Err(SchedulerError::QuotaExceeded(exceeded)) if exceeded.recount.is_zero() => {
                self.refresh_quota(client, exceeded.needed).await?;
                self.try_redeliver(client, id, &limits).await
            }
            result => result,
        }
    }

    async fn try_redeliver(
        &self,
        client: &ClientId,
        id: ConversationId,
        limits: &ClientLimits,
    ) -> Result<Conversation, SchedulerError> {
        // The second one is held until the commit is done.
        let (mut wanted, mut _admitted) = (None, None);
        let redelivered = self.change(client, id, |conversation, now| {
            // The wanted generation is there: an earlier try with a lost result was applied, or another request
            // redelivered the conversation.
            if wanted == Some(conversation.generation()) {
                return Ok(Transition::Unchanged(conversation));
            }
            match conversation.clone().redeliver(now) {
                Ok(next) => {
                    let usage = ClientUsage::of(&next, Day::of(now));
                    let budget = self.take_budget(client, limits, usage)?;
                    _admitted = Some((budget, self.take_quota(client, Pending::one(next.stored_bytes()))?));
                    wanted = Some(next.generation());
                    Ok(Transition::Next(next))
                }
                Err(_) if conversation.is_being_redelivered() => Ok(Transition::Unchanged(conversation)),
                Err(refused) => Err(SchedulerError::RedeliveryRefused(refused)),
            }
        });
        redelivered.await
    }
}
