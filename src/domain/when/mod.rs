//! When: the fields of a request that say at which time something is due, and the instant that they mean.
//!
//! Nothing is guessed in silence: what a caller could have meant in another way is refused, or said in a [`Note`].
//!
//! Exactly one of the fields `scheduledTime` and `delay` says when. A [`Recurrence`] has its own fields and rules.

mod cron;
mod cron_text;
mod delay;
mod due_time;
mod period;
mod recurrence;
mod refusals;
mod written;
mod zone;

pub use cron::Cron;
pub use cron_text::{CronField, EntryProblem, InvalidCron, MAX_CRON};
pub use delay::{Delay, InvalidDelay};
pub use due_time::{DueTime, Note, ZoneRecord};
pub use period::{Period, PeriodUnit};
pub use recurrence::{NextOccurrence, Recurrence, WrittenRecurrence};
pub use refusals::{InvalidRecurrence, InvalidRecurring, InvalidWhen, RecurrenceField, WhenField};
pub use zone::{LocalTime, Reading, UnknownZone, Zone};

use super::Timestamp;
use written::ZonedText;

/// The fields that say when, as the caller wrote them.
#[derive(Clone, Copy, Debug, Default)]
pub struct When<'a> {
    /// A time of RFC 3339 or RFC 9557, with or without a UTC offset.
    pub scheduled_time: Option<&'a str>,
    /// A duration from now.
    pub delay: Option<&'a str>,
    /// The time zone in which a time without an offset is read, and in which times are shown.
    pub time_zone: Option<&'a str>,
}

/// A time up to this far in the past means now, because clocks differ and requests take time.
pub const PAST_TOLERANCE_MS: i64 = 60 * 1000;
/// The furthest time ahead: ten years.
pub const HORIZON_MS: i64 = 3653 * 24 * 60 * 60 * 1000;

impl When<'_> {
    /// The instant that the fields mean, as seen at this time.
    ///
    /// # Errors
    /// [`InvalidWhen`] for each field that is not accepted.
    pub fn resolve(&self, now: Timestamp) -> Result<DueTime, Vec<InvalidWhen>> {
        let zone = self.zone().map_err(InvalidWhen::TimeZone);
        let known_zone = zone.as_ref().ok().copied().flatten();
        let due = match (self.scheduled_time, self.delay) {
            (None, None) => Err(InvalidWhen::Missing),
            (Some(_), Some(_)) => Err(InvalidWhen::Both),
            (Some(text), None) => ZonedText::parse(text).and_then(|text| text.read(known_zone)),
            (None, Some(text)) => {
                let delay: Result<Delay, _> = text.parse();
                delay.map(|delay| DueTime::after(now, delay, known_zone)).map_err(InvalidWhen::Delay)
            }
        };
        match (zone, due.and_then(|due| self.within_limits(due, now))) {
            (Ok(_), Ok(due)) => Ok(due),
            (zone, due) => Err([due.err(), zone.err()].into_iter().flatten().collect()),
        }
    }

    /// The first occurrence, and when the others are due. `scheduledTime` or `delay` says from when on; without both it is
    /// now.
    ///
    /// # Errors
    /// [`InvalidRecurring`] for each field that is not accepted.
    pub fn resolve_recurring(
        &self,
        written: &WrittenRecurrence<'_>,
        now: Timestamp,
    ) -> Result<(DueTime, Recurrence), Vec<InvalidRecurring>> {
        let starts_now = self.scheduled_time.is_none() && self.delay.is_none();
        let start = if starts_now {
            self.zone().map(|_| DueTime::at(now)).map_err(|error| vec![InvalidWhen::TimeZone(error)])
        } else {
            self.resolve(now)
        };
        let recurring = written.resolve(self.zone().ok().flatten(), start.as_ref().map_or(now, DueTime::instant));
        match (start, recurring) {
            (Ok(start), Ok((recurrence, first))) => {
                let zone = written.names_zone(self).then_some(recurrence.zone);
                Ok((start.first_occurrence(first, zone), recurrence))
            }
            (start, recurring) => {
                let start = start.err().into_iter().flatten().map(InvalidRecurring::When);
                Err(start.chain(recurring.err().into_iter().flatten().map(InvalidRecurring::Recurrence)).collect())
            }
        }
    }

    /// The `scheduledTime` alone, also if it is too long ago or too far ahead. `None` if it is missing or cannot be read.
    #[must_use]
    pub fn scheduled(&self) -> Option<DueTime> {
        let zone = self.zone().ok()?;
        ZonedText::parse(self.scheduled_time?).and_then(|text| text.read(zone)).ok()
    }

    fn zone(&self) -> Result<Option<Zone>, UnknownZone> {
        self.time_zone.map(str::parse).transpose()
    }

    /// The due time, if it is neither too long ago nor too far ahead. A time in the last minute becomes now.
    fn within_limits(&self, due: DueTime, now: Timestamp) -> Result<DueTime, InvalidWhen> {
        let at = due.instant();
        let ahead = at.as_millis().saturating_sub(now.as_millis());
        if ahead < -PAST_TOLERANCE_MS {
            return Err(InvalidWhen::Past { ago_seconds: ahead.unsigned_abs() / 1000, at, now });
        }
        if ahead > HORIZON_MS {
            let field = if self.delay.is_some() { WhenField::Delay } else { WhenField::ScheduledTime };
            return Err(InvalidWhen::TooFar { field, at, now });
        }
        Ok(due.not_before(now))
    }
}

#[cfg(test)]
mod matcher_tests;
#[cfg(test)]
mod recurrence_tests;
#[cfg(test)]
mod tests;
