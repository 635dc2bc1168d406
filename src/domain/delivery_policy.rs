//! The limits of a delivery: number of attempts and time for each.

use std::time::Duration;

/// The number of attempts of a delivery, and the time limit of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// The largest number of attempts, 1 to 20. A redelivery allows the same number again.
    pub max_attempts: u32,
    /// The time limit of one whole attempt, 1 to 60 seconds.
    pub timeout_seconds: u32,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self { max_attempts: 8, timeout_seconds: 30 }
    }
}

impl DeliveryPolicy {
    /// An attempt may be claimed this long before it is due, so that the fsync of the claim does not delay the
    /// delivery. A slow fsync takes a little less.
    pub const CLAIM_AHEAD: Duration = Duration::from_millis(10);
    /// A lease lasts this much longer than the delivery timeout, so that the worker has time to record the result.
    pub const LEASE_MARGIN: Duration = Duration::from_secs(30);
    /// The longest pause between two attempts: an endpoint cannot ask for more.
    pub const MAX_PAUSE: Duration = Duration::from_hours(24);
    /// Two clocks that differ by no more than this are taken for equal. A clock is corrected by a few seconds again and
    /// again, and a pause that was written just before that must not end at once.
    pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

    /// The time limit of one whole attempt.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }

    /// The longest time from a claim to the end of its lease.
    #[must_use]
    pub fn longest_lease(&self) -> Duration {
        Self::CLAIM_AHEAD + self.timeout() + Self::LEASE_MARGIN
    }
}
