//! The clocks: the calendar, and the time since the machine was started.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{BoxFuture, FutureExt as _, pending};
use rustix::time::{ClockId, clock_gettime};

use crate::domain::Timestamp;

/// The clock that decides when a conversation is due and when a lease is over.
///
/// A clock that is not exact knows the time as an interval. "Is it due?" and "is this lease over?" ask [`Clock::now`],
/// and "does my lease still hold?" and "how long is the pause?" ask [`Clock::latest`]. So an error makes a delivery
/// late, and never early.
pub trait Clock: Send + Sync + 'static {
    /// The current time. It has been reached for certain, so it is the beginning of the interval.
    fn now(&self) -> Timestamp;

    /// The end of the interval: the time that has not been passed for certain.
    fn latest(&self) -> Timestamp {
        self.now()
    }

    /// The time that the calendar clock of this machine shows.
    fn machine(&self) -> Timestamp {
        self.now()
    }

    /// Whether the clock knows the time. Until then it shows the time of the machine, and no delivery may follow it.
    fn is_known(&self) -> bool {
        true
    }

    /// Ends when somebody has turned the clock since this call. It never ends for a clock that nobody turns.
    fn turned(&self) -> BoxFuture<'_, ()> {
        pending().boxed()
    }
}

/// The clocks of one machine.
pub trait MachineClock: Clock {
    /// A time that always grows at the same rate. It goes on while the machine is suspended, and nobody can set it.
    fn since_boot(&self) -> Duration;
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads the clock
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::MIN + since_epoch
    }
}

impl MachineClock for SystemClock {
    fn since_boot(&self) -> Duration {
        // `std::time::Instant` stands still while the machine is suspended.
        let time = clock_gettime(ClockId::Boottime);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    }
}

/// A clock that starts at a given time and follows tokio's clock, which tests pause and advance.
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

impl MachineClock for VirtualClock {
    fn since_boot(&self) -> Duration {
        self.epoch.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_the_start_of_the_machine_grows_and_is_not_the_calendar() {
        let (first, second) = (SystemClock.since_boot(), SystemClock.since_boot());
        assert!(first > Duration::ZERO && second >= first);
        assert!(second < Timestamp::MIN.until(SystemClock.now()));
    }
}
