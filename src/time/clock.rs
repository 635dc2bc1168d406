//! The calendar's time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// The calendar's time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads the clock
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::MIN + since_epoch
    }
}

/// A clock that starts at a given time and goes as tokio's does: paused, advanced, or real.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    start: Timestamp,
    epoch: tokio::time::Instant,
}

impl VirtualClock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, epoch: tokio::time::Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.start + self.epoch.elapsed()
    }
}
