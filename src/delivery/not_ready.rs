//! The reasons why a delivery does not come to its claim.

use super::retry_schedule::Busy;
use crate::domain::Conversation;
use crate::store::{StoreError, Versioned};

/// What kept a delivery from its claim.
pub(super) enum NotReady {
    /// Something that is short now.
    Busy(Busy),
    /// The payload is so large that the delivery needs this many permits. What was read is used when it has them.
    NeedsPermits(usize, Box<Versioned<Conversation>>),
    /// The store.
    Store(StoreError),
}

impl From<Busy> for NotReady {
    fn from(busy: Busy) -> Self {
        Self::Busy(busy)
    }
}

impl From<StoreError> for NotReady {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
