//! Why a text is not a time, said so that the writer can correct it.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::Delay;

/// Why a text is not a time that can be scheduled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// It is nothing that resembles a time.
    #[error(
        "is not an RFC 3339 time such as 2030-01-31T09:30:00Z or 2030-01-31T09:30:00+01:00 (without an offset it is read \
         as UTC)"
    )]
    Format,
    /// It is the number of seconds or milliseconds since 1970. This is the same instant in RFC 3339.
    #[error("is a Unix time; write it as {0}")]
    UnixTime(String),
    /// It is a span of time and not an instant.
    #[error("is a duration and not a time; use delay: {0}")]
    Duration(Delay),
    /// It has a date and no time of day.
    #[error("has no time of day; write for example {0}T09:30:00Z")]
    DateOnly(String),
    /// The month does not have this day.
    #[error("has the day {day}, but {year}-{month:02} has {days} days")]
    NoSuchDay {
        /// The year.
        year: i32,
        /// The month, 1 to 12.
        month: u32,
        /// The day that does not exist.
        day: u32,
        /// The number of days of the month.
        days: u32,
    },
    /// A part of the date or time is too small or too large.
    #[error("has the {part} {value}; it must be from {min:02} to {max}")]
    OutOfRange {
        /// The part: month, hour, minute or second.
        part: &'static str,
        /// Its value.
        value: u32,
        /// The smallest value.
        min: u32,
        /// The largest value.
        max: u32,
    },
    /// The offset is written without its colon or its minutes. This is the whole time with the offset as it must be.
    #[error("has an offset that is not written as hours, colon and minutes; write {0}")]
    Offset(String),
    /// A zone stands after the time.
    #[error(
        "has a time zone after the time; write its name as timeZone or in brackets, such as {0}[Europe/Berlin], or write \
         the UTC offset, such as {0}+01:00, or {0}Z for UTC"
    )]
    Zone(String),
    /// `23:59:60` names a second that not every clock has.
    #[error("names a leap second; use 23:59:59 or 00:00:00")]
    LeapSecond,
    /// It is before 1970, and a `Timestamp` cannot represent it.
    #[error("is before 1970")]
    BeforeEpoch,
}

impl InvalidTime {
    /// What is wrong with a text that is not a time.
    pub(super) fn of(text: &str) -> Self {
        const LONGEST: usize = 64;
        if text.len() > LONGEST {
            return Self::Format;
        }
        unix_time(text)
            .map(Self::UnixTime)
            .or_else(|| text.parse().map(Self::Duration).ok())
            .or_else(|| date_defect(text))
            .or_else(|| time_defect(text))
            .unwrap_or(Self::Format)
    }
}

/// A Unix time: ten digits are seconds and thirteen are milliseconds, from 2001 to 2286.
fn unix_time(text: &str) -> Option<String> {
    let whole = text.split('.').next().unwrap_or(text);
    let number: i64 = whole.parse().ok().filter(|_| whole.bytes().all(|b| b.is_ascii_digit()))?;
    let millis = match whole.len() {
        10 => number * 1000,
        13 => number,
        _ => return None,
    };
    Some(DateTime::<Utc>::from_timestamp_millis(millis)?.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The digits at a position, as a number.
fn number(text: &str, from: usize, digits: usize) -> Option<u32> {
    let digits = text.get(from..from + digits)?;
    digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn has(text: &str, at: usize, allowed: &[u8]) -> bool {
    text.as_bytes().get(at).is_some_and(|byte| allowed.contains(byte))
}

fn out_of_range(part: &'static str, value: u32, min: u32, max: u32) -> Option<InvalidTime> {
    let wrong = value < min || value > max;
    wrong.then_some(InvalidTime::OutOfRange { part, value, min, max })
}

/// What is wrong with the date at the beginning of a text.
fn date_defect(text: &str) -> Option<InvalidTime> {
    let (year, month, day) = (number(text, 0, 4)?, number(text, 5, 2)?, number(text, 8, 2)?);
    if !has(text, 4, b"-") || !has(text, 7, b"-") {
        return None;
    }
    if let Some(wrong) = out_of_range("month", month, 1, 12) {
        return Some(wrong);
    }
    let year = i32::try_from(year).ok()?;
    let days = (28..=31).rev().find(|day| NaiveDate::from_ymd_opt(year, month, *day).is_some())?;
    if day == 0 || day > days {
        return Some(InvalidTime::NoSuchDay { year, month, day, days });
    }
    (text.len() == 10).then(|| InvalidTime::DateOnly(text.to_owned()))
}

/// What is wrong with the time that follows a date.
fn time_defect(text: &str) -> Option<InvalidTime> {
    let (hour, minute) = (number(text, 11, 2)?, number(text, 14, 2)?);
    if !has(text, 10, b"Tt ") || !has(text, 13, b":") {
        return None;
    }
    let seconds = has(text, 16, b":").then(|| number(text, 17, 2));
    let wrong = out_of_range("hour", hour, 0, 23).or_else(|| out_of_range("minute", minute, 0, 59));
    if let Some(wrong) = wrong.or_else(|| out_of_range("second", seconds??, 0, 59)) {
        return Some(wrong);
    }
    let end = if seconds.is_some() { 19 } else { 16 };
    let rest = text.get(end..)?;
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |digits| 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    let (time, rest) = text.split_at_checked(end + fraction)?;
    offset_defect(time, rest)
}

/// What is wrong with the text that stands where the offset belongs.
fn offset_defect(time: &str, rest: &str) -> Option<InvalidTime> {
    let offset = rest.trim_start();
    if offset.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '[' | '(')) {
        return Some(InvalidTime::Zone(time.to_owned()));
    }
    let sign = offset.get(..1).filter(|sign| matches!(*sign, "+" | "-"))?;
    let hours = number(offset, 1, 2)?;
    let minutes = match offset.get(3..)? {
        "" => 0,
        minutes if minutes.len() == 2 => number(offset, 3, 2)?,
        minutes if minutes.len() == 3 && has(offset, 3, b":") => number(offset, 4, 2)?,
        _ => return None,
    };
    out_of_range("hour of the offset", hours, 0, 23)
        .or_else(|| out_of_range("minute of the offset", minutes, 0, 59))
        .or_else(|| Some(InvalidTime::Offset(format!("{time}{sign}{hours:02}:{minutes:02}"))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_defect_is_named_and_corrected() {
        let corrected = |text: &str| text.to_owned();
        let unix = InvalidTime::UnixTime("2030-01-01T00:00:00.000Z".to_owned());
        let out = |part, value, min, max| InvalidTime::OutOfRange { part, value, min, max };
        let day = |year, month, day, days| InvalidTime::NoSuchDay { year, month, day, days };
        for (text, expected) in [
            ("1893456000", unix.clone()),
            ("1893456000.5", unix.clone()),
            ("1893456000000", unix),
            ("189345600", InvalidTime::Format),
            ("2030-02-30T00:00:00Z", day(2030, 2, 30, 28)),
            ("2028-02-30T00:00Z", day(2028, 2, 30, 29)),
            ("2030-06-31", day(2030, 6, 31, 30)),
            ("2030-01-00T09:00", day(2030, 1, 0, 31)),
            ("2030-13-01T00:00:00Z", out("month", 13, 1, 12)),
            ("2030-00-01T00:00:00Z", out("month", 0, 1, 12)),
            ("2030-01-01T24:00:00Z", out("hour", 24, 0, 23)),
            ("2030-01-01T25:00", out("hour", 25, 0, 23)),
            ("2030-01-01T23:60:00Z", out("minute", 60, 0, 59)),
            ("2030-01-01T23:00:61Z", out("second", 61, 0, 59)),
            ("2030-01-01T00:00:00+24:00", out("hour of the offset", 24, 0, 23)),
            ("2030-01-01T00:00:00+01:60", out("minute of the offset", 60, 0, 59)),
            ("2030-01-01", InvalidTime::DateOnly(corrected("2030-01-01"))),
            ("2030-01-01T09:30:00+0100", InvalidTime::Offset(corrected("2030-01-01T09:30:00+01:00"))),
            ("2030-01-01T09:30-0430", InvalidTime::Offset(corrected("2030-01-01T09:30-04:30"))),
            ("2030-01-01T09:30:00.5+01", InvalidTime::Offset(corrected("2030-01-01T09:30:00.5+01:00"))),
            ("2030-01-01T09:30:00 +01:00", InvalidTime::Offset(corrected("2030-01-01T09:30:00+01:00"))),
            ("2030-01-01T09:30:00 UTC", InvalidTime::Zone(corrected("2030-01-01T09:30:00"))),
            ("2030-01-01 09:30 CET", InvalidTime::Zone(corrected("2030-01-01 09:30"))),
            ("2030-01-01T09:30:00[Europe/Berlin]", InvalidTime::Zone(corrected("2030-01-01T09:30:00"))),
            ("2030-1-1T0:0:0Z", InvalidTime::Format),
            ("01/31/2030 09:30", InvalidTime::Format),
            ("09:30", InvalidTime::Format),
            ("", InvalidTime::Format),
            ("日本日本日本日本", InvalidTime::Format),
        ] {
            assert_eq!(InvalidTime::of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_duration_is_recognised_and_a_number_or_a_wrong_duration_is_not() {
        for text in ["5m", "in 2 hours", "+10m", "PT1H30M", "P2W"] {
            assert_eq!(InvalidTime::of(text), InvalidTime::Duration(text.parse().unwrap()), "{text}");
        }
        for text in ["m", "5", "5x", "P1M", "PT", "in", "5m!", "-5m", "4000000000000d", "tomorrow"] {
            assert_eq!(InvalidTime::of(text), InvalidTime::Format, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", near in "[0-9TtZz:.+\\-PpMmé ]{0,30}") {
            let _ = InvalidTime::of(&text);
            let _ = InvalidTime::of(&near);
            let _ = InvalidTime::of(&format!("2030-01-01T09:30{near}"));
        }
    }
}
