//! A conversation in an inbox: its client receives it with a lease, and acknowledges it.
//!
//! To receive is to claim an attempt, and to acknowledge is to complete it. An attempt whose lease ends before that is
//! lost like that of a worker which has gone.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Claim, ClaimRefused, ClaimedAttempt, Conversation, Course};
use crate::domain::{AttemptResult, Destination, ErrorClass, Expiry, LeaseToken, Outcome, State, Timestamp, millis};

/// Names one attempt of a receiver: the one who has it may acknowledge the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number of the occurrence; 0 if the conversation does not recur.
    occurrence: u32,
    attempt: u32,
    token: LeaseToken,
}

/// What a receiver says of the conversation that it has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Received {
    /// It has done what the conversation is for.
    #[default]
    Done,
    /// It has failed. Another attempt follows, if one is left.
    Failed,
}

/// The reason why a receipt is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefused {
    /// The attempt is over with another result: its lease has ended, or the receiver has said the opposite.
    #[error("the attempt of this receipt is over, and its result is recorded")]
    Over,
    /// The attempt was acknowledged like this before.
    #[error("the attempt was acknowledged before")]
    Already,
}

/// The text is not a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the receipt that receiveConversations returned, unchanged")]
pub struct InvalidReceipt;

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { occurrence, attempt, token } = self;
        write!(f, "{occurrence}-{attempt}-{:014x}", token.as_u64())
    }
}

impl FromStr for Receipt {
    type Err = InvalidReceipt;

    fn from_str(text: &str) -> Result<Self, InvalidReceipt> {
        let mut parts = text.split('-');
        let (Some(occurrence), Some(attempt), Some(token), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidReceipt);
        };
        let receipt = Self {
            occurrence: occurrence.parse().map_err(|_| InvalidReceipt)?,
            attempt: attempt.parse().map_err(|_| InvalidReceipt)?,
            token: LeaseToken::from_u64(u64::from_str_radix(token, 16).map_err(|_| InvalidReceipt)?),
        };
        if receipt.to_string() == text { Ok(receipt) } else { Err(InvalidReceipt) }
    }
}

impl ClaimedAttempt {
    /// What the receiver of the attempt acknowledges it with.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let occurrence = self.conversation().occurrence().unwrap_or_default();
        Receipt { occurrence, attempt: self.attempt().number, token: self.token() }
    }

    /// The result that a receiver reports.
    #[must_use]
    pub fn acknowledged(&self, received: Received, now: Timestamp) -> AttemptResult {
        let (outcome, error) = match received {
            Received::Done => (Outcome::Success, None),
            Received::Failed => (Outcome::Failure, Some(ErrorClass::ReceiverFailed)),
        };
        let duration_ms = millis(self.attempt().started.until(now));
        AttemptResult {
            outcome,
            duration_ms,
            http_status: None,
            error,
            response_excerpt: String::new(),
            settled: Vec::new(),
        }
    }
}

impl Conversation {
    /// The longest lease of a receiver.
    pub const MAX_INBOX_LEASE: Duration = Duration::from_hours(1);

    /// Claims the next attempt for a receiver of the inbox. If the lease of the last receiver has ended, the next attempt
    /// begins at once.
    ///
    /// # Errors
    /// As [`Conversation::claim`].
    pub fn receive(self, token: LeaseToken, now: Timestamp, lease: Duration) -> Result<Claim, ClaimRefused> {
        self.claim_for(lease.min(Self::MAX_INBOX_LEASE), token, now, Duration::ZERO)
    }

    /// The attempt of a receipt, which its holder may complete.
    ///
    /// The end of the lease alone does not end the attempt: while nobody else has received the conversation, the receiver
    /// may still say what it has done.
    ///
    /// # Errors
    /// [`ReceiptRefused`].
    pub fn received(self, receipt: Receipt, received: Received) -> Result<ClaimedAttempt, ReceiptRefused> {
        let has_acknowledged = self.has_acknowledged(receipt, received);
        let refused = if has_acknowledged { ReceiptRefused::Already } else { ReceiptRefused::Over };
        // It may have been moved to an endpoint since.
        let in_inbox = Some(self).filter(|it| it.destination == Destination::Inbox);
        in_inbox.and_then(|it| ClaimedAttempt::of(it, receipt.token)).ok_or(refused)
    }

    /// Whether the attempt of the receipt has this result. The token is not kept, and the number of an attempt is not used
    /// twice within an occurrence.
    fn has_acknowledged(&self, receipt: Receipt, received: Received) -> bool {
        let Receipt { occurrence, attempt, .. } = receipt;
        if self.occurrence().unwrap_or_default() == occurrence {
            let over = self.attempts().iter().find(|over| over.start.number == attempt);
            if let Some(over) = over {
                let result = &over.result;
                return match received {
                    Received::Done => result.outcome == Outcome::Success,
                    Received::Failed => result.error == Some(ErrorClass::ReceiverFailed),
                };
            }
        }
        let history = self.series().map(|series| &series.history[..]).unwrap_or_default();
        let over = history.iter().find(|over| (over.number, over.attempts) == (occurrence, attempt));
        over.is_some_and(|over| match (received, over.failure.as_deref()) {
            (Received::Done, failure) => failure.is_none(),
            // After the failure of a receiver, the occurrence has expired if no attempt could follow in time.
            (Received::Failed, Some(reason)) => {
                reason == ErrorClass::ReceiverFailed.describe() || reason == Expiry::REASON
            }
            (Received::Failed, None) => false,
        })
    }

    /// The time at which a conversation in an inbox does not wait for a receiver any longer: no attempt can begin in time,
    /// or the lease of the last one ends.
    pub(super) fn lapses_at(&self) -> Option<Timestamp> {
        let from = self.next_attempt_at()?;
        if self.in_flight().is_some() && !self.may_try_again() {
            return Some(from);
        }
        // An attempt may still begin at the time of the expiry.
        self.expiry.map(|expiry| from.max(expiry.at + Duration::from_millis(1)))
    }

    /// What becomes of a conversation in an inbox that nobody has received in time, or whose last receiver has not
    /// acknowledged it in time. `None` while it waits for a receiver.
    #[must_use]
    pub fn lapsed(&self, now: Timestamp) -> Option<Self> {
        let has_lapsed = self.is_ahead_of(now) || self.lapses_at().is_some_and(|at| at <= now);
        if self.destination != Destination::Inbox || !has_lapsed {
            return None;
        }
        // A later occurrence may be in time.
        let mut next = self.clone().caught_up(now);
        next.updated = now;
        if let Some(lost) = next.in_flight() {
            let (result, may_try_again) = (next.lost(lost, now), next.may_try_again());
            next.record(lost, result);
            if !may_try_again {
                return Some(next.fail());
            }
        }
        if next.is_too_late(next.due.max(now)) {
            return Some(next.expire(now));
        }
        if next.state != State::Scheduled {
            // A clock that was ahead wrote the lease or the pause.
            next.state = State::Waiting { next_attempt: now };
        }
        Some(next)
    }

    /// The conversation as the next receiver would find it, if the lease of the last one has ended and another attempt may
    /// follow. Until somebody receives it, nobody else records that the attempt is lost.
    pub(super) fn after_lost_lease(mut self, now: Timestamp) -> Self {
        let (Destination::Inbox, State::Delivering { attempt, lease }) = (&self.destination, &self.state) else {
            return self;
        };
        let (lost, next_attempt) = (*attempt, lease.until);
        if next_attempt > now || !self.may_try_again() {
            return self;
        }
        let result = self.lost(lost, now);
        self.record(lost, result);
        self.state = State::Waiting { next_attempt };
        self
    }

    /// Whether another attempt may follow the last one.
    pub(super) fn may_try_again(&self) -> bool {
        let is_ending = self.series().is_some_and(|series| series.course == Course::Ending);
        self.attempts_used() < self.policy.max_attempts && !is_ending
    }

    /// The longest time from a claim to the end of its lease.
    pub(super) fn longest_lease(&self) -> Duration {
        match self.destination {
            Destination::Endpoint(_) | Destination::Events => self.policy.longest_lease(),
            Destination::Inbox => Self::MAX_INBOX_LEASE,
        }
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
