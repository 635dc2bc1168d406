//! The part of a main row that only a recurring conversation has.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::conversation::is_zero;
use crate::domain::{Course, Occurrence, Period, PeriodUnit, Recurrence, Series, Timestamp};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeriesRow<'a> {
    cron: Cow<'a, str>,
    time_zone: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<PeriodRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_occurrences: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stop_on_failure: bool,
    number: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    missed: u32,
    #[serde(default, skip_serializing_if = "CourseRow::is_running")]
    course: CourseRow,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<OccurrenceRow<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PeriodRow {
    unit: UnitRow,
    length: u16,
    first: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum UnitRow {
    Day,
    Week,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum CourseRow {
    #[default]
    Running,
    Paused,
    Ending,
}

/// Number, due time, missed ones before it, end, attempts, failure. It is an array, because a series has twenty of them in
/// each commit, and the names of fields would be the larger part of the row.
#[derive(Serialize, Deserialize)]
struct OccurrenceRow<'a>(u32, i64, u32, i64, u32, Option<Cow<'a, str>>);

impl<'a> From<&'a Series> for SeriesRow<'a> {
    fn from(series: &'a Series) -> Self {
        let Series { recurrence, number, missed, course, history } = series;
        let Recurrence { cron, zone, period, end, max_occurrences, stop_on_failure } = recurrence;
        Self {
            cron: cron.as_str().into(),
            time_zone: zone.name().into(),
            period: period.map(PeriodRow::from),
            end: end.map(Timestamp::as_millis),
            max_occurrences: *max_occurrences,
            stop_on_failure: *stop_on_failure,
            number: *number,
            missed: *missed,
            course: match course {
                Course::Running => CourseRow::Running,
                Course::Paused => CourseRow::Paused,
                Course::Ending => CourseRow::Ending,
            },
            history: history.iter().map(OccurrenceRow::from).collect(),
        }
    }
}

impl SeriesRow<'_> {
    /// The series. `None` if the expression or the zone is not one.
    pub(super) fn read(self) -> Option<Series> {
        let recurrence = Recurrence {
            cron: self.cron.parse().ok()?,
            zone: self.time_zone.parse().ok()?,
            period: self.period.map(Period::from),
            end: self.end.map(Timestamp::from_millis),
            max_occurrences: self.max_occurrences,
            stop_on_failure: self.stop_on_failure,
        };
        let course = match self.course {
            CourseRow::Running => Course::Running,
            CourseRow::Paused => Course::Paused,
            CourseRow::Ending => Course::Ending,
        };
        let history = self.history.into_iter().map(Occurrence::from).collect();
        Some(Series { recurrence, number: self.number, missed: self.missed, course, history })
    }
}

impl From<Period> for PeriodRow {
    fn from(Period { unit, length, first }: Period) -> Self {
        let unit = match unit {
            PeriodUnit::Day => UnitRow::Day,
            PeriodUnit::Week => UnitRow::Week,
        };
        Self { unit, length, first }
    }
}

impl From<PeriodRow> for Period {
    fn from(PeriodRow { unit, length, first }: PeriodRow) -> Self {
        let unit = match unit {
            UnitRow::Day => PeriodUnit::Day,
            UnitRow::Week => PeriodUnit::Week,
        };
        Self { unit, length, first }
    }
}

impl CourseRow {
    #[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
    const fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }
}

impl<'a> From<&'a Occurrence> for OccurrenceRow<'a> {
    fn from(occurrence: &'a Occurrence) -> Self {
        let Occurrence { number, due, missed, ended, attempts, failure } = occurrence;
        let failure = failure.as_deref().map(Cow::from);
        Self(*number, due.as_millis(), *missed, ended.as_millis(), *attempts, failure)
    }
}

impl From<OccurrenceRow<'_>> for Occurrence {
    fn from(OccurrenceRow(number, due, missed, ended, attempts, failure): OccurrenceRow<'_>) -> Self {
        let (due, ended) = (Timestamp::from_millis(due), Timestamp::from_millis(ended));
        Self { number, due, missed, ended, attempts, failure: failure.map(Cow::into_owned) }
    }
}
