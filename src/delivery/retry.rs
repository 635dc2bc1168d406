//! When the next attempt follows a failed one.

use std::time::Duration;

/// The pause after the first, second, … failed attempt, in seconds; the last one repeats.
const PAUSES: [u64; 8] = [5, 30, 2 * 60, 10 * 60, 30 * 60, 2 * 3600, 6 * 3600, 12 * 3600];

/// How long to wait after attempt number `failed` (from 1): grows with each failure, and is spread
/// by ±20 % so that what failed together does not come back together. `jitter` is any number; equal
/// numbers give equal pauses.
#[must_use]
pub fn retry_delay(failed: u32, jitter: u32) -> Duration {
    let step = usize::try_from(failed.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES.get(step).or(PAUSES.last()).copied().unwrap_or_default() * 1000;
    let spread = pause * 2 / 5;
    let offset = spread * u64::from(jitter) / u64::from(u32::MAX);
    Duration::from_millis(pause - spread / 2 + offset)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pauses_are_those_of_the_documentation() {
        let middle = |failed| retry_delay(failed, u32::MAX / 2).as_secs_f64().round();
        let pauses: Vec<f64> = (1..=10).map(middle).collect();
        assert_eq!(pauses, [5., 30., 120., 600., 1800., 7200., 21600., 43200., 43200., 43200.]);
    }

    proptest! {
        #[test]
        fn every_pause_lies_within_a_fifth_of_its_step(failed in 0_u32..100, jitter: u32) {
            let middle = retry_delay(failed, u32::MAX / 2).as_secs_f64();
            let pause = retry_delay(failed, jitter).as_secs_f64();
            prop_assert!((pause - middle).abs() <= middle * 0.2 + 0.001);
        }

        #[test]
        fn later_attempts_never_wait_less(failed in 1_u32..20, jitter: u32) {
            prop_assert!(retry_delay(failed + 1, jitter) >= retry_delay(failed, jitter));
        }
    }
}
