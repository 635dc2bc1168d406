//! The times at which a conversation needs somebody.

use std::time::Duration;

use super::Conversation;
use crate::domain::{DeliveryPolicy, Destination, State, Timestamp};

impl Conversation {
    /// The time from which the next attempt may begin. `None` if the conversation is final, or paused between two
    /// occurrences.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Scheduled => (!self.is_paused()).then_some(self.due),
            State::Delivering { lease, .. } => Some(lease.until),
            State::Waiting { next_attempt } => Some(*next_attempt),
            State::Completed | State::Failed { .. } | State::Cancelled => None,
        }
    }

    /// The time at which the conversation next needs a worker. `None` if it needs none: it is final, paused between two
    /// occurrences, or waits in an inbox for as long as it takes.
    ///
    /// The store keeps a due row at exactly this time, so this function alone decides what the sweep finds.
    #[must_use]
    pub fn next_wake_at(&self) -> Option<Timestamp> {
        match self.destination {
            Destination::Endpoint(_) | Destination::Events => self.next_attempt_at(),
            Destination::Inbox => self.lapses_at(),
        }
    }

    /// The time from which a receiver gets the conversation out of the inbox. `None` if it is not in one.
    ///
    /// The store keeps an inbox row at exactly this time.
    #[must_use]
    pub fn receivable_at(&self) -> Option<Timestamp> {
        match self.destination {
            Destination::Endpoint(_) | Destination::Events => None,
            Destination::Inbox => self.next_attempt_at(),
        }
    }

    /// Whether a clock that was ahead wrote the lease or the pause: it ends further ahead than any lease or pause can
    /// that begins now.
    ///
    /// The row itself tells the length of a pause: it began when the row was written.
    #[must_use]
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        let latest = now + DeliveryPolicy::CLOCK_TOLERANCE;
        match &self.state {
            State::Delivering { lease, .. } => lease.until > latest + self.longest_lease(),
            State::Waiting { next_attempt } => {
                let pause = self.updated.until(*next_attempt).min(DeliveryPolicy::MAX_PAUSE);
                *next_attempt > latest + pause
            }
            State::Scheduled | State::Completed | State::Failed { .. } | State::Cancelled => false,
        }
    }

    /// The time from which the next attempt may begin, as it looks now. `None` if the conversation is final.
    ///
    /// This is [`Conversation::next_attempt_at`], and it is now if a clock that was ahead wrote the lease or the pause:
    /// after that clock was set right, the conversation would wait for as long as the clock was ahead.
    #[must_use]
    pub fn due_from(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.next_attempt_at()?;
        Some(if self.is_ahead_of(now) { now } else { at })
    }

    /// The earliest time at which the next attempt may be claimed. `None` if the conversation is final.
    ///
    /// For an endpoint it is [`DeliveryPolicy::CLAIM_AHEAD`] before the attempt is due, so that the claim is durable when
    /// the time comes. An attempt under way cannot be claimed before the end of its lease. A receiver of an inbox has the
    /// conversation as soon as it is claimed, so its claim is never early.
    #[must_use]
    pub fn claimable_from(&self, now: Timestamp) -> Option<Timestamp> {
        let is_sent_later = self.in_flight().is_none() && self.destination != Destination::Inbox;
        let ahead = if is_sent_later { DeliveryPolicy::CLAIM_AHEAD } else { Duration::ZERO };
        self.due_from(now).map(|at| at - ahead)
    }
}
