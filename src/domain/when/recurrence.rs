//! A conversation that recurs: when its occurrences are due.

use std::iter;
use std::time::Duration;

use super::period::Distance;
use super::written::ZonedText;
use super::{Cron, InvalidRecurrence, InvalidWhen, Period, PeriodUnit, When, Zone};
use crate::domain::Timestamp;

/// The fields of `recurrence`, as the caller wrote them.
#[derive(Clone, Copy, Debug, Default)]
pub struct WrittenRecurrence<'a> {
    /// A cron expression.
    pub cron: &'a str,
    /// The time zone whose clocks the expression follows.
    pub time_zone: Option<&'a str>,
    /// The number of days of which one counts.
    pub every_days: Option<u64>,
    /// The number of weeks of which one counts.
    pub every_weeks: Option<u64>,
    /// The last instant at which an occurrence may be due. Without an offset it is read in the time zone.
    pub end_time: Option<&'a str>,
    /// The number of occurrences after which there are no more.
    pub max_occurrences: Option<u64>,
    /// Whether an occurrence that fails is the last one.
    pub stop_on_failure: bool,
}

/// When the occurrences of a conversation are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// The times of the wall clock.
    pub cron: Cron,
    /// The time zone whose clocks the expression follows.
    pub zone: Zone,
    /// The weeks or days in which the times of the expression count. Without it all do.
    pub period: Option<Period>,
    /// The last instant at which an occurrence may be due.
    pub end: Option<Timestamp>,
    /// The number of occurrences after which there are no more.
    pub max_occurrences: Option<u32>,
    /// Whether an occurrence that fails is the last one.
    pub stop_on_failure: bool,
}

/// The occurrence after one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextOccurrence {
    /// The instant at which it is due. It is over if occurrences were missed.
    pub due: Timestamp,
    /// The number of occurrences that were due before it and are left out. It is counted up to
    /// [`Recurrence::MAX_COUNTED`], which then means this many or more.
    pub missed: u32,
}

impl WrittenRecurrence<'_> {
    /// Whether it, or the request with these fields, names the zone whose clocks it follows. Otherwise that is UTC.
    #[must_use]
    pub const fn names_zone(&self, when: &When<'_>) -> bool {
        self.time_zone.is_some() || when.time_zone.is_some()
    }

    /// The recurrence, and the instant of its first occurrence at or after `start`.
    ///
    /// Without `timeZone` it follows the clocks of this zone, which is that of the request, or UTC.
    ///
    /// # Errors
    /// [`InvalidRecurrence`] for each field that is not accepted.
    pub fn resolve(
        &self,
        zone: Option<Zone>,
        start: Timestamp,
    ) -> Result<(Recurrence, Timestamp), Vec<InvalidRecurrence>> {
        let cron = self.cron.parse().map_err(InvalidRecurrence::Cron);
        let zone = match self.time_zone {
            Some(name) => name.parse().map_err(InvalidRecurrence::TimeZone),
            None => Ok(zone.unwrap_or(Zone::UTC)),
        };
        let end = self.end(zone.as_ref().ok().copied()).map_err(|wrong| InvalidRecurrence::EndTime(Box::new(wrong)));
        let max_occurrences = self.max_occurrences.map(within_max).transpose();
        let distance = Distance::of(self.every_days, self.every_weeks);
        match (cron, zone, distance, end, max_occurrences) {
            (Ok(cron), Ok(zone), Ok(distance), Ok(end), Ok(max_occurrences)) => {
                let stop_on_failure = self.stop_on_failure;
                let recurrence = Recurrence { cron, zone, period: None, end, max_occurrences, stop_on_failure };
                recurrence.starting(distance, start).map_err(|e| vec![e])
            }
            (cron, zone, distance, end, max) => {
                let errors = [cron.err(), zone.err(), distance.err(), end.err(), max.err()];
                Err(errors.into_iter().flatten().collect())
            }
        }
    }

    fn end(&self, zone: Option<Zone>) -> Result<Option<Timestamp>, InvalidWhen> {
        let read = |text| ZonedText::parse(text).and_then(|text| text.read(zone));
        Ok(self.end_time.map(read).transpose()?.map(|due| due.instant()))
    }
}

fn within_max(count: u64) -> Result<u32, InvalidRecurrence> {
    u32::try_from(count).ok().filter(|count| *count > 0).ok_or(InvalidRecurrence::MaxOccurrences)
}

impl Recurrence {
    /// Two occurrences are at least this far apart.
    pub const LEAST_DISTANCE: Duration = Duration::from_mins(1);
    /// Missed occurrences are counted up to this number, so that the count takes a few milliseconds.
    pub const MAX_COUNTED: u32 = 1000;

    fn starting(self, distance: Option<Distance>, start: Timestamp) -> Result<(Self, Timestamp), InvalidRecurrence> {
        let without_end = Self { end: None, ..self.clone() };
        let first = without_end.first(start).ok_or(InvalidRecurrence::Cron(super::InvalidCron::NeverFires))?;
        match self.end {
            Some(end) if end < first => Err(InvalidRecurrence::EndsBefore { end, first: self.zone.at(first) }),
            _ => {
                let period = distance.map(|distance| distance.with(self.zone.at(first).wall().date()));
                Ok((Self { period, ..self }, first))
            }
        }
    }

    /// The same with the weeks or days of a recurrence before it. `None` if it has others: every third week instead of
    /// every second.
    pub(in crate::domain) fn counted_as(&self, before: &Self) -> Option<Self> {
        let period = before.period.filter(|before| self.period.is_some_and(|own| own.is_as_long_as(*before)))?;
        Some(Self { period: Some(period), ..self.clone() })
    }

    /// The number of weeks or days of which one counts. `None` if all do, or if the other unit is counted.
    #[must_use]
    pub fn every(&self, unit: PeriodUnit) -> Option<u16> {
        self.period.filter(|period| period.unit == unit).map(|period| period.length)
    }

    /// The most occurrences on one day.
    #[must_use]
    pub fn most_per_day(&self) -> u32 {
        self.max_occurrences.map_or(self.cron.most_per_day(), |max| max.min(self.cron.most_per_day()))
    }

    /// The first occurrence at or after `start`.
    #[must_use]
    pub fn first(&self, start: Timestamp) -> Option<Timestamp> {
        self.next_after(start - Duration::from_millis(1))
    }

    /// The first occurrence after this instant. `None` after the last one.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let next = self.next_that_counts(instant);
        next.filter(|next| self.end.is_none_or(|end| *next <= end))
    }

    fn next_that_counts(&self, instant: Timestamp) -> Option<Timestamp> {
        let mut next = self.cron.next_after(instant, self.zone)?;
        // Each turn goes on at a later day, and the expression ends with the year 2099.
        while let Some(day) = self.period.and_then(|period| period.next_after(self.zone.at(next).wall().date())) {
            next = self.cron.next_after(self.zone.beginning_of(day)? - Duration::from_millis(1), self.zone)?;
        }
        Some(next)
    }

    /// The occurrence after the one that was due at `last` and has ended at `now`. `so_far` is the number of occurrences
    /// with that one. `None` if it was the last.
    ///
    /// Of the occurrences that were due in between, only the latest remains. It is due at its own time, and it says how
    /// many were left out. It counts once towards `max_occurrences`.
    #[must_use]
    pub fn after_occurrence(&self, so_far: u32, last: Timestamp, now: Timestamp) -> Option<NextOccurrence> {
        if self.max_occurrences.is_some_and(|max| so_far >= max) {
            return None;
        }
        let first = self.next_after(last)?;
        if first > now {
            return Some(NextOccurrence { due: first, missed: 0 });
        }
        let due = self.latest(first, now);
        let between = iter::successors(Some(first), |at| self.next_after(*at)).take_while(|at| *at < due);
        let missed = (1..=Self::MAX_COUNTED).zip(between).last().map_or(0, |(count, _)| count);
        Some(NextOccurrence { due, missed })
    }

    /// The latest occurrence up to `now`, which is this one or a later one.
    fn latest(&self, occurrence: Timestamp, now: Timestamp) -> Timestamp {
        // There is an occurrence in (x, now] for each x before the latest one, and for no later x.
        let (mut latest, mut none_after) = (occurrence, now);
        while latest < none_after {
            let middle = latest + latest.until(none_after) / 2;
            match self.next_after(middle).filter(|next| *next <= now) {
                Some(next) => latest = next,
                None => none_after = middle,
            }
        }
        latest
    }
}
