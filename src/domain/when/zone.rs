//! Time zones of the IANA database, and the reading of a wall time in one of them.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::{GapInfo, IANA_TZDB_VERSION, TZ_VARIANTS, Tz};
use strsim::osa_distance;

use crate::domain::Timestamp;

/// A time zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// The instant of a wall time in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The clocks of the zone show the wall time once.
    Once(Timestamp),
    /// The clocks of the zone skip the wall time. The instant is as long after the jump as the wall time is after the
    /// beginning of the gap.
    Gap(Timestamp),
    /// The clocks of the zone show the wall time twice.
    Fold {
        /// The instant at which they show it first.
        first: Timestamp,
        /// The instant at which they show it again.
        second: Timestamp,
    },
}

/// An instant as the clocks of a zone show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime(DateTime<Tz>);

/// The text is not the name of a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownZone {
    /// It is a UTC offset.
    #[error(
        "is a UTC offset and not a time zone; write the offset after the time in scheduledTime, or use a name of the IANA \
         database such as Europe/Berlin"
    )]
    Offset,
    /// It resembles this name.
    #[error("is not a time zone of the IANA database; use {0}")]
    Resembles(&'static str),
    /// It resembles no name.
    #[error("is not a time zone of the IANA database, such as Europe/Berlin, America/New_York or UTC")]
    NoName,
}

impl Zone {
    /// The release of the IANA database that this program contains.
    pub const DATABASE: &'static str = IANA_TZDB_VERSION;

    /// The time zone without changes of its clocks.
    pub const UTC: Self = Self(Tz::UTC);

    /// All time zones, also those with an older name of another one.
    pub fn all() -> impl Iterator<Item = Self> {
        TZ_VARIANTS.into_iter().map(Self)
    }

    /// The name in the IANA database.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// An instant as the clocks of the zone show it.
    #[must_use]
    pub fn at(self, instant: Timestamp) -> LocalTime {
        let utc = DateTime::<Utc>::from_timestamp_millis(instant.as_millis()).unwrap_or_default();
        LocalTime(utc.with_timezone(&self.0))
    }

    /// The instant at which the clocks of the zone show a wall time. `None` if no `Timestamp` can represent it.
    #[must_use]
    pub fn read(self, wall: NaiveDateTime) -> Option<Reading> {
        Some(match self.0.offset_from_local_datetime(&wall) {
            LocalResult::Single(offset) => Reading::Once(instant(wall, offset.fix())?),
            LocalResult::Ambiguous(first, second) => {
                Reading::Fold { first: instant(wall, first.fix())?, second: instant(wall, second.fix())? }
            }
            // With the offset from before the gap, the wall time names an instant after the gap.
            LocalResult::None => {
                let (_, before) = GapInfo::new(&wall, &self.0)?.begin?;
                Reading::Gap(instant(wall, before.fix())?)
            }
        })
    }

    /// The instant at which a day begins. `None` if no `Timestamp` can represent it.
    pub(super) fn beginning_of(self, day: NaiveDate) -> Option<Timestamp> {
        let midnight = day.and_time(NaiveTime::MIN);
        match self.read(midnight)? {
            Reading::Once(at) | Reading::Fold { first: at, .. } => Some(at),
            Reading::Gap(_) => self.gap_end(midnight),
        }
    }

    /// The instant at which the gap ends in which a wall time is. `None` if the wall time is not in a gap.
    pub(super) fn gap_end(self, wall: NaiveDateTime) -> Option<Timestamp> {
        let end = GapInfo::new(&wall, &self.0)?.end?;
        Some(Timestamp::from_millis(end.timestamp_millis()))
    }
}

/// The instant of a wall time with an offset.
pub(super) fn instant(wall: NaiveDateTime, offset: FixedOffset) -> Option<Timestamp> {
    let utc = wall.checked_sub_signed(TimeDelta::seconds(offset.local_minus_utc().into()))?;
    let millis = utc.and_utc().timestamp_millis();
    (millis >= 0).then(|| Timestamp::from_millis(millis))
}

impl LocalTime {
    /// The offset from UTC.
    #[must_use]
    pub fn offset(&self) -> FixedOffset {
        self.0.offset().fix()
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> Zone {
        Zone(self.0.timezone())
    }

    /// The date and the time of day.
    #[must_use]
    pub fn wall(&self) -> NaiveDateTime {
        self.0.naive_local()
    }
}

impl fmt::Display for LocalTime {
    /// RFC 9557 with milliseconds: `2030-06-01T14:00:00.000+02:00[Europe/Berlin]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}[{}]", self.wall().format("%Y-%m-%dT%H:%M:%S%.3f"), self.offset(), self.0.timezone().name())
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    /// Reads a name in any case.
    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        let exact = text.parse().ok();
        let in_any_case = || TZ_VARIANTS.into_iter().find(|zone| zone.name().eq_ignore_ascii_case(text));
        exact.or_else(in_any_case).map(Self).ok_or_else(|| UnknownZone::of(text))
    }
}

impl UnknownZone {
    fn of(text: &str) -> Self {
        if is_offset(text) {
            return Self::Offset;
        }
        similar(text).map_or(Self::NoName, |zone| Self::Resembles(zone.name()))
    }
}

/// Whether a text is an offset such as `+02:00`, `UTC+2` or `gmt-5`. Letters alone, as in `PST`, are none.
fn is_offset(text: &str) -> bool {
    let text = text.trim().to_ascii_uppercase();
    let number = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(&text);
    let digits = number.trim_start().strip_prefix(['+', '-', '\u{2212}']);
    digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == ':'))
}

/// The zone that a caller means: the city alone, spaces instead of underscores, or a typing error or two.
fn similar(text: &str) -> Option<Tz> {
    const LONGEST: usize = 40;
    const SHORTEST: usize = 4;
    let text = text.trim().replace(' ', "_").to_ascii_lowercase();
    if text == "z" {
        return Some(Tz::UTC);
    }
    if !(SHORTEST..=LONGEST).contains(&text.len()) {
        return None;
    }
    let lower = |zone: &Tz| zone.name().to_ascii_lowercase();
    let mut zones = TZ_VARIANTS.into_iter();
    let same = zones.find(|zone| lower(zone) == text || lower(zone).rsplit('/').next() == Some(&text));
    same.or_else(|| {
        let distances = TZ_VARIANTS.into_iter().map(|zone| (osa_distance(&lower(&zone), &text), zone));
        let near = distances.filter(|(distance, zone)| *distance <= (zone.name().len() / 5).min(2));
        near.min_by_key(|(distance, _)| *distance).map(|(_, zone)| zone)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    /// The wall time is read in the zone, and the instants are shown in UTC.
    fn read(name: &str, wall: &str) -> Reading {
        zone(name).read(wall.parse().unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_wall_time_is_read_with_the_offset_of_its_day() {
        assert_eq!(read("Europe/Berlin", "2030-01-31T09:30:00"), Reading::Once(at("2030-01-31T08:30:00Z")));
        assert_eq!(read("Europe/Berlin", "2030-07-31T09:30:00"), Reading::Once(at("2030-07-31T07:30:00Z")));
        assert_eq!(read("Asia/Kathmandu", "2030-07-31T09:30:00"), Reading::Once(at("2030-07-31T03:45:00Z")));
        assert_eq!(read("UTC", "2030-07-31T09:30:00.25"), Reading::Once(at("2030-07-31T09:30:00.250Z")));
    }

    #[test]
    fn a_gap_shifts_a_wall_time_forward_by_its_length() {
        // Berlin: 02:00 becomes 03:00. Lord Howe: 02:00 becomes 02:30. Samoa had no 30 December 2011.
        for (name, wall, instant) in [
            ("Europe/Berlin", "2030-03-31T02:00:00", "2030-03-31T01:00:00Z"),
            ("Europe/Berlin", "2030-03-31T02:30:00", "2030-03-31T01:30:00Z"),
            ("Europe/Berlin", "2030-03-31T02:59:59.999", "2030-03-31T01:59:59.999Z"),
            ("Australia/Lord_Howe", "2030-10-06T02:15:00", "2030-10-05T15:45:00Z"),
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00Z"),
        ] {
            assert_eq!(read(name, wall), Reading::Gap(at(instant)), "{name} {wall}");
        }
        assert_eq!(read("Europe/Berlin", "2030-03-31T01:59:59.999"), Reading::Once(at("2030-03-31T00:59:59.999Z")));
        assert_eq!(read("Europe/Berlin", "2030-03-31T03:00:00"), Reading::Once(at("2030-03-31T01:00:00Z")));
    }

    #[test]
    fn a_fold_has_two_instants_and_the_first_is_earlier() {
        for (name, wall, first, second) in [
            ("Europe/Berlin", "2030-10-27T02:00:00", "2030-10-27T00:00:00Z", "2030-10-27T01:00:00Z"),
            ("Europe/Berlin", "2030-10-27T02:59:59.999", "2030-10-27T00:59:59.999Z", "2030-10-27T01:59:59.999Z"),
            ("America/New_York", "2030-11-03T01:30:00", "2030-11-03T05:30:00Z", "2030-11-03T06:30:00Z"),
            ("Australia/Lord_Howe", "2030-04-07T01:45:00", "2030-04-06T14:45:00Z", "2030-04-06T15:15:00Z"),
        ] {
            let expected = Reading::Fold { first: at(first), second: at(second) };
            assert_eq!(read(name, wall), expected, "{name} {wall}");
        }
        assert_eq!(read("Europe/Berlin", "2030-10-27T03:00:00"), Reading::Once(at("2030-10-27T02:00:00Z")));
    }

    #[test]
    fn a_local_time_shows_the_offset_and_the_zone() {
        let shown = |name: &str, instant: &str| zone(name).at(at(instant)).to_string();
        assert_eq!(shown("Europe/Berlin", "2030-06-01T12:00:00Z"), "2030-06-01T14:00:00.000+02:00[Europe/Berlin]");
        assert_eq!(
            shown("America/St_Johns", "2030-01-01T00:00:00.5Z"),
            "2029-12-31T20:30:00.500-03:30[America/St_Johns]"
        );
        assert_eq!(shown("utc", "2030-06-01T12:00:00Z"), "2030-06-01T12:00:00.000+00:00[UTC]");
    }

    #[test]
    fn a_name_is_read_in_any_case_and_an_older_name_stays() {
        assert_eq!(zone("europe/BERLIN").name(), "Europe/Berlin");
        assert_eq!(zone("Asia/Calcutta").name(), "Asia/Calcutta");
        for zone in Zone::all() {
            assert_eq!(zone.name().parse(), Ok(zone));
        }
    }

    #[test]
    fn an_unknown_name_is_corrected() {
        for (text, expected) in [
            ("Berlin", UnknownZone::Resembles("Europe/Berlin")),
            ("New York", UnknownZone::Resembles("America/New_York")),
            ("america/new york", UnknownZone::Resembles("America/New_York")),
            ("Europe/Berlinn", UnknownZone::Resembles("Europe/Berlin")),
            ("Amercia/Chicago", UnknownZone::Resembles("America/Chicago")),
            ("Z", UnknownZone::Resembles("UTC")),
            ("+02:00", UnknownZone::Offset),
            ("UTC+2", UnknownZone::Offset),
            ("GMT -5", UnknownZone::Offset),
            ("-0330", UnknownZone::Offset),
            ("CEST", UnknownZone::NoName),
            ("PST", UnknownZone::NoName),
            ("W. Europe Standard Time", UnknownZone::NoName),
            ("", UnknownZone::NoName),
            ("日本", UnknownZone::NoName),
        ] {
            assert_eq!(text.parse::<Zone>(), Err(expected), "{text}");
        }
        assert_eq!("x".repeat(100_000).parse::<Zone>(), Err(UnknownZone::NoName));
    }
}
