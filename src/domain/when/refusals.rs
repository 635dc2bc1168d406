//! Why the fields that say when are not accepted, said so that the writer can correct them.

use chrono::FixedOffset;

use super::{InvalidCron, InvalidDelay, LocalTime, Period, UnknownZone};
use crate::domain::{InvalidTime, Timestamp};

/// A field that says when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenField {
    /// `scheduledTime`
    ScheduledTime,
    /// `delay`
    Delay,
    /// `timeZone`
    TimeZone,
}

/// Why a field that says when is not accepted. The text follows the field's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWhen {
    /// No field says when.
    #[error("is required: an RFC 3339 time such as 2030-01-31T09:30:00Z, or use delay, such as 5m")]
    Missing,
    /// Two fields say when.
    #[error("must not be given together with scheduledTime; one of them says when")]
    Both,
    /// The text is not a time.
    #[error(transparent)]
    Time(InvalidTime),
    /// The brackets after the time are not those of RFC 9557.
    #[error(
        "has brackets after the time that are not the name of one time zone; write for example \
         2030-01-31T09:30:00[Europe/Berlin]"
    )]
    Brackets,
    /// The name in brackets is not a time zone.
    #[error("has a name in brackets that {0}")]
    ZoneInBrackets(UnknownZone),
    /// The name in brackets is not the one in `timeZone`.
    #[error("has the time zone {in_brackets} in brackets, but timeZone is {in_field}; keep one of them")]
    TwoZones {
        /// The name in brackets.
        in_brackets: &'static str,
        /// The name in `timeZone`.
        in_field: &'static str,
    },
    /// The zone has another offset at this time.
    #[error(
        "has the UTC offset {offset}, but {} has {} at that time; write {local} if the offset is right, or leave out the \
         offset if the time of day is right",
        local.zone().name(), local.offset()
    )]
    OffsetAndZone {
        /// The offset after the time.
        offset: FixedOffset,
        /// The instant of the time with this offset, as the clocks of the zone show it.
        local: LocalTime,
    },
    /// The text is not a duration.
    #[error(transparent)]
    Delay(InvalidDelay),
    /// The text is not a time zone.
    #[error(transparent)]
    TimeZone(UnknownZone),
    /// The time is over.
    #[error("is {ago_seconds} seconds in the past: it was read as {at}, and the server's time is {now}")]
    Past {
        /// The seconds since then.
        ago_seconds: u64,
        /// The instant.
        at: Timestamp,
        /// The time of the clock.
        now: Timestamp,
    },
    /// The time is beyond the horizon.
    #[error("is more than ten years ahead: it was read as {at}, and the server's time is {now}")]
    TooFar {
        /// The field that says when.
        field: WhenField,
        /// The instant.
        at: Timestamp,
        /// The time of the clock.
        now: Timestamp,
    },
}

impl InvalidWhen {
    /// The field that is to be corrected.
    #[must_use]
    pub const fn field(&self) -> WhenField {
        match self {
            Self::Missing
            | Self::Time(_)
            | Self::Brackets
            | Self::ZoneInBrackets(_)
            | Self::TwoZones { .. }
            | Self::OffsetAndZone { .. }
            | Self::Past { .. } => WhenField::ScheduledTime,
            Self::Both | Self::Delay(_) => WhenField::Delay,
            Self::TimeZone(_) => WhenField::TimeZone,
            Self::TooFar { field, .. } => *field,
        }
    }
}

/// Why one of the fields of a conversation that recurs is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecurring {
    /// A field that says from when on it recurs.
    #[error(transparent)]
    When(InvalidWhen),
    /// A field of `recurrence`.
    #[error(transparent)]
    Recurrence(InvalidRecurrence),
}

/// A field of `recurrence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecurrenceField {
    /// `cron`
    Cron,
    /// `timeZone`
    TimeZone,
    /// `everyDays`
    EveryDays,
    /// `everyWeeks`
    EveryWeeks,
    /// `endTime`
    EndTime,
    /// `maxOccurrences`
    MaxOccurrences,
}

/// Why a field of `recurrence` is not accepted. The text follows the field's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecurrence {
    /// The text is not a cron expression.
    #[error(transparent)]
    Cron(InvalidCron),
    /// The text is not a time zone.
    #[error(transparent)]
    TimeZone(UnknownZone),
    /// The number of days is outside its limits.
    #[error("must be a number from 1 to {}, such as 2 for every second day", Period::MAX_DAYS)]
    EveryDays,
    /// The number of weeks is outside its limits.
    #[error("must be a number from 1 to {}, such as 2 for every second week", Period::MAX_WEEKS)]
    EveryWeeks,
    /// Both days and weeks are given.
    #[error("must not be given together with everyWeeks; use one of them")]
    TwoPeriods,
    /// The text is not a time.
    #[error(transparent)]
    EndTime(Box<InvalidWhen>),
    /// The end is before the first occurrence.
    #[error("is before the first occurrence: it was read as {end}, and the first occurrence would be at {first}")]
    EndsBefore {
        /// The end.
        end: Timestamp,
        /// The first occurrence, as the clocks of the zone show it.
        first: LocalTime,
    },
    /// The number is zero or too large.
    #[error("must be a number from 1 to {}, such as 10; leave it out for no limit", u32::MAX)]
    MaxOccurrences,
}

impl InvalidRecurrence {
    /// The field that is to be corrected.
    #[must_use]
    pub const fn field(&self) -> RecurrenceField {
        match self {
            Self::Cron(_) => RecurrenceField::Cron,
            Self::TimeZone(_) => RecurrenceField::TimeZone,
            Self::EveryDays | Self::TwoPeriods => RecurrenceField::EveryDays,
            Self::EveryWeeks => RecurrenceField::EveryWeeks,
            Self::EndTime(_) | Self::EndsBefore { .. } => RecurrenceField::EndTime,
            Self::MaxOccurrences => RecurrenceField::MaxOccurrences,
        }
    }
}
