//! The conversation, and the only functions that move it from one state to the next.
//!
//! A transition consumes the conversation and returns the next one, or says why it is not legal.
//! Who calls which: `claim`, `complete` and `release` belong to delivery, `cancel` and `redeliver` to
//! the client.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Attempt, AttemptResult, AttemptStart, ClientId, ConversationId, Lease, LeaseToken, NewConversation, Outcome, State,
    Status, Target, Timestamp,
};
use crate::json::RawJson;

/// One text that is to reach one endpoint at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// Its name.
    pub id: ConversationId,
    /// Its owner.
    pub client: ClientId,
    /// When it was accepted.
    pub created: Timestamp,
    /// When its state last changed.
    pub updated: Timestamp,
    /// When it is to be delivered.
    pub due: Timestamp,
    /// Counts what the client changed about the time of the next attempt.
    pub generation: u32,
    /// What is said.
    pub content: Content,
    /// Where it is sent.
    pub target: Target,
    /// How hard it is tried.
    pub policy: DeliveryPolicy,
    /// Where it is on its way.
    pub state: State,
    /// The attempts that are over, oldest first; the last [`Conversation::MAX_ATTEMPTS_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// How many attempts had begun when the conversation was last redelivered: they do not count
    /// against [`DeliveryPolicy::max_attempts`] any more.
    #[serde(rename = "attemptsForgiven", default, skip_serializing_if = "is_zero")]
    pub attempts_before_redelivery: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What a conversation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The text.
    pub text: String,
    /// The caller's own data, carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<RawJson>,
    /// How it is written into the delivered request.
    #[serde(default)]
    pub format: Format,
}

/// The form of the delivered request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A JSON object that also names the conversation.
    #[default]
    Json,
    /// The text alone.
    Text,
}

/// How hard a delivery is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryPolicy {
    /// How many attempts there are at the most, 1 to 20; as many again after each redelivery.
    pub max_attempts: u32,
    /// How long one attempt may take in all, 1 to 60 seconds.
    pub timeout_seconds: u32,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self { max_attempts: 8, timeout_seconds: 30 }
    }
}

impl DeliveryPolicy {
    /// How long before its time an attempt may be claimed: a little more than a slow fsync takes.
    pub const CLAIM_AHEAD: Duration = Duration::from_millis(10);
    /// How much longer than the delivery timeout a lease lasts: time to write the result down.
    pub const LEASE_MARGIN: Duration = Duration::from_secs(30);

    /// How long one attempt may take in all.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }
}

impl Conversation {
    /// How many finished attempts are kept: two deliveries of the most attempts there can be.
    pub const MAX_ATTEMPTS_KEPT: usize = 40;

    /// A conversation that was just accepted.
    #[must_use]
    pub fn new(id: ConversationId, client: ClientId, new: NewConversation, now: Timestamp) -> Self {
        Self {
            id,
            client,
            created: now,
            updated: now,
            due: new.due,
            generation: 1,
            content: new.content,
            target: new.target,
            policy: new.policy,
            state: State::Scheduled,
            attempts: Vec::new(),
            attempts_before_redelivery: 0,
        }
    }

    /// The state as clients see it.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.state {
            State::Scheduled => Status::Scheduled,
            State::Delivering { .. } | State::Waiting { .. } => Status::InProgress,
            State::Completed => Status::Completed,
            State::Failed { .. } => Status::Failed,
            State::Cancelled => Status::Cancelled,
        }
    }

    /// When a worker next has something to do here; `None` once the conversation is final.
    ///
    /// The store keeps a due row at exactly this instant, so this function is the whole rule of
    /// what is outstanding.
    #[must_use]
    pub const fn next_wake_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Scheduled => Some(self.due),
            State::Delivering { lease, .. } => Some(lease.until),
            State::Waiting { next_attempt } => Some(*next_attempt),
            State::Completed | State::Failed { .. } | State::Cancelled => None,
        }
    }

    /// From when on a worker may claim; `None` once the conversation is final. A lease is its
    /// worker's to the last millisecond; any other wake-up may be claimed ahead, to have the claim on
    /// record when the time comes.
    #[must_use]
    pub fn claimable_from(&self) -> Option<Timestamp> {
        let ahead = if self.in_flight().is_some() { Duration::ZERO } else { DeliveryPolicy::CLAIM_AHEAD };
        self.next_wake_at().map(|at| at - ahead)
    }

    /// The attempt under way, if there is one.
    #[must_use]
    pub const fn in_flight(&self) -> Option<AttemptStart> {
        match &self.state {
            State::Delivering { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// How many attempts have begun.
    #[must_use]
    pub fn attempts_begun(&self) -> u32 {
        let over = self.attempts.last().map_or(0, |a| a.start.number);
        self.in_flight().map_or(over, |a| a.number)
    }

    /// How many attempts have begun since the client last asked for a delivery.
    #[must_use]
    pub fn attempts_used(&self) -> u32 {
        self.attempts_begun().saturating_sub(self.attempts_before_redelivery)
    }

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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

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

/// Why nothing can be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefused {
    /// The time has not come.
    #[error("not due before {until}")]
    NotDue {
        /// When it comes.
        until: Timestamp,
    },
    /// Another attempt is under way.
    #[error("leased until {until}")]
    Leased {
        /// When its lease ends.
        until: Timestamp,
    },
    /// Nothing is outstanding.
    #[error("already {}", .0.as_str())]
    Final(Status),
}

/// No attempt is under way, or not this worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no attempt of this worker is under way")]
pub struct NotDelivering;

/// Only what has failed can be delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {}", .0.as_str())]
pub struct NotFailed(
    /// What it is instead.
    pub Status,
);

/// Why a conversation can no longer be withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLate {
    /// It is being delivered right now.
    #[error("is being delivered right now")]
    Delivering {
        /// When the attempt's lease ends at the latest.
        until: Timestamp,
    },
    /// It has ended in another way.
    #[error("has already {}", .0.as_str())]
    Final(AlreadyFinal),
    /// It is cancelled already.
    #[error("is already cancelled")]
    Already,
}

/// The ends that a cancel cannot undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlreadyFinal {
    /// The endpoint took it.
    Completed,
    /// No attempt was left.
    Failed,
}

impl AlreadyFinal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "been delivered",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
