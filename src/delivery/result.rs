//! The result of an attempt: it is classified, written to the store, and logged.

use std::fmt;
use std::time::Duration;

use tracing::field::display;

use super::deliver::{CommittedClaim, Sent};
use super::recorder::Change;
use super::{Deliverer, DeliveryOutcome, retry_delay};
use crate::domain::{
    AttemptResult, Callbacks, ClaimProof, ClaimedAttempt, Conversation, Method, Outcome, Status, Timestamp, millis,
};
use crate::metrics;
use crate::store::{Revision, StoreError};

impl Deliverer {
    /// How many times a result is written before it is left to the lease.
    const RESULT_TRIES: u32 = 4;

    pub(super) async fn complete(
        &self,
        claim: CommittedClaim,
        sent_at: Timestamp,
        sent: Sent,
        callbacks: &Callbacks,
    ) -> DeliveryOutcome {
        let CommittedClaim { claimed, revision, .. } = claim;
        let lateness = claimed.due_at().until(sent_at);
        let now = self.recorder.clock.now();
        let Sent { result, retry_after } = sent;
        let used = claimed.conversation().attempts_used();
        let pause = retry_delay(used, self.recorder.jitter(), retry_after.as_deref(), now);
        let pause = pause + now.until(self.recorder.clock.latest());
        let method = claimed.conversation().destination().target().map(|target| target.method);
        let occurrence = claimed.conversation().occurrence();
        let proof = claimed.proof();
        let complete = |claimed: ClaimedAttempt| {
            self.recorder.change(claimed.complete(sent_at, result.clone(), pause, now), occurrence, callbacks)
        };
        let change = complete(claimed);
        let written = self.write_result(proof, revision, change, complete).await;
        metrics::record(|metrics| {
            metrics.attempt(
                result.outcome.as_str(),
                error_class(&result),
                Duration::from_millis(result.duration_ms),
                lateness,
            );
        });
        log_finished(method, &result, lateness, written.as_ref().ok().map(|change| &change.next));
        let change = match written {
            Ok(change) => change,
            Err(error) => {
                tracing::warn!(%error, "result not written; the attempt's lease will run out");
                return DeliveryOutcome::Abandoned;
            }
        };
        let next = &change.next;
        let status = next.status();
        let has_failed = occurrence.and_then(|number| next.series()?.failure_of(number)).is_some();
        if status == Status::Failed {
            tracing::warn!("conversation failed");
        } else if has_failed {
            tracing::warn!("an occurrence failed");
        }
        self.recorder.wake_after(&change).await;
        DeliveryOutcome::Attempted { status, outcome: result.outcome, lateness }
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
            match self.recorder.commit(read.clone(), &mut change).await {
                Ok(()) => return Ok(change),
                Err(error) if tries == Self::RESULT_TRIES => return Err(error),
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                    tokio::time::sleep(pause).await;
                    pause *= 4;
                }
                Err(StoreError::Conflict) => {
                    let next = &change.next;
                    let current =
                        self.recorder.store.get(next.client(), next.id()).await?.ok_or(StoreError::Conflict)?;
                    change = complete(proof.on(current.value).ok_or(StoreError::Conflict)?);
                    read = current.revision;
                }
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }
}

/// Writes the line of an attempt. `next` is the conversation after it, if the result could be written.
fn log_finished(method: Option<Method>, result: &AttemptResult, lateness: Duration, next: Option<&Conversation>) {
    let error_type = (result.outcome != Outcome::Success).then(|| display(ErrorType(result)));
    let next_attempt_time = next.and_then(Conversation::next_wake_at).map(display);
    tracing::info!(
        http.request.method = method.map(Method::as_str),
        http.response.status_code = result.http_status,
        outcome = result.outcome.as_str(),
        error.type = error_type,
        duration_ms = result.duration_ms,
        lateness_ms = millis(lateness),
        conversation.status = next.map(|next| next.status().as_str()),
        next_attempt_time,
        "attempt finished"
    );
}

/// Why an attempt failed, for the metrics. An endpoint could answer with each of 500 statuses, so they have five classes.
fn error_class(result: &AttemptResult) -> Option<&'static str> {
    if result.outcome == Outcome::Success {
        return None;
    }
    Some(match (result.error, result.http_status) {
        (Some(class), _) => class.as_str(),
        (None, Some(200..=299)) => "2xx",
        (None, Some(300..=399)) => "3xx",
        (None, Some(400..=499)) => "4xx",
        (None, Some(500..=599)) => "5xx",
        (None, _) => "_OTHER",
    })
}

/// The reason why an attempt failed, as OpenTelemetry names it: the class of the error, or the status of the response.
struct ErrorType<'a>(&'a AttemptResult);

impl fmt::Display for ErrorType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.error, self.0.http_status) {
            (Some(class), _) => f.write_str(class.as_str()),
            (None, Some(status)) => write!(f, "{status}"),
            (None, None) => f.write_str("_OTHER"),
        }
    }
}
