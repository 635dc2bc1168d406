//! The record of a delivery: the result of an attempt, and the end of a conversation that has expired.

use std::time::Duration;

use super::classify::classify_checked;
use super::deliver::CommittedClaim;
use super::{Deliverer, DeliveryOutcome, retry_delay};
use crate::domain::{ClaimProof, ClaimedAttempt, Conversation, Status, SuccessWhen, Timestamp};
use crate::outbound::Exchange;
use crate::store::{ConversationStore, Revision, StoreError};

impl Deliverer {
    /// How many times a result is written before it is left to the lease.
    const RESULT_TRIES: u32 = 4;

    pub(super) async fn complete(
        &self,
        claim: CommittedClaim,
        sent_at: Timestamp,
        exchange: Exchange,
        success_when: Option<&SuccessWhen>,
    ) -> DeliveryOutcome {
        let CommittedClaim { claimed, revision, .. } = claim;
        let (attempt, lateness) = (claimed.attempt(), claimed.due_at().until(sent_at));
        let now = self.clock.now();
        let pause = retry_delay(claimed.conversation().attempts_used(), self.jitter(), exchange.retry_after(), now);
        let pause = pause + now.until(self.clock.latest());
        let result = classify_checked(exchange, success_when);
        tracing::debug!(
            conversation.id = %claimed.conversation().id(), client.id = %claimed.conversation().client(),
            attempt = attempt.number, outcome = ?result.outcome, status = result.http_status, error = ?result.error,
            duration_ms = result.duration_ms, lateness_ms = lateness.as_millis(), "attempt finished"
        );
        let (id, occurrence) = (claimed.conversation().id(), claimed.conversation().series().map(|it| it.number));
        let proof = claimed.proof();
        let next = claimed.complete(sent_at, result.clone(), pause, now);
        let written =
            self.write_result(proof, revision, next, |claimed| claimed.complete(sent_at, result.clone(), pause, now));
        let next = match written.await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(
                    conversation.id = %id, attempt = attempt.number, %error,
                    "result not written; the attempt's lease will run out"
                );
                return DeliveryOutcome::Abandoned;
            }
        };
        let status = next.status();
        let has_failed = occurrence.and_then(|number| next.series()?.failure_of(number)).is_some();
        if status == Status::Failed {
            tracing::warn!(
                conversation.id = %id, client.id = %next.client(), attempts = attempt.number, "conversation failed"
            );
        } else if has_failed {
            tracing::warn!(
                conversation.id = %id, client.id = %next.client(), occurrence, attempts = attempt.number,
                "an occurrence failed"
            );
        }
        self.wake_next(&next).await;
        DeliveryOutcome::Attempted { status, lateness }
    }

    /// Sees to it that a worker looks at the conversation when its next attempt is due.
    pub(super) async fn wake_next(&self, next: &Conversation) {
        if let Some(at) = next.next_wake_at() {
            self.waker.wake_at(ConversationStore::partition(next.id()), at).await;
        }
    }

    /// Tries several times, because the endpoint gets a duplicate if the result is not written. A client may pause or
    /// cancel a series while its attempt is under way, so a conflict is no reason to give up.
    async fn write_result(
        &self,
        proof: ClaimProof,
        mut read: Revision,
        mut next: Conversation,
        complete: impl Fn(ClaimedAttempt) -> Conversation,
    ) -> Result<Conversation, StoreError> {
        let mut pause = Duration::from_millis(100);
        let mut tries = 1;
        loop {
            match self.store.replace(read.clone(), &next).await {
                Ok(_) => return Ok(next),
                Err(error) if tries == Self::RESULT_TRIES => return Err(error),
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
                Err(StoreError::Conflict) => {
                    let current = self.store.get(next.client(), next.id()).await?.ok_or(StoreError::Conflict)?;
                    next = complete(proof.on(current.value).ok_or(StoreError::Conflict)?);
                    read = current.revision;
                }
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    /// Stores a conversation that has expired. Nothing is sent, so this needs no permit for a host.
    pub(super) async fn expire(&self, read: Revision, expired: &Conversation) -> Result<DeliveryOutcome, StoreError> {
        self.store.replace(read, expired).await?;
        tracing::warn!(
            conversation.id = %expired.id(), client.id = %expired.client(), status = expired.status().as_str(),
            "a delivery expired before an attempt could begin"
        );
        // A conversation that recurs has a next occurrence.
        self.wake_next(expired).await;
        Ok(DeliveryOutcome::NothingToDo)
    }
}
