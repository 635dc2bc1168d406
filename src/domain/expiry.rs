//! The time within which a conversation must be delivered.

use std::time::Duration;

use super::Timestamp;

/// The end of a conversation's usefulness: no attempt begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The time after the due time for which an attempt is still useful, as the caller gave it.
    pub after: Duration,
    /// The latest time at which an attempt may begin.
    pub at: Timestamp,
}

impl Expiry {
    /// The reason of a conversation that has failed because no attempt could begin in time.
    pub const REASON: &str = "expired";

    /// The expiry of a delivery that is due at this time.
    #[must_use]
    pub fn of(due: Timestamp, after: Duration) -> Self {
        Self { after, at: due + after }
    }
}
