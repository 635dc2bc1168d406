//! Instants, and the form in which callers write them.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDateTime, SecondsFormat, TimeDelta, Utc};

use super::InvalidTime;

/// An instant in UTC, in whole milliseconds since the Unix epoch.
///
/// The product promises a precision of one millisecond, so finer fractions are not kept. Rows store the number; people
/// and clients see RFC 3339 with `Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant: the Unix epoch.
    pub const MIN: Self = Self(0);
    /// The latest instant whose number of milliseconds has 14 digits, which is what the keys of rows have room for.
    pub const MAX: Self = Self(99_999_999_999_999);

    /// An instant from milliseconds since the Unix epoch. A negative number becomes the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// Milliseconds since the Unix epoch, never negative.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0 / 1000
    }

    /// The time from `self` until `later`. It is zero if `later` is not after `self`.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// Reads a time of RFC 3339. The seconds may be left out, and a time without an offset is read as UTC.
    ///
    /// A fraction finer than a millisecond is rounded up, so that no conversation is due early.
    ///
    /// # Errors
    /// [`InvalidTime`].
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let WrittenTime { wall, offset } = WrittenTime::parse(text)?;
        let seconds = match offset {
            WrittenOffset::Missing | WrittenOffset::Utc => 0,
            WrittenOffset::Given(offset) => offset.local_minus_utc(),
        };
        let millis = wall.and_utc().timestamp_millis() - i64::from(seconds) * 1000;
        if millis < 0 { Err(InvalidTime::BeforeEpoch) } else { Ok(Self(millis)) }
    }
}

/// A time as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrittenTime {
    /// The date and the time of day. A fraction finer than a millisecond is rounded up.
    pub(super) wall: NaiveDateTime,
    pub(super) offset: WrittenOffset,
}

/// The offset after a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrittenOffset {
    Missing,
    /// `Z` or `-00:00`: the time is in UTC, and this says nothing about the place (RFC 9557, section 2).
    Utc,
    Given(FixedOffset),
}

impl WrittenTime {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidTime> {
        // "2030-01-01T00:00:00.123456789+05:30" is the longest time: the parser keeps nanoseconds.
        const LONGEST: usize = 35;
        if text.len() > LONGEST {
            return Err(InvalidTime::of(text));
        }
        let full = with_seconds(text);
        let (parsed, is_naive) = match DateTime::parse_from_rfc3339(&full) {
            Ok(parsed) => (parsed, false),
            Err(_) => match DateTime::parse_from_rfc3339(&format!("{full}Z")) {
                Ok(parsed) => (parsed, true),
                Err(_) => return Err(InvalidTime::of(text)),
            },
        };
        let nanos = parsed.timestamp_subsec_nanos();
        if nanos >= 1_000_000_000 {
            return Err(InvalidTime::LeapSecond);
        }
        let up = TimeDelta::nanoseconds((1_000_000 - i64::from(nanos % 1_000_000)) % 1_000_000);
        let wall = parsed.naive_local().checked_add_signed(up).ok_or(InvalidTime::Format)?;
        let offset = match text.as_bytes() {
            _ if is_naive => WrittenOffset::Missing,
            [.., b'Z' | b'z'] => WrittenOffset::Utc,
            _ if text.ends_with("-00:00") => WrittenOffset::Utc,
            _ => WrittenOffset::Given(*parsed.offset()),
        };
        Ok(Self { wall, offset })
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds and `Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms after 1970-01-01T00:00:00Z", self.0),
        }
    }
}

/// The whole milliseconds of a duration. A duration that does not fit becomes the largest number.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Adds the seconds to a time that has only hours and minutes.
fn with_seconds(text: &str) -> Cow<'_, str> {
    const UP_TO_MINUTES: usize = "2030-01-31T09:30".len();
    match text.split_at_checked(UP_TO_MINUTES) {
        Some((time, rest)) if !rest.starts_with([':', '.']) => format!("{time}:00{rest}").into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> i64 {
        Timestamp::parse(text).unwrap().as_millis()
    }

    #[test]
    fn an_offset_is_applied_and_a_naive_time_is_utc() {
        let noon = parsed("2030-06-01T12:00:00Z");
        for same in [
            "2030-06-01T14:00:00+02:00",
            "2030-06-01t07:30:00-04:30",
            "2030-06-01T12:00:00",
            "2030-06-01 12:00:00.000",
            "2030-06-01T12:00:00z",
            "2030-06-01T12:00",
            "2030-06-01T12:00Z",
            "2030-06-01 12:00",
            "2030-06-01T14:00+02:00",
            "2030-06-01T07:30-04:30",
        ] {
            assert_eq!(parsed(same), noon, "{same}");
        }
    }

    #[test]
    fn a_finer_fraction_is_rounded_up_never_down() {
        let base = parsed("2030-06-01T12:00:00Z");
        assert_eq!(parsed("2030-06-01T12:00:00.000000001Z"), base + 1);
        assert_eq!(parsed("2030-06-01T12:00:00.001Z"), base + 1);
        assert_eq!(parsed("2030-06-01T12:00:00.999999"), base + 1000);
    }

    #[test]
    fn a_text_that_is_not_a_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2030-02-30T00:00:00Z",
            "2030-01-01",
            "2030-01-01T09",
            "2030-01-01T09:",
            "2030-01-01T09:3",
            "2030-01-01T09:30:",
            "2030-01-01T09:30.5Z",
            "2030-01-01T09:30:5Z",
            "2030-1-1T0:0:0Z",
            "10000-01-01T00:00:00Z",
            "2030-01-01 00:00:00 UTC",
            " 2030-01-01T00:00:00Z",
            "2030-01-01T00:00:00ZZ",
            "2030-01-01T24:00:00Z",
            "2030-01-01T24:00",
            "2030-01-01T00:00:00+24:00",
            "2030-01-01T00:00:00+0100",
            "2030-01-01T00:00:00.1111111111111111111111Z",
            "1893456000",
        ] {
            let refused = Timestamp::parse(text);
            assert!(refused.is_err() && refused == Err(InvalidTime::of(text)), "{text}: {refused:?}");
        }
        for (text, why) in [
            ("2030-06-30T23:59:60Z", InvalidTime::LeapSecond),
            ("1969-12-31T23:59:59Z", InvalidTime::BeforeEpoch),
            ("1969-12-31T23:59", InvalidTime::BeforeEpoch),
        ] {
            assert_eq!(Timestamp::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn the_milliseconds_of_a_duration_are_whole_and_saturate() {
        assert_eq!(millis(Duration::from_micros(1_999)), 1);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_displayed_time_is_read_back(ms in 0_i64..253_402_300_800_000) {
            let at = Timestamp::from_millis(ms);
            prop_assert_eq!(Timestamp::parse(&at.to_string()), Ok(at));
        }

        #[test]
        fn any_offset_names_the_same_instant(ms in 100_000_000_i64..253_402_000_000_000, offset in -1439_i32..=1439) {
            let at = DateTime::<Utc>::from_timestamp_millis(ms).unwrap();
            let zone = FixedOffset::east_opt(offset * 60).unwrap();
            prop_assert_eq!(Timestamp::parse(&at.with_timezone(&zone).to_rfc3339()), Ok(Timestamp::from_millis(ms)));
        }

        #[test]
        fn a_time_is_never_rounded_down(secs in 0_i64..4_000_000_000, nanos in 0_u32..1_000_000_000) {
            let at = DateTime::<Utc>::from_timestamp(secs, nanos).unwrap();
            let due = Timestamp::parse(&at.to_rfc3339_opts(SecondsFormat::Nanos, true)).unwrap();
            let exact = i128::from(secs) * 1_000_000_000 + i128::from(nanos);
            let due = i128::from(due.as_millis()) * 1_000_000;
            prop_assert!(due >= exact && due - exact < 1_000_000);
        }

        #[test]
        fn no_text_panics(text in ".{0,50}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
