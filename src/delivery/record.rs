//! The record of a delivery: the result of an attempt, and the end of a conversation that has expired.

use std::time::Duration;

use super::callback::Change;
use super::classify::classify_checked;
use super::deliver::CommittedClaim;
use super::{Deliverer, DeliveryOutcome, retry_delay};
use crate::domain::{Callbacks, ClaimProof, ClaimedAttempt, Conversation, Status, SuccessWhen, Timestamp};
use crate::outbound::Exchange;
use crate::store::{Revision, StoreError};

impl Deliverer {
    /// How many times a result is written before it is left to the lease.
    const RESULT_TRIES: u32 = 4;

    pub(super) async fn complete(
        &self,
        claim: CommittedClaim,
        sent_at: Timestamp,
        exchange: Exchange,
        success_when: Option<&SuccessWhen>,
        callbacks: &Callbacks,
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
        let (id, occurrence) = (claimed.conversation().id(), claimed.conversation().occurrence());
        let proof = claimed.proof();
        let complete = |claimed: ClaimedAttempt| {
            self.change(claimed.complete(sent_at, result.clone(), pause, now), occurrence, callbacks)
        };
        let change = complete(claimed);
        let change = match self.write_result(proof, revision, change, complete).await {
            Ok(change) => change,
            Err(error) => {
                tracing::warn!(
                    conversation.id = %id, attempt = attempt.number, %error,
                    "result not written; the attempt's lease will run out"
                );
                return DeliveryOutcome::Abandoned;
            }
        };
        let next = &change.next;
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
        self.wake_after(&change).await;
        DeliveryOutcome::Attempted { status, lateness }
    }

    /// Tries several times, because the endpoint gets a duplicate if the result is not written. A client may pause or
    /// cancel a series while its attempt is under way, so a conflict is no reason to give up.
    async fn write_result(
        &self,
        proof: ClaimProof,
        mut read: Revision,
        mut change: Change,
        complete: impl Fn(ClaimedAttempt) -> Change,
    ) -> Result<Change, StoreError> {
        let mut pause = Duration::from_millis(100);
        let mut tries = 1;
        loop {
            match self.commit(read.clone(), &change).await {
                Ok(()) => return Ok(change),
                Err(error) if tries == Self::RESULT_TRIES => return Err(error),
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
                Err(StoreError::Conflict) => {
                    let next = &change.next;
                    let current = self.store.get(next.client(), next.id()).await?.ok_or(StoreError::Conflict)?;
                    change = complete(proof.on(current.value).ok_or(StoreError::Conflict)?);
                    read = current.revision;
                }
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    /// Stores a conversation that has expired. Nothing is sent, so this needs no permit for a host.
    pub(super) async fn expire(
        &self,
        read: Revision,
        expired: Conversation,
        occurrence: Option<u32>,
    ) -> Result<DeliveryOutcome, StoreError> {
        // A conversation that recurs has a next occurrence.
        let next = self.commit_unsent(read, expired, occurrence).await?;
        tracing::warn!(
            conversation.id = %next.id(), client.id = %next.client(), status = next.status().as_str(),
            "a delivery expired before an attempt could begin"
        );
        Ok(DeliveryOutcome::NothingToDo)
    }

    /// Stores the state after a transition without an attempt, whose payload was not needed, and wakes what follows.
    pub(super) async fn commit_unsent(
        &self,
        read: Revision,
        next: Conversation,
        occurrence: Option<u32>,
    ) -> Result<Conversation, StoreError> {
        let mut callbacks = Callbacks::default();
        if next.delivery_end(occurrence).is_some() {
            // A lost payload has lost the callbacks, too.
            callbacks = self.payload(&next, &read).await?.map(|payload| payload.callbacks).unwrap_or_default();
        }
        let change = self.change(next, occurrence, &callbacks);
        self.commit(read, &change).await?;
        self.wake_after(&change).await;
        Ok(change.next)
    }
}
