//! The transitions of a conversation, and the proof of a claim.

use std::time::Duration;

use super::{AlreadyFinal, ClaimRefused, Conversation, Course, NotDelivering, RedeliveryRefused, TooLate};
use crate::domain::{
    Attempt, AttemptResult, AttemptStart, DeliveryPolicy, Destination, ErrorClass, Expiry, Lease, LeaseToken, Outcome,
    State, Timestamp, millis,
};

/// The result of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The worker has the next attempt.
    Attempt(ClaimedAttempt),
    /// The worker of an attempt was lost. The conversation waits for the next attempt, or it has failed because none was
    /// left.
    Lost(Conversation),
    /// The next attempt could not begin in time, so the conversation has failed.
    Expired(Conversation),
}

/// A claimed attempt. Its holder may send it and complete it; no other code can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedAttempt {
    conversation: Conversation,
    token: LeaseToken,
    attempt: AttemptStart,
    due_at: Timestamp,
}

/// The proof of a claim, without the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimProof {
    token: LeaseToken,
    attempt: AttemptStart,
    due_at: Timestamp,
}

impl ClaimProof {
    /// The claim on the conversation as it is now in the store, after its client paused or cancelled the series. `None` if
    /// the claim is over: another worker has recorded the attempt as lost.
    #[must_use]
    pub fn on(self, current: Conversation) -> Option<ClaimedAttempt> {
        let Self { token, attempt, due_at } = self;
        ClaimedAttempt::of(current, token).map(|held| ClaimedAttempt { attempt, due_at, ..held })
    }
}

impl ClaimedAttempt {
    /// The attempt under way, if this token has claimed it.
    pub(super) fn of(conversation: Conversation, token: LeaseToken) -> Option<Self> {
        match conversation.state {
            State::Delivering { attempt, lease } if lease.token == token => {
                Some(Self { conversation, token, attempt, due_at: attempt.started })
            }
            _ => None,
        }
    }

    /// The token of the claim.
    pub(super) const fn token(&self) -> LeaseToken {
        self.token
    }

    /// The conversation, with the attempt under way.
    #[must_use]
    pub const fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The number and the start of the attempt.
    #[must_use]
    pub const fn attempt(&self) -> AttemptStart {
        self.attempt
    }

    /// The time at which the attempt was due: the due time, or the time of a retry.
    #[must_use]
    pub const fn due_at(&self) -> Timestamp {
        self.due_at
    }

    /// What is needed to hold the same claim on a later state of the conversation.
    #[must_use]
    pub const fn proof(&self) -> ClaimProof {
        ClaimProof { token: self.token, attempt: self.attempt, due_at: self.due_at }
    }

    /// Records the result of the attempt. `sent_at` is the time of the first byte; it replaces the time of the claim.
    /// If the attempt failed, but not permanently, and another one is left, the next attempt is due `retry_after` from
    /// now. If that is too late for the conversation's [`Expiry`], the conversation fails.
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
        let another = conversation.may_try_again();
        conversation.updated = now;
        conversation.record(AttemptStart { started: sent_at, ..attempt }, result);
        match outcome {
            Outcome::Success => return conversation.end(State::Completed),
            Outcome::Failure | Outcome::Unknown if another => {
                let next_attempt = now + retry_after;
                if conversation.is_too_late(next_attempt) {
                    return conversation.expire(now);
                }
                conversation.state = State::Waiting { next_attempt };
            }
            Outcome::Failure | Outcome::Unknown | Outcome::PermanentFailure => return conversation.fail(),
        }
        conversation
    }
}

impl Conversation {
    /// Claims the next attempt for a worker. This counts the attempt and leases the conversation for the delivery
    /// timeout plus [`DeliveryPolicy::LEASE_MARGIN`].
    ///
    /// A claim is allowed from [`Conversation::claimable_from`] on. An attempt that is claimed early still starts at
    /// the time at which it is due, and no byte may be sent before that time. A lease or a pause that a clock wrote
    /// which was ahead ends now ([`Conversation::is_ahead_of`]).
    ///
    /// If the lease of an attempt under way has ended, that attempt is recorded as [`Outcome::Unknown`]. It has failed when
    /// its lease ended, so the next attempt starts `retry_after` from then, as after any other failure: a process that
    /// crashes again and again does not use up the attempts. If it was the last one, the conversation fails. It also
    /// fails if the attempt could not begin in time.
    ///
    /// # Errors
    /// [`ClaimRefused`] if the conversation is not due, is leased, or is final.
    pub fn claim(self, token: LeaseToken, now: Timestamp, retry_after: Duration) -> Result<Claim, ClaimRefused> {
        let lease = self.policy.timeout() + DeliveryPolicy::LEASE_MARGIN;
        self.claim_for(lease, token, now, retry_after)
    }

    /// Claims the next attempt with a lease of this length.
    pub(super) fn claim_for(
        self,
        lease: Duration,
        token: LeaseToken,
        now: Timestamp,
        retry_after: Duration,
    ) -> Result<Claim, ClaimRefused> {
        let (Some(until), Some(from)) = (self.due_from(now), self.claimable_from(now)) else {
            return Err(if self.status().is_final() {
                ClaimRefused::Final(self.status())
            } else {
                ClaimRefused::Paused
            });
        };
        if from > now {
            let leased = self.in_flight().is_some();
            return Err(if leased { ClaimRefused::Leased { until } } else { ClaimRefused::NotDue { until } });
        }
        let now = now.max(until);
        let mut next = self.caught_up(now);
        // The occurrence that is claimed may be a later one.
        let mut due_at = next.due_from(now).unwrap_or(until);
        next.updated = now;
        if let Some(lost) = next.in_flight() {
            let result = next.lost(lost, now);
            next.record(lost, result);
            due_at = until + retry_after;
            if next.series().is_some_and(|series| series.course == Course::Ending) {
                return Ok(Claim::Lost(next.fail()));
            }
        }
        if next.attempts_used() >= next.policy.max_attempts {
            return Ok(Claim::Lost(next.fail()));
        }
        if next.is_too_late(due_at.max(now)) {
            return Ok(Claim::Expired(next.expire(now)));
        }
        if due_at > now {
            next.state = State::Waiting { next_attempt: due_at };
            return Ok(Claim::Lost(next));
        }
        let attempt = AttemptStart { number: next.attempts_begun() + 1, started: now };
        let lease = Lease { until: now + lease, token };
        next.state = State::Delivering { attempt, lease };
        Ok(Claim::Attempt(ClaimedAttempt { conversation: next, token, attempt, due_at }))
    }

    /// The failed conversation, if an attempt that begins now or later is too late for its
    /// [`Expiry`]. An attempt that has begun is never too late.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Option<Self> {
        let begins_too_late = |conversation: &Self| match &conversation.state {
            State::Scheduled => conversation.is_too_late(conversation.due.max(now)),
            State::Waiting { next_attempt } => conversation.is_too_late((*next_attempt).max(now)),
            _ => false,
        };
        if !begins_too_late(self) {
            return None;
        }
        // A later occurrence may be in time.
        let current = self.clone().caught_up(now);
        begins_too_late(&current).then(|| current.expire(now))
    }

    /// Ends the lease now, because the worker that holds it is known to be gone.
    ///
    /// # Errors
    /// [`NotDelivering`] if no attempt is under way, or its lease belongs to a receiver of an inbox.
    pub fn release(mut self, now: Timestamp) -> Result<Self, NotDelivering> {
        let State::Delivering { lease, .. } = &mut self.state else { return Err(NotDelivering) };
        if self.destination == Destination::Inbox {
            return Err(NotDelivering);
        }
        lease.until = lease.until.min(now);
        self.updated = now;
        Ok(self)
    }

    /// Cancels the conversation for its client. If the lease of an attempt under way has ended, or a clock that was
    /// ahead wrote it, that attempt is recorded as [`Outcome::Unknown`].
    ///
    /// # Errors
    /// [`TooLate`] while an attempt is leased, and if the conversation is completed or failed. [`TooLate::Already`] if
    /// it is already cancelled, which callers report as success.
    pub fn cancel(mut self, now: Timestamp) -> Result<Self, TooLate> {
        match &self.state {
            State::Scheduled | State::Waiting { .. } => {}
            State::Delivering { lease, .. } if lease.until > now && !self.is_ahead_of(now) => {
                return Err(TooLate::Delivering { until: lease.until });
            }
            State::Delivering { attempt, .. } => {
                let lost = *attempt;
                let result = self.lost(lost, now);
                self.record(lost, result);
            }
            State::Completed => return Err(TooLate::Final(AlreadyFinal::Completed)),
            State::Failed { .. } => return Err(TooLate::Final(AlreadyFinal::Failed)),
            State::Cancelled => return Err(TooLate::Already),
        }
        self.updated = now;
        self.state = State::Cancelled;
        Ok(self)
    }

    /// Starts another delivery of a failed conversation, with as many attempts as the first one and the next attempt
    /// due now. The earlier attempts stay recorded, and their numbers continue.
    ///
    /// # Errors
    /// [`RedeliveryRefused::NotFailed`] in every other state, and [`RedeliveryRefused::AttemptsUsedUp`] if the delivery
    /// could exceed [`Conversation::MAX_ATTEMPTS_IN_LIFE`].
    pub fn redeliver(mut self, now: Timestamp) -> Result<Self, RedeliveryRefused> {
        if !matches!(self.state, State::Failed { .. }) {
            return Err(RedeliveryRefused::NotFailed(self.status()));
        }
        let (begun, more) = (self.attempts_begun(), self.policy.max_attempts);
        if begun.saturating_add(more) > Self::MAX_ATTEMPTS_IN_LIFE {
            return Err(RedeliveryRefused::AttemptsUsedUp { begun, more });
        }
        self.attempts_before_redelivery = begun;
        self.expiry = self.expiry.map(|expiry| Expiry::of(now, expiry.after));
        self.generation += 1;
        self.updated = now;
        self.state = State::Waiting { next_attempt: now };
        Ok(self)
    }

    /// The result of an attempt that nobody has recorded in its lease.
    pub(super) fn lost(&self, attempt: AttemptStart, now: Timestamp) -> AttemptResult {
        let error = match self.destination {
            Destination::Endpoint(_) | Destination::Events => ErrorClass::WorkerLost,
            Destination::Inbox => ErrorClass::NotAcknowledged,
        };
        AttemptResult { error: Some(error), ..AttemptResult::unknown(millis(attempt.started.until(now))) }
    }

    /// Adds a finished attempt to the record. The state still has the attempt, so every caller replaces the state.
    pub(super) fn record(&mut self, start: AttemptStart, result: AttemptResult) {
        if self.attempts.len() == Self::MAX_ATTEMPTS_KEPT {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt { start, result });
    }

    /// Whether an attempt that begins at this time begins too late.
    pub(super) fn is_too_late(&self, begins: Timestamp) -> bool {
        self.expiry.is_some_and(|expiry| begins > expiry.at)
    }

    pub(super) fn expire(mut self, now: Timestamp) -> Self {
        self.updated = now;
        self.end(State::Failed { reason: Expiry::REASON.to_owned() })
    }

    pub(super) fn fail(self) -> Self {
        let reason = self.attempts.last().map(|a| a.result.reason()).unwrap_or_default();
        self.end(State::Failed { reason })
    }
}
