//! Waits that follow a clock which may be set while they last.

use std::time::Duration;

use tokio::time::Instant;

use super::Clock;
use crate::domain::Timestamp;

/// A wait reads the clock again after at most this time. A timer alone does not notice that the clock was set or that
/// the machine was suspended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The time to sleep before the clock is read again, if `rest` is left.
#[must_use]
pub fn longest_sleep(rest: Duration) -> Duration {
    rest.min(LOOK_EVERY)
}

/// Waits until the clock shows this time.
pub async fn wait_until(clock: &dyn Clock, time: Timestamp) {
    loop {
        let rest = clock.now().until(time);
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(longest_sleep(rest)).await;
    }
}

/// The pauses of a task that runs periodically, and the last time that the task has seen.
pub struct Pacemaker<'a> {
    clock: &'a dyn Clock,
    seen: Timestamp,
}

impl<'a> Pacemaker<'a> {
    /// A clock that goes back by less than this was corrected and not set.
    const CORRECTION: Duration = Duration::from_secs(2);

    /// Pauses by this clock.
    #[must_use]
    pub fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, seen: clock.now() }
    }

    /// Pauses for this long by the clock or by the timer, whichever is shorter, and not after the clock was set back.
    /// Returns whether it was set back.
    pub async fn pause(&mut self, duration: Duration) -> bool {
        let began = Instant::now();
        let end = self.clock.now() + duration;
        loop {
            let now = self.clock.now();
            let was_set_back = now + Self::CORRECTION < self.seen;
            self.seen = now;
            let rest = now.until(end).min(duration.saturating_sub(began.elapsed()));
            if was_set_back || rest.is_zero() {
                return was_set_back;
            }
            tokio::time::sleep(longest_sleep(rest)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

    use super::*;
    use crate::time::VirtualClock;

    const NOON: Timestamp = Timestamp::from_millis(1_893_499_200_000);
    const HOUR: Duration = Duration::from_hours(1);
    const MINUTE: Duration = Duration::from_mins(1);

    struct SetClock(VirtualClock, AtomicI64);

    impl SetClock {
        fn new() -> Arc<Self> {
            Arc::new(Self(VirtualClock::starting_at(NOON), AtomicI64::new(0)))
        }

        /// Sets the clock forward or back after a time.
        fn set_after(self: &Arc<Self>, pause: Duration, seconds: i64) {
            let clock = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                clock.1.fetch_add(seconds * 1000, SeqCst);
            });
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.now().as_millis() + self.1.load(SeqCst))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_exactly_at_its_time_and_within_a_second_after_the_clock_was_set_forward() {
        let (clock, began) = (SetClock::new(), Instant::now());
        wait_until(&*clock, NOON + Duration::from_millis(2_345)).await;
        assert_eq!(began.elapsed(), Duration::from_millis(2_345));
        clock.set_after(Duration::from_millis(2_500), 3600);
        let began = Instant::now();
        wait_until(&*clock, NOON + HOUR).await;
        assert!(began.elapsed() <= Duration::from_millis(3_500), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_as_much_longer_as_the_clock_was_set_back() {
        let (clock, began) = (SetClock::new(), Instant::now());
        clock.set_after(Duration::from_secs(1), -3600);
        wait_until(&*clock, NOON + Duration::from_secs(5)).await;
        assert_eq!(began.elapsed(), HOUR + Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_within_a_second_after_the_clock_was_set() {
        for (seconds, set_back) in [(3600, false), (-3600, true)] {
            let (clock, began) = (SetClock::new(), Instant::now());
            clock.set_after(Duration::from_secs(10), seconds);
            let mut pacemaker = Pacemaker::new(&*clock);
            assert_eq!(pacemaker.pause(MINUTE).await, set_back, "{seconds}");
            assert!(began.elapsed() <= Duration::from_secs(11), "{seconds}: {:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_between_two_pauses_is_noticed_and_a_correction_is_not() {
        let (clock, began) = (SetClock::new(), Instant::now());
        let mut pacemaker = Pacemaker::new(&*clock);
        clock.1.fetch_add(-1500, SeqCst);
        assert!(!pacemaker.pause(MINUTE).await);
        assert_eq!(began.elapsed(), MINUTE, "and no pause is longer for it");
        clock.1.fetch_add(-3_600_000, SeqCst);
        assert!(pacemaker.pause(MINUTE).await);
        assert_eq!(began.elapsed(), MINUTE);
    }
}
