//! The conversation, its states, and the only functions that move it from one to the next.
//!
//! A transition consumes the conversation and returns the next one, or says why it is not legal.
//! Who calls which: `claim` and `complete` belong to delivery, `cancel` to the client.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    AnyJson, Attempt, ClientId, ConversationId, InFlight, NewConversation, Outcome, Report, Target, Timestamp,
};

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
    /// Counts the changes of `due`.
    pub generation: u32,
    /// What is said.
    pub content: Content,
    /// Where it is sent.
    pub target: Target,
    /// How hard it is tried.
    pub policy: Policy,
    /// Where it is on its way.
    pub state: State,
    /// The attempts that are over, oldest first; the last [`Conversation::MAX_ATTEMPTS_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// What a conversation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The text.
    pub text: String,
    /// The caller's own data, carried along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<AnyJson>,
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
pub struct Policy {
    /// How many attempts there are at the most, 1 to 20.
    pub max_attempts: u32,
    /// How long one attempt may take in all, 1 to 60 seconds.
    pub timeout_seconds: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_attempts: 8, timeout_seconds: 30 }
    }
}

impl Policy {
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

/// Where a conversation is, with the data that exists only there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum State {
    /// Waits for its time. Left by `claim` when that has come, or by `cancel`.
    Scheduled,
    /// A worker has claimed an attempt. Left by that worker's `complete`; once the lease has run
    /// out (or was ended by `release`) also by another worker's `claim`, or by `cancel`.
    Delivering {
        /// The attempt under way.
        attempt: InFlight,
        /// Who owns it, and until when.
        lease: Lease,
    },
    /// An attempt failed and another will follow. Left by `claim` at that time, or by `cancel`.
    Waiting {
        /// When the next attempt begins.
        next_attempt: Timestamp,
    },
    /// Final: the endpoint took it.
    Completed,
    /// Final: no attempt is left, or none would help.
    Failed {
        /// Why the last attempt failed, for people.
        reason: String,
    },
    /// Final: the client withdrew it.
    Cancelled,
}

/// A worker's right to deliver, which ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// When it ends.
    pub until: Timestamp,
    /// Names this very claim, so that a worker that reads the row knows whether it is its own.
    pub token: LeaseToken,
}

/// The name of one claim; random, so that no two ever share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseToken(u64);

impl LeaseToken {
    /// A token from random bytes.
    #[must_use]
    pub const fn new(random: [u8; 8]) -> Self {
        // JSON readers other than ours keep 53 bits of an integer.
        Self(u64::from_be_bytes(random) >> 11)
    }
}

/// The state as clients see it: these five words and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Status {
    Scheduled,
    InProgress,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 5] = [Self::Scheduled, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl Conversation {
    /// How many finished attempts are kept.
    pub const MAX_ATTEMPTS_KEPT: usize = 20;

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
    pub const fn wake_up(&self) -> Option<Timestamp> {
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
        let ahead = if self.in_flight().is_some() { Duration::ZERO } else { Policy::CLAIM_AHEAD };
        self.wake_up().map(|at| at - ahead)
    }

    /// The attempt under way, if there is one.
    #[must_use]
    pub const fn in_flight(&self) -> Option<InFlight> {
        match &self.state {
            State::Delivering { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// How many attempts have begun.
    #[must_use]
    pub fn attempts_begun(&self) -> u32 {
        let over = self.attempts.last().map_or(0, |a| a.began.number);
        self.in_flight().map_or(over, |a| a.number)
    }

    /// A worker takes the next attempt: counts it and leases the conversation for the delivery
    /// timeout plus [`Policy::LEASE_MARGIN`].
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
        let (Some(until), Some(from)) = (self.wake_up(), self.claimable_from()) else {
            return Err(ClaimRefused::Final(self.status()));
        };
        if from > now {
            let leased = self.in_flight().is_some();
            return Err(if leased { ClaimRefused::Leased { until } } else { ClaimRefused::NotDue { until } });
        }
        let now = now.max(until);
        self.updated = now;
        if let Some(lost) = self.in_flight() {
            let report = Report::unknown(millis(lost.started.until(now)));
            self.record(lost, report);
        }
        let begun = self.attempts_begun();
        if begun >= self.policy.max_attempts {
            return Ok(Claim::Exhausted(self.fail()));
        }
        self.state = State::Delivering {
            attempt: InFlight { number: begun + 1, started: now },
            lease: Lease { until: now + self.policy.timeout() + Policy::LEASE_MARGIN, token },
        };
        Ok(Claim::Attempt(self))
    }

    /// The worker that claimed the attempt reports what came of it. If it failed, not permanently, and
    /// another is left, the next one begins `retry_after` from now.
    ///
    /// # Errors
    /// [`NotDelivering`] if the attempt of this claim is not under way.
    pub fn complete(
        mut self,
        token: LeaseToken,
        report: Report,
        retry_after: Duration,
        now: Timestamp,
    ) -> Result<Self, NotDelivering> {
        let State::Delivering { attempt, lease } = &self.state else {
            return Err(NotDelivering);
        };
        if lease.token != token {
            return Err(NotDelivering);
        }
        let (attempt, outcome) = (*attempt, report.outcome);
        self.updated = now;
        self.record(attempt, report);
        Ok(match outcome {
            Outcome::Success => {
                self.state = State::Completed;
                self
            }
            Outcome::Failure | Outcome::Unknown if attempt.number < self.policy.max_attempts => {
                self.state = State::Waiting { next_attempt: now + retry_after };
                self
            }
            Outcome::Failure | Outcome::Unknown | Outcome::PermanentFailure => self.fail(),
        })
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
                self.record(lost, Report::unknown(millis(lost.started.until(now))));
            }
            State::Completed => return Err(TooLate::Final(AlreadyFinal::Completed)),
            State::Failed { .. } => return Err(TooLate::Final(AlreadyFinal::Failed)),
            State::Cancelled => return Err(TooLate::Already),
        }
        self.updated = now;
        self.state = State::Cancelled;
        Ok(self)
    }

    /// Writes an attempt down as over. The state still names it; every caller replaces the state.
    fn record(&mut self, began: InFlight, report: Report) {
        if self.attempts.len() == Self::MAX_ATTEMPTS_KEPT {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt { began, report });
    }

    fn fail(mut self) -> Self {
        let reason = self.attempts.last().map(|a| a.report.reason()).unwrap_or_default();
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
    /// An attempt is under way; send it.
    Attempt(Conversation),
    /// No attempt was left after one that was lost; the conversation has failed.
    Exhausted(Conversation),
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
