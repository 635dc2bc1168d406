//! Each second week, each third day: which of the times of a cron expression count.

use chrono::{Datelike as _, NaiveDate};

use super::InvalidRecurrence;

/// The weeks or days in which a recurrence occurs: the one of its first occurrence, and each so many weeks or days after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// What is counted.
    pub unit: PeriodUnit,
    /// How many weeks or days it has, at least 2.
    pub length: u16,
    /// The number of the week or day of the first occurrence, counted from Monday, 1 January of the year 1.
    pub first: i32,
}

/// What the length of a [`Period`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodUnit {
    /// Days by the clocks of the time zone.
    Day,
    /// Weeks from Monday to Sunday (ISO 8601).
    Week,
}

impl PeriodUnit {
    /// The number of the day or week in which a date is.
    fn number(self, date: NaiveDate) -> i32 {
        (date.num_days_from_ce() - 1).div_euclid(self.days())
    }

    /// The first date of a day or week. `None` if it is too far away for a date.
    fn first_date(self, number: i32) -> Option<NaiveDate> {
        NaiveDate::from_num_days_from_ce_opt(number.checked_mul(self.days())?.checked_add(1)?)
    }

    const fn days(self) -> i32 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
        }
    }
}

/// The unit and the length of a period whose first week or day is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Distance {
    unit: PeriodUnit,
    length: u16,
}

impl Distance {
    /// Reads the fields `everyDays` and `everyWeeks`. `None` if each week or day counts.
    pub(super) fn of(days: Option<u64>, weeks: Option<u64>) -> Result<Option<Self>, InvalidRecurrence> {
        let (unit, length, max, outside) = match (days, weeks) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(InvalidRecurrence::TwoPeriods),
            (Some(days), None) => (PeriodUnit::Day, days, Period::MAX_DAYS, InvalidRecurrence::EveryDays),
            (None, Some(weeks)) => (PeriodUnit::Week, weeks, Period::MAX_WEEKS, InvalidRecurrence::EveryWeeks),
        };
        match u16::try_from(length) {
            Ok(1) => Ok(None),
            Ok(length) if (1..=max).contains(&length) => Ok(Some(Self { unit, length })),
            _ => Err(outside),
        }
    }

    /// The period with an occurrence on this date.
    pub(super) fn with(self, date: NaiveDate) -> Period {
        let Self { unit, length } = self;
        Period { unit, length, first: unit.number(date) }
    }
}

impl Period {
    /// The greatest number of `everyDays`.
    pub const MAX_DAYS: u16 = 366;
    /// The greatest number of `everyWeeks`.
    pub const MAX_WEEKS: u16 = 52;

    /// The first date of the next week or day that counts, if that of this date does not.
    pub(super) fn next_after(self, date: NaiveDate) -> Option<NaiveDate> {
        let (number, length) = (self.unit.number(date), i32::from(self.length.max(1)));
        match number.checked_sub(self.first)?.rem_euclid(length) {
            0 => None,
            over => self.unit.first_date(number + length - over),
        }
    }

    /// Whether another period has the same unit and length. Their first occurrences may differ.
    pub(super) fn is_as_long_as(self, other: Self) -> bool {
        (self.unit, self.length) == (other.unit, other.length)
    }
}
