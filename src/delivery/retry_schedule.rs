//! The times at which refused deliveries try again.

use std::time::Duration;

use tokio::time::Instant;

/// There is no permit for this delivery soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The time from now after which the delivery should try again.
    pub retry_in: Duration,
}

/// Spreads the deliveries that a limiter refuses over time, at the rate at which its permits become free.
pub struct RetrySchedule {
    /// The mean time between two permits that become free.
    interval: Duration,
    /// The time at which the delivery that was refused last tries again.
    last: Option<Instant>,
}

impl RetrySchedule {
    /// The shortest time after which a refused delivery tries again.
    const MIN: Duration = Duration::from_secs(1);
    /// The longest time after which a refused delivery tries again. The permits may be free by then.
    pub const MAX: Duration = Duration::from_mins(1);

    /// A schedule for this many permits. Until one becomes free it assumes that each is held for a second.
    pub fn new(permits: usize) -> Self {
        Self { interval: Duration::from_secs(1) / whole(permits), last: None }
    }

    /// One of so many permits has become free after it was held this long.
    pub fn observe(&mut self, held: Duration, permits: usize) {
        self.interval = (self.interval * 7 + held / whole(permits)) / 8;
    }

    /// Refuses a delivery.
    pub fn refuse(&mut self) -> Busy {
        let now = Instant::now();
        let next = self.last.map_or(now, |last| last + self.interval).max(now + Self::MIN);
        // Beyond the maximum the schedule is filled again from the middle, so that not all of them come back at its end.
        let next = if next > now + Self::MAX { now + Self::MAX / 2 } else { next };
        self.last = Some(next);
        Busy { retry_in: next - now }
    }
}

fn whole(permits: usize) -> u32 {
    u32::try_from(permits.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(schedule: &mut RetrySchedule, count: usize) -> Vec<u128> {
        (0..count).map(|_| schedule.refuse().retry_in.as_millis()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn refused_deliveries_try_again_one_after_the_other() {
        let mut schedule = RetrySchedule::new(8);
        assert_eq!(pauses(&mut schedule, 4), [1000, 1125, 1250, 1375]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pauses(&mut schedule, 1), [1000], "at least a second from now");
    }

    #[tokio::test(start_paused = true)]
    async fn their_rate_follows_the_rate_of_the_permits() {
        let mut schedule = RetrySchedule::new(8);
        for _ in 0..100 {
            schedule.observe(Duration::from_secs(8), 8);
        }
        let pauses = pauses(&mut schedule, 3);
        assert!((1990..=2000).contains(&pauses[1]) && (2980..=3000).contains(&pauses[2]), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn all_of_them_try_again_within_a_minute_and_not_all_at_its_end() {
        let pauses = pauses(&mut RetrySchedule::new(8), 10_000);
        assert!(pauses.iter().all(|pause| (1000..=60_000).contains(pause)));
        let fullest = (0..60).map(|second| pauses.iter().filter(|pause| **pause / 1000 == second).count()).max();
        assert!(fullest < Some(400), "{fullest:?} in one second");
    }
}
