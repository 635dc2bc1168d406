//! Durations as people and programs write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The time from now until the delivery. It is exact: a day has 24 hours, also when the clocks change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(Duration);

/// Why a text is not a delay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDelay {
    /// It is nothing that resembles a duration.
    #[error("is not a duration such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M")]
    Format,
    /// It is a number alone.
    #[error("has no unit; write {0}s for seconds or {0}m for minutes")]
    NoUnit(String),
    /// It begins with a minus sign.
    #[error("must not be negative")]
    Negative,
    /// It has months or years.
    #[error("has months or years, which differ in length; use days, or write the time as scheduledTime")]
    Calendar,
    /// The units do not go from the larger to the smaller.
    #[error("must have each unit once and the larger unit first, such as 1h30m")]
    Order,
    /// Only the smallest unit may have a fraction.
    #[error("may have a fraction only in its last number, such as 1h0.5m")]
    Fraction,
    /// It is longer than any time that can be scheduled.
    #[error("is more than ten years")]
    TooLong,
}

impl From<Duration> for Delay {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl Delay {
    /// The duration, in whole milliseconds.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// A longer duration than a hundred years is not taken for one.
const MAX_MILLIS: u128 = 100 * 366 * DAY as u128;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

impl FromStr for Delay {
    type Err = InvalidDelay;

    /// Reads `90s`, `1h30m`, `in 2 hours`, and the durations of ISO 8601 such as `P1DT2H`.
    ///
    /// A fraction finer than a millisecond is rounded up, so that no conversation is due early.
    fn from_str(text: &str) -> Result<Self, InvalidDelay> {
        const LONGEST: usize = 64;
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(InvalidDelay::Format);
        }
        let in_prefix = text.get(..3).filter(|prefix| prefix.eq_ignore_ascii_case("in ")).and_then(|_| text.get(3..));
        let text = in_prefix.or_else(|| text.strip_prefix('+')).unwrap_or(text).trim_start();
        if is_number(text) {
            return Err(InvalidDelay::NoUnit(text.to_owned()));
        }
        if text.strip_prefix(['-', '\u{2212}']).is_some_and(|rest| rest.parse::<Self>().is_ok()) {
            return Err(InvalidDelay::Negative);
        }
        match text.strip_prefix(['P', 'p']) {
            Some(parts) => Sum::default().add_iso(&parts.to_ascii_uppercase()),
            None => Sum::default().add_plain(text),
        }
    }
}

impl fmt::Display for Delay {
    /// A duration of ISO 8601, such as `P1DT2H`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes, seconds) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = self.0.subsec_millis();
        f.write_str("P")?;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        if (hours, minutes, seconds, millis) == (0, 0, 0, 0) && days > 0 {
            return Ok(());
        }
        f.write_str("T")?;
        for (number, unit) in [(hours, 'H'), (minutes, 'M')] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        match millis {
            0 if seconds > 0 || (days, hours, minutes) == (0, 0, 0) => write!(f, "{seconds}S"),
            0 => Ok(()),
            millis => write!(f, "{seconds}.{millis:03}S"),
        }
    }
}

/// The parts that were read.
#[derive(Default)]
struct Sum {
    millis: u128,
    /// The unit of the last part.
    last_unit: Option<u64>,
    /// The last part had a fraction.
    has_fraction: bool,
}

impl Sum {
    /// Adds the parts after the letter P of ISO 8601, in capital letters.
    fn add_iso(mut self, parts: &str) -> Result<Delay, InvalidDelay> {
        let (date, time) = parts.split_once('T').map_or((parts, None), |(date, time)| (date, Some(time)));
        if time == Some("") {
            return Err(InvalidDelay::Format);
        }
        for (is_time, mut rest) in [(false, date), (true, time.unwrap_or_default())] {
            while let Some((number, unit, after)) = part(rest, |unit| unit.get(..1))? {
                let unit = match unit {
                    "Y" | "M" if !is_time => return Err(InvalidDelay::Calendar),
                    "W" if !is_time => WEEK,
                    "D" if !is_time => DAY,
                    "H" if is_time => HOUR,
                    "M" if is_time => MINUTE,
                    "S" if is_time => SECOND,
                    _ => return Err(InvalidDelay::Format),
                };
                self.add(number, unit)?;
                rest = after;
            }
        }
        self.finish()
    }

    /// Adds numbers with units, such as `1h30m` or `1 hour 30 minutes`.
    fn add_plain(mut self, mut rest: &str) -> Result<Delay, InvalidDelay> {
        let word = |text: &str| text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        while let Some((number, unit, after)) = part(rest, |text| text.get(..word(text)))? {
            self.add(number, unit_of(unit)?)?;
            rest = after;
        }
        self.finish()
    }

    fn add(&mut self, number: Number<'_>, unit: u64) -> Result<(), InvalidDelay> {
        if self.last_unit.is_some_and(|last| last <= unit) {
            return Err(InvalidDelay::Order);
        }
        if self.has_fraction {
            return Err(InvalidDelay::Fraction);
        }
        self.millis += number.times(unit)?;
        (self.last_unit, self.has_fraction) = (Some(unit), !number.fraction.is_empty());
        if self.millis > MAX_MILLIS { Err(InvalidDelay::TooLong) } else { Ok(()) }
    }

    fn finish(self) -> Result<Delay, InvalidDelay> {
        if self.last_unit.is_none() {
            return Err(InvalidDelay::Format);
        }
        let millis = u64::try_from(self.millis).map_err(|_| InvalidDelay::TooLong)?;
        Ok(Delay(Duration::from_millis(millis)))
    }
}

/// A decimal number.
#[derive(Clone, Copy)]
struct Number<'a> {
    whole: &'a str,
    /// The digits after the point.
    fraction: &'a str,
}

impl Number<'_> {
    /// The product with a unit, rounded up to a whole millisecond.
    fn times(self, unit: u64) -> Result<u128, InvalidDelay> {
        const MAX_WHOLE: usize = 15;
        const MAX_FRACTION: usize = 9;
        if self.whole.len() > MAX_WHOLE {
            return Err(InvalidDelay::TooLong);
        }
        if self.fraction.len() > MAX_FRACTION {
            return Err(InvalidDelay::Format);
        }
        let digits = |text: &str| format!("0{text}").parse::<u128>().map_err(|_| InvalidDelay::Format);
        let (whole, unit) = (digits(self.whole)? * u128::from(unit), u128::from(unit));
        let scale = self.fraction.bytes().fold(1_u128, |scale, _| scale * 10);
        Ok(whole + (digits(self.fraction)? * unit).div_ceil(scale))
    }
}

/// The first number of a text, its unit, and the text after it. `None` at the end of the text.
fn part<'a>(
    text: &'a str,
    unit: impl Fn(&'a str) -> Option<&'a str>,
) -> Result<Option<(Number<'a>, &'a str, &'a str)>, InvalidDelay> {
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix(['.', ',']) {
        Some(rest) => split_digits(rest),
        None => ("0", rest),
    };
    let rest = rest.trim_start();
    let unit = unit(rest).filter(|unit| !unit.is_empty()).ok_or(InvalidDelay::Format)?;
    let after = rest.strip_prefix(unit).unwrap_or_default().trim_start();
    if whole.is_empty() || fraction.is_empty() {
        return Err(InvalidDelay::Format);
    }
    let fraction = if fraction == "0" { "" } else { fraction };
    Ok(Some((Number { whole, fraction }, unit, after)))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn is_number(text: &str) -> bool {
    let (whole, rest) = split_digits(text);
    let fraction = rest.strip_prefix('.').map_or(rest, |digits| split_digits(digits).1);
    !whole.is_empty() && fraction.is_empty()
}

/// The milliseconds of a unit. `M` alone is refused, because ISO 8601 also writes months with it.
fn unit_of(unit: &str) -> Result<u64, InvalidDelay> {
    if unit == "M" {
        return Err(InvalidDelay::Format);
    }
    Ok(match &*unit.to_ascii_lowercase() {
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => WEEK,
        "mo" | "month" | "months" | "y" | "yr" | "yrs" | "year" | "years" => return Err(InvalidDelay::Calendar),
        _ => return Err(InvalidDelay::Format),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<u64, InvalidDelay> {
        text.parse::<Delay>().map(|delay| u64::try_from(delay.duration().as_millis()).unwrap())
    }

    #[test]
    fn the_usual_forms_are_read() {
        for (text, millis) in [
            ("90s", 90 * SECOND),
            ("5m", 5 * MINUTE),
            ("2h", 2 * HOUR),
            ("7d", 7 * DAY),
            ("1w", WEEK),
            ("1h30m", 90 * MINUTE),
            ("1d 2h", 26 * HOUR),
            ("1 hour 30 minutes", 90 * MINUTE),
            ("5 minutes", 5 * MINUTE),
            ("in 5 minutes", 5 * MINUTE),
            ("In 1 hour", HOUR),
            ("+10m", 10 * MINUTE),
            ("2H", 2 * HOUR),
            ("0s", 0),
            ("1.5h", 90 * MINUTE),
            ("1h0.5m", HOUR + 30 * SECOND),
            ("PT5M", 5 * MINUTE),
            ("pt1h30m", 90 * MINUTE),
            ("P1D", DAY),
            ("P1DT2H", 26 * HOUR),
            ("P2W", 2 * WEEK),
            ("P1W2DT3H4M5S", WEEK + 2 * DAY + 3 * HOUR + 4 * MINUTE + 5 * SECOND),
            ("PT0.5H", 30 * MINUTE),
            ("PT1,5S", 1500),
            ("PT36H", 36 * HOUR),
            ("PT0S", 0),
            ("in PT5M", 5 * MINUTE),
            ("3653d", 3653 * DAY),
            (" 5m ", 5 * MINUTE),
        ] {
            assert_eq!(read(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn a_finer_fraction_is_rounded_up_never_down() {
        for (text, millis) in [("0.0001s", 1), ("1.0001s", 1001), ("PT0.001S", 1), ("0.000000001d", 1)] {
            assert_eq!(read(text), Ok(millis), "{text}");
        }
    }

    #[test]
    fn every_other_text_is_refused_with_its_defect() {
        use InvalidDelay::{Calendar, Format, Fraction, Negative, NoUnit, Order, TooLong};
        for (text, expected) in [
            ("", Format),
            ("m", Format),
            ("P", Format),
            ("PT", Format),
            ("P1DT", Format),
            ("T5M", Format),
            ("5x", Format),
            ("5mm", Format),
            ("5m!", Format),
            ("5M", Format),
            ("500ms", Format),
            ("in", Format),
            ("in 5", NoUnit("5".to_owned())),
            ("in -5m", Negative),
            ("PT5", Format),
            ("P5H", Format),
            ("PT1D", Format),
            ("PT5M3", Format),
            ("1.h", Format),
            (".5h", Format),
            ("1..5h", Format),
            ("0.0000000001s", Format),
            ("tomorrow", Format),
            ("05:00", Format),
            ("{\"minutes\":5}", Format),
            ("true", Format),
            ("五m", Format),
            ("٥m", Format),
            ("90", NoUnit("90".to_owned())),
            ("1.5", NoUnit("1.5".to_owned())),
            ("-5m", Negative),
            ("-PT5M", Negative),
            ("\u{2212}1h", Negative),
            ("P1M", Calendar),
            ("P1Y", Calendar),
            ("P1Y2M3D", Calendar),
            ("1 month", Calendar),
            ("2 years", Calendar),
            ("30m1h", Order),
            ("1h1h", Order),
            ("PT5S1M", Order),
            ("P1D1W", Order),
            ("1.5h30m", Fraction),
            ("PT0.5H1M", Fraction),
            ("4000000000000d", TooLong),
            ("99999999999999999999s", TooLong),
            ("40000d", TooLong),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
        assert_eq!(read(&format!("{}5m", "0".repeat(100))), Err(Format));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_displayed_delay_is_read_back(millis in prop_oneof![0..3 * DAY, 0..3653 * DAY]) {
            let delay = Delay(Duration::from_millis(millis));
            prop_assert_eq!(delay.to_string().parse(), Ok(delay));
        }

        #[test]
        fn the_units_are_added(days in 0_u64..3000, hours in 0_u64..48, minutes in 0_u64..120, seconds in 0_u64..7200) {
            let millis = days * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND;
            prop_assert_eq!(read(&format!("{days}d{hours}h{minutes}m{seconds}s")), Ok(millis));
            prop_assert_eq!(read(&format!("P{days}DT{hours}H{minutes}M{seconds}S")), Ok(millis));
        }

    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,20}", near in "[PpTt]?([0-9]{0,3}[.,]?[0-9]{0,2} ?[wdhmsWDHMSYy]){0,4}") {
            let _ = read(&text);
            if let Ok(millis) = read(&near) {
                prop_assert!(u128::from(millis) <= MAX_MILLIS);
            }
        }
    }
}
