//! The reasons why a transition is not allowed.

use crate::domain::{Status, Timestamp};

/// The reason why no attempt can be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefused {
    /// The next attempt is not due yet.
    #[error("not due before {until}")]
    NotDue {
        /// The time at which it is due.
        until: Timestamp,
    },
    /// Another attempt is under way.
    #[error("leased until {until}")]
    Leased {
        /// The end of the lease of that attempt.
        until: Timestamp,
    },
    /// It is paused between two occurrences.
    #[error("paused")]
    Paused,
    /// The conversation is final.
    #[error("already {}", .0.as_str())]
    Final(Status),
}

/// The reason why a conversation cannot be paused or resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseRefused {
    /// It has one delivery, at its time.
    #[error("does not recur, so it cannot be paused")]
    DoesNotRecur,
    /// It is cancelled and ends with the attempt under way.
    #[error("is cancelled and ends with the attempt that is under way")]
    Ending,
    /// It is final.
    #[error("is {}", .0.as_str())]
    Final(Status),
}

/// No attempt is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no attempt is under way")]
pub struct NotDelivering;

/// The reason why a conversation cannot be redelivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedeliveryRefused {
    /// It has not failed. It has this status instead.
    #[error("is {}", .0.as_str())]
    NotFailed(Status),
    /// Another delivery could exceed the largest number of attempts in the life of a conversation.
    #[error("has had {begun} attempts, and another delivery may need {more}")]
    AttemptsUsedUp {
        /// The number of attempts that have begun.
        begun: u32,
        /// The number of attempts that the redelivery may need.
        more: u32,
    },
}

/// The reason why a conversation cannot be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLate {
    /// An attempt is under way.
    #[error("is being delivered right now")]
    Delivering {
        /// The end of the attempt's lease.
        until: Timestamp,
    },
    /// The conversation is final, and not cancelled.
    #[error("has already {}", .0.as_str())]
    Final(AlreadyFinal),
    /// The conversation is already cancelled.
    #[error("is already cancelled")]
    Already,
}

/// The final states other than Cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlreadyFinal {
    /// The endpoint accepted the conversation.
    Completed,
    /// No attempt was left, or the last one failed permanently.
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
