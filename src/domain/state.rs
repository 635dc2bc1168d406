//! The states of a conversation, and the status that a client sees.

use super::words::words;
use super::{AttemptStart, Timestamp};

/// The state of a conversation. Each variant has the data that exists only in that state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The conversation waits for its due time. It leaves this state by `claim` when it is due, or by `cancel`.
    Scheduled,
    /// A worker has claimed an attempt. The conversation leaves this state by that worker's `complete`. After the end
    /// of the lease (which `release` can bring forward) it can also leave by another worker's `claim` or by `cancel`.
    Delivering {
        /// The attempt under way.
        attempt: AttemptStart,
        /// The worker's right to deliver it.
        lease: Lease,
    },
    /// The conversation waits for its next attempt. It leaves this state by `claim` at that time, or by `cancel`.
    Waiting {
        /// The time of the next attempt.
        next_attempt: Timestamp,
    },
    /// Final: the endpoint accepted the conversation.
    Completed,
    /// Final, until the client calls `redeliver`: no attempt is left, or the last one failed permanently.
    Failed {
        /// The reason why the last attempt failed, for people.
        reason: String,
    },
    /// Final: the client cancelled the conversation.
    Cancelled,
}

/// A worker's right to deliver a claimed attempt. It ends at a fixed time, so that a dead worker does not keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The end of the lease.
    pub until: Timestamp,
    /// Identifies the claim, so that a worker that reads the row can tell its own claim from another one.
    pub token: LeaseToken,
}

/// Identifies one claim. It is random, so that two claims do not have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseToken(u64);

impl LeaseToken {
    /// A token from random bytes.
    #[must_use]
    pub const fn new(random: [u8; 8]) -> Self {
        // Many JSON readers keep only 53 bits of an integer.
        Self(u64::from_be_bytes(random) >> 11)
    }

    /// Restores a token from a stored row.
    #[must_use]
    pub const fn from_u64(token: u64) -> Self {
        Self(token)
    }

    /// The token as a number, for a stored row.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// The state as clients see it. The public contract has exactly these five values.
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
    /// All values, in the order in which a conversation can reach them.
    pub const ALL: [Self; 5] = [Self::Scheduled, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// The name in the API.
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

    /// Whether the conversation needs no worker any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

words!(Status);
