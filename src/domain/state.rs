//! Where a conversation is: inside, with the data that belongs to each state, and as its client sees it.

use super::words::words;
use super::{AttemptStart, Timestamp};

/// Where a conversation is, with the data that exists only there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for its time. Left by `claim` when that has come, or by `cancel`.
    Scheduled,
    /// A worker has claimed an attempt. Left by that worker's `complete`; once the lease has run
    /// out (or was ended by `release`) also by another worker's `claim`, or by `cancel`.
    Delivering {
        /// The attempt under way.
        attempt: AttemptStart,
        /// Who owns it, and until when.
        lease: Lease,
    },
    /// Another attempt will follow those that failed. Left by `claim` at that time, or by `cancel`.
    Waiting {
        /// When the next attempt begins.
        next_attempt: Timestamp,
    },
    /// Final: the endpoint took it.
    Completed,
    /// Final, unless the client asks for another delivery: no attempt is left, or none would help. Left
    /// by `redeliver`.
    Failed {
        /// Why the last attempt failed, for people.
        reason: String,
    },
    /// Final: the client withdrew it.
    Cancelled,
}

/// A worker's right to deliver, which ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it ends.
    pub until: Timestamp,
    /// Names this very claim, so that a worker that reads the row knows whether it is its own.
    pub token: LeaseToken,
}

/// The name of one claim; random, so that no two ever share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseToken(u64);

impl LeaseToken {
    /// A token from random bytes.
    #[must_use]
    pub const fn new(random: [u8; 8]) -> Self {
        // JSON readers other than ours keep 53 bits of an integer.
        Self(u64::from_be_bytes(random) >> 11)
    }

    /// A token as a store kept it.
    #[must_use]
    pub const fn from_u64(token: u64) -> Self {
        Self(token)
    }

    /// The token as a store keeps it.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The state as clients see it: these five words and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

words!(Status);
