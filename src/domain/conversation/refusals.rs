//! Why a transition is not legal.

use crate::domain::{Status, Timestamp};

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
