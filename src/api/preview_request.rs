//! The preview request as callers write it, and its validation.

use std::iter;

use schemars::JsonSchema;

use super::time_fields::{self, MAX_TIME};
use super::{ErrorDetail, FromObject, ObjectReader, RecurrenceRequest, Synonyms};
use crate::domain::{DueTime, Timestamp, When};

/// A time to preview.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PreviewRequest {
    /// The time, as scheduleConversation takes it: an RFC 3339 time such as 2030-01-31T09:30:00+01:00 or, together with
    /// timeZone, 2030-01-31T09:30:00. Exactly one of scheduledTime and delay is required, unless there is a recurrence.
    #[schemars(length(min = 1, max = MAX_TIME))]
    scheduled_time: Option<String>,
    /// The time from now, such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M.
    #[schemars(length(min = 1, max = MAX_TIME))]
    delay: Option<String>,
    /// When it recurs, as scheduleConversation takes it.
    recurrence: Option<RecurrenceRequest>,
    /// The time zone, as a name of the IANA database such as Europe/Berlin or America/Chicago. A scheduledTime without
    /// a UTC offset is the time of day in this zone, and without timeZone it is UTC.
    #[schemars(length(min = 1, max = MAX_TIME))]
    time_zone: Option<String>,
    /// The most instants to return. The default is 10. A time that does not recur has one.
    #[schemars(range(min = 1, max = PreviewRequest::MAX_COUNT))]
    count: Option<u32>,
}

impl FromObject for PreviewRequest {
    const SYNONYMS: Synonyms = &[
        time_fields::SCHEDULED_TIME,
        time_fields::DELAY,
        time_fields::RECURRENCE,
        time_fields::TIME_ZONE,
        ("count", &["limit", "max", "number", "n", "times", "occurrences"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            scheduled_time: object.string_or_number("scheduledTime"),
            delay: object.text("delay"),
            recurrence: object.object("recurrence", RecurrenceRequest::EXAMPLE),
            time_zone: object.string("timeZone"),
            count: object.whole_number("count", 1..=Self::MAX_COUNT),
        }
    }
}

impl PreviewRequest {
    /// The most instants that a caller may ask for.
    const MAX_COUNT: u32 = 50;
    const DEFAULT_COUNT: u32 = 10;

    /// The instants, in the order of time. There is one if it does not recur. This checks all fields but the
    /// count, which is checked where it is read.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field that is not accepted.
    pub(crate) fn validate(self, now: Timestamp) -> Result<Vec<DueTime>, Vec<ErrorDetail>> {
        let Self { scheduled_time, delay, recurrence, time_zone, count } = &self;
        let (scheduled_time, delay) = (scheduled_time.as_deref(), delay.as_deref());
        let when = When { scheduled_time, delay, time_zone: time_zone.as_deref() };
        let (due, recurrence) = time_fields::resolve(&when, recurrence.as_ref(), now)?;
        let most = count.unwrap_or(Self::DEFAULT_COUNT);
        let Some(recurrence) = recurrence else { return Ok(vec![due]) };
        let most = recurrence.max_occurrences.map_or(most, |max| most.min(max));
        let count = usize::try_from(most).unwrap_or(usize::MAX);
        let next = |due: &DueTime| recurrence.next_after(due.instant()).map(|next| due.later_occurrence(next));
        Ok(iter::successors(Some(due), next).take(count).collect())
    }
}
