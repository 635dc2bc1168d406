//! What responses say of a conversation that recurs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Conversation, Course, Occurrence, PeriodUnit, Recurrence, Series, Timestamp};

/// When a conversation recurs.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecurrenceResponse {
    cron: String,
    time_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_weeks: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every_days: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_occurrences: Option<u32>,
    stop_on_failure: bool,
}

/// The course of a conversation that recurs.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeriesResponse {
    recurrence: RecurrenceResponse,
    /// Whether no occurrence begins until the conversation is resumed.
    paused: bool,
    /// Whether it is cancelled and ends with the attempt that is under way.
    ending: bool,
    /// The number of the occurrence that scheduledTime, status and attempts are about.
    occurrence: u32,
    /// How many occurrences were due before it and are left out; 1000 means this many or more.
    missed_occurrences: u32,
    /// The occurrences that are over, oldest first; at most the last 20.
    occurrences: Vec<OccurrenceResponse>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OccurrenceResponse {
    number: u32,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    #[schemars(extend("format" = "date-time"))]
    ended_time: String,
    #[schemars(extend("enum" = ["Completed", "Failed"]))]
    status: &'static str,
    attempts: u32,
    missed_occurrences: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl RecurrenceResponse {
    pub(super) fn of(conversation: &Conversation) -> Option<Self> {
        conversation.series().map(|series| Self::new(&series.recurrence))
    }

    fn new(recurrence: &Recurrence) -> Self {
        let Recurrence { cron, zone, period: _, end, max_occurrences, stop_on_failure } = recurrence;
        Self {
            cron: cron.to_string(),
            time_zone: zone.name().to_owned(),
            every_weeks: recurrence.every(PeriodUnit::Week),
            every_days: recurrence.every(PeriodUnit::Day),
            end_time: end.map(|end| end.to_string()),
            max_occurrences: *max_occurrences,
            stop_on_failure: *stop_on_failure,
        }
    }
}

impl SeriesResponse {
    pub(super) fn of(conversation: &Conversation) -> Option<Self> {
        let Series { recurrence, number, missed, course, history } = conversation.series()?;
        Some(Self {
            recurrence: RecurrenceResponse::new(recurrence),
            paused: *course == Course::Paused,
            ending: *course == Course::Ending,
            occurrence: *number,
            missed_occurrences: *missed,
            occurrences: history.iter().map(OccurrenceResponse::from).collect(),
        })
    }
}

impl From<&Occurrence> for OccurrenceResponse {
    fn from(Occurrence { number, due, missed, ended, attempts, failure }: &Occurrence) -> Self {
        Self {
            number: *number,
            scheduled_time: due.to_string(),
            ended_time: ended.to_string(),
            status: if failure.is_some() { "Failed" } else { "Completed" },
            attempts: *attempts,
            missed_occurrences: *missed,
            last_error: failure.clone(),
        }
    }
}

/// The times of the next occurrences, so that the caller sees how its expression was read.
pub(super) fn next_times(conversation: &Conversation) -> Option<Vec<String>> {
    const SHOWN: usize = 3;
    let series = conversation.series()?;
    let left = series.recurrence.max_occurrences.map_or(usize::MAX, |max| (max - series.number.min(max)) as usize);
    let next = |at: &Timestamp| series.recurrence.next_after(*at);
    let times = std::iter::successors(next(&conversation.due()), next);
    Some(times.take(SHOWN.min(left)).map(|at| at.to_string()).collect())
}
