//! The transitions.

use std::time::Duration;

use super::{AlreadyFinal, ClaimRefused, Conversation, NotDelivering, NotFailed, TooLate};
use crate::domain::{
    Attempt, AttemptResult, AttemptStart, DeliveryPolicy, Lease, LeaseToken, Outcome, State, Timestamp,
};

/// What a claim led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// An attempt is under way.
    Attempt(ClaimedAttempt),
    /// No attempt was left after one that was lost; the conversation has failed.
    Exhausted(Conversation),
}

/// An attempt that was claimed: the proof that its worker may send it and complete it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedAttempt {
    conversation: Conversation,
    attempt: AttemptStart,
    due_at: Timestamp,
}

impl ClaimedAttempt {
    /// The conversation, with the attempt under way.
    #[must_use]
    pub const fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The attempt.
    #[must_use]
    pub const fn attempt(&self) -> AttemptStart {
        self.attempt
    }

    /// When the attempt was due: the conversation's time, the time of a retry, or the end of a lost lease.
    #[must_use]
    pub const fn due_at(&self) -> Timestamp {
        self.due_at
    }

    /// The attempt is over. `sent_at` is the time of its first byte and replaces the time of the claim on record.
    /// If the attempt failed, not permanently, and another is left, the next attempt begins `retry_after` from now.
    #[must_use]
    pub fn complete(
        self,
        sent_at: Timestamp,
        result: AttemptResult,
        retry_after: Duration,
        now: Timestamp,
    ) -> Conversation {
        let Self { mut conversation, attempt, .. } = self;
        let outcome = result.outcome;
        let another = conversation.attempts_used() < conversation.policy.max_attempts;
        conversation.updated = now;
        conversation.record(AttemptStart { started: sent_at, ..attempt }, result);
        match outcome {
            Outcome::Success => conversation.state = State::Completed,
            Outcome::Failure | Outcome::Unknown if another => {
                conversation.state = State::Waiting { next_attempt: now + retry_after };
            }
            Outcome::Failure | Outcome::Unknown | Outcome::PermanentFailure => return conversation.fail(),
        }
        conversation
    }
}

impl Conversation {
    /// A worker takes the next attempt: counts it and leases the conversation for the delivery
    /// timeout plus [`DeliveryPolicy::LEASE_MARGIN`].
    ///
    /// It may do so from [`Conversation::claimable_from`] on; the attempt begins at its time all the
    /// same, and nothing may be sent before.
    ///
    /// An attempt whose lease has run out is written down as [`Outcome::Unknown`] and counts; if it
    /// was the last one, the conversation fails instead.
    ///
    /// # Errors
    /// [`ClaimRefused`] if it is not due, leased to somebody, or final.
    pub fn claim(mut self, token: LeaseToken, now: Timestamp) -> Result<Claim, ClaimRefused> {
        let (Some(until), Some(from)) = (self.next_wake_at(), self.claimable_from()) else {
            return Err(ClaimRefused::Final(self.status()));
        };
        if from > now {
            let leased = self.in_flight().is_some();
            return Err(if leased { ClaimRefused::Leased { until } } else { ClaimRefused::NotDue { until } });
        }
        let now = now.max(until);
        self.updated = now;
        if let Some(lost) = self.in_flight() {
            let report = AttemptResult::unknown(millis(lost.started.until(now)));
            self.record(lost, report);
        }
        if self.attempts_used() >= self.policy.max_attempts {
            return Ok(Claim::Exhausted(self.fail()));
        }
        let attempt = AttemptStart { number: self.attempts_begun() + 1, started: now };
        let lease = Lease { until: now + self.policy.timeout() + DeliveryPolicy::LEASE_MARGIN, token };
        self.state = State::Delivering { attempt, lease };
        Ok(Claim::Attempt(ClaimedAttempt { conversation: self, attempt, due_at: until }))
    }

    /// The worker that holds the lease is known to be gone: the lease ends now.
    ///
    /// # Errors
    /// [`NotDelivering`] if no attempt is under way.
    pub fn release(mut self, now: Timestamp) -> Result<Self, NotDelivering> {
        let State::Delivering { lease, .. } = &mut self.state else { return Err(NotDelivering) };
        lease.until = lease.until.min(now);
        self.updated = now;
        Ok(self)
    }

    /// The client withdraws the conversation.
    ///
    /// An attempt whose lease has run out counts as over, with an unknown result.
    ///
    /// # Errors
    /// [`TooLate`] while an attempt is under way, and once the conversation is completed or failed;
    /// [`TooLate::Already`] if it is cancelled already, which callers report as success.
    pub fn cancel(mut self, now: Timestamp) -> Result<Self, TooLate> {
        match &self.state {
            State::Scheduled | State::Waiting { .. } => {}
            State::Delivering { lease, .. } if lease.until > now => {
                return Err(TooLate::Delivering { until: lease.until });
            }
            State::Delivering { attempt, .. } => {
                let lost = *attempt;
                self.record(lost, AttemptResult::unknown(millis(lost.started.until(now))));
            }
            State::Completed => return Err(TooLate::Final(AlreadyFinal::Completed)),
            State::Failed { .. } => return Err(TooLate::Final(AlreadyFinal::Failed)),
            State::Cancelled => return Err(TooLate::Already),
        }
        self.updated = now;
        self.state = State::Cancelled;
        Ok(self)
    }

    /// The client wants a failed conversation delivered after all: it gets as many attempts again as
    /// it had, the first of them now. Those before stay on record, and the count goes on.
    ///
    /// # Errors
    /// [`NotFailed`] in every other state.
    pub fn redeliver(mut self, now: Timestamp) -> Result<Self, NotFailed> {
        if !matches!(self.state, State::Failed { .. }) {
            return Err(NotFailed(self.status()));
        }
        self.attempts_before_redelivery = self.attempts_begun();
        self.generation += 1;
        self.updated = now;
        self.state = State::Waiting { next_attempt: now };
        Ok(self)
    }

    /// Writes an attempt down as over. The state still names it; every caller replaces the state.
    fn record(&mut self, start: AttemptStart, result: AttemptResult) {
        if self.attempts.len() == Self::MAX_ATTEMPTS_KEPT {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt { start, result });
    }

    fn fail(mut self) -> Self {
        let reason = self.attempts.last().map(|a| a.result.reason()).unwrap_or_default();
        self.state = State::Failed { reason };
        self
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
