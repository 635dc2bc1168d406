//! How often and how long a delivery is tried.

use std::time::Duration;

/// How hard a delivery is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// How many attempts there are at the most, 1 to 20; as many again after each redelivery.
    pub max_attempts: u32,
    /// How long one attempt may take in all, 1 to 60 seconds.
    pub timeout_seconds: u32,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self { max_attempts: 8, timeout_seconds: 30 }
    }
}

impl DeliveryPolicy {
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
