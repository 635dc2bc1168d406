//! The pause between a failed attempt and the next one.

use std::time::{Duration, UNIX_EPOCH};

use crate::domain::{DeliveryPolicy, Timestamp};

/// The pause after the first, second, … failed attempt, in seconds. Later pauses are as long as the last one.
const PAUSES: [u64; 8] = [5, 30, 2 * 60, 10 * 60, 30 * 60, 2 * 3600, 6 * 3600, 12 * 3600];

/// The pause after attempt number `failed` (from 1). It grows with each failure, and is spread by ±20 % so that
/// attempts that failed together are not repeated together. `jitter` is a random number; equal numbers give equal
/// pauses.
///
/// `retry_after` is the header `Retry-After` of the response. It can make the pause longer, up to 24 hours, and never
/// shorter. An invalid header is ignored.
#[must_use]
pub fn retry_delay(failed: u32, jitter: u32, retry_after: Option<&str>, now: Timestamp) -> Duration {
    let asked_for = retry_after.and_then(|value| read_retry_after(value, now)).unwrap_or_default();
    own_delay(failed, jitter).max(asked_for.min(DeliveryPolicy::MAX_PAUSE))
}

fn own_delay(failed: u32, jitter: u32) -> Duration {
    let step = usize::try_from(failed.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES.get(step).or(PAUSES.last()).copied().unwrap_or_default() * 1000;
    let spread = pause * 2 / 5;
    let offset = spread * u64::from(jitter) / u64::from(u32::MAX);
    Duration::from_millis(pause - spread / 2 + offset)
}

/// RFC 9110 §10.2.3: a number of seconds, or a date in one of the three forms of §5.6.7.
fn read_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // A number that is too large for u64 is still a valid number of seconds.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(now.until(Timestamp::MIN + date))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT: the example of RFC 9110.
    const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);
    const MIDDLE: u32 = u32::MAX / 2;
    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn the_pauses_are_as_documented() {
        let middle = |failed| retry_delay(failed, MIDDLE, None, NOW).as_secs_f64().round();
        let pauses: Vec<f64> = (1..=10).map(middle).collect();
        assert_eq!(pauses, [5., 30., 120., 600., 1800., 7200., 21600., 43200., 43200., 43200.]);
    }

    #[test]
    fn an_endpoint_may_ask_for_a_longer_pause_up_to_a_day() {
        for (value, seconds) in [
            ("120", 120),
            (" 120\t", 120),
            ("0120", 120),
            ("86400", DAY),
            ("86401", DAY),
            ("18446744073709551615", DAY),
            ("99999999999999999999999999999999", DAY),
            ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
            ("Sunday, 06-Nov-94 08:51:37 GMT", 120),
            ("Sun Nov  6 08:51:37 1994", 120),
            ("Mon, 07 Nov 1994 08:49:37 GMT", DAY),
            ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ] {
            assert_eq!(retry_delay(1, MIDDLE, Some(value), NOW), Duration::from_secs(seconds), "{value}");
        }
    }

    #[test]
    fn a_short_past_or_invalid_retry_after_changes_nothing() {
        for value in [
            "",
            " ",
            "0",
            "1",
            "-5",
            "-99999",
            "+120",
            "120.5",
            "1e9",
            "0x100",
            "120, 240",
            "120 seconds",
            "１２０",
            "soon",
            "NaN",
            "PT2M",
            "1994-11-06T08:51:37Z",
            "Sun, 06 Nov 1994 08:47:37 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Sun, 06 Nov 1994 08:51:37 CET",
            "Sun, 31 Feb 1995 08:51:37 GMT",
            "Sun, 06 Nov 1994 25:51:37 GMT",
        ] {
            let own = retry_delay(1, MIDDLE, None, NOW);
            assert_eq!(retry_delay(1, MIDDLE, Some(value), NOW), own, "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_pause_lies_within_a_fifth_of_its_step(failed in 0_u32..100, jitter: u32) {
            let middle = retry_delay(failed, MIDDLE, None, NOW).as_secs_f64();
            let pause = retry_delay(failed, jitter, None, NOW).as_secs_f64();
            prop_assert!((pause - middle).abs() <= middle * 0.2 + 0.001);
        }

        #[test]
        fn later_attempts_never_wait_less(failed in 1_u32..20, jitter: u32) {
            prop_assert!(retry_delay(failed + 1, jitter, None, NOW) >= retry_delay(failed, jitter, None, NOW));
        }

        #[test]
        fn a_number_of_seconds_is_waited_for_and_never_shortens_our_own(
            failed in 1_u32..20, jitter: u32, asked in prop_oneof![0_u64..100, 0..2 * DAY, any::<u64>()],
        ) {
            let own = retry_delay(failed, jitter, None, NOW);
            let pause = retry_delay(failed, jitter, Some(&asked.to_string()), NOW);
            prop_assert_eq!(pause, own.max(Duration::from_secs(asked.min(DAY))));
        }

        #[test]
        fn a_date_is_waited_for_and_never_shortens_our_own(
            failed in 1_u32..20, jitter: u32, from_now in -(10 * DAY.cast_signed())..10 * DAY.cast_signed(), form in 0_u8..3,
        ) {
            let at = chrono::DateTime::from_timestamp(NOW.as_secs() + from_now, 0).unwrap();
            let date = at.format(match form {
                0 => "%a, %d %b %Y %H:%M:%S GMT",
                1 => "%A, %d-%b-%y %H:%M:%S GMT",
                _ => "%a %b %e %H:%M:%S %Y",
            });
            let own = retry_delay(failed, jitter, None, NOW);
            let pause = retry_delay(failed, jitter, Some(&date.to_string()), NOW);
            let asked = u64::try_from(from_now).unwrap_or_default().min(DAY);
            prop_assert_eq!(pause, own.max(Duration::from_secs(asked)), "{}", date);
        }

        #[test]
        fn any_header_leaves_the_pause_between_our_own_and_a_day(failed in 1_u32..20, jitter: u32, value in ".{0,40}") {
            let pause = retry_delay(failed, jitter, Some(&value), NOW);
            prop_assert!(pause >= retry_delay(failed, jitter, None, NOW));
            prop_assert!(pause <= DeliveryPolicy::MAX_PAUSE);
        }
    }
}
