//! The preview request as callers write it, and its validation.

use schemars::JsonSchema;

use super::time_fields::{self, MAX_TIME};
use super::{ErrorDetail, FromObject, ObjectReader, Synonyms};
use crate::domain::{DueTime, Timestamp, When};

/// A time to preview.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PreviewRequest {
    /// The time, as scheduleConversation takes it: an RFC 3339 time such as 2030-01-31T09:30:00+01:00 or, together with
    /// timeZone, 2030-01-31T09:30:00. Exactly one of scheduledTime and delay is required.
    #[schemars(length(min = 1, max = MAX_TIME))]
    scheduled_time: Option<String>,
    /// The time from now, such as 90s, 5m, 2h, 7d, 1h30m or PT1H30M. To ask for the current time, use 0s.
    #[schemars(length(min = 1, max = MAX_TIME))]
    delay: Option<String>,
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
        time_fields::TIME_ZONE,
        ("count", &["limit", "max", "number", "n", "times", "occurrences"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            scheduled_time: object.string_or_number("scheduledTime"),
            delay: object.text("delay"),
            time_zone: object.string("timeZone"),
            count: object.whole_number("count", 1..=Self::MAX_COUNT),
        }
    }
}

impl PreviewRequest {
    /// The most instants that a caller may ask for.
    const MAX_COUNT: u32 = 50;
    const DEFAULT_COUNT: u32 = 10;

    /// The instants, in the order of time. There is one, because nothing recurs yet. This checks all fields but the
    /// count, which is checked where it is read.
    ///
    /// # Errors
    /// One [`ErrorDetail`] for each field that is not accepted.
    pub(crate) fn validate(self, now: Timestamp) -> Result<Vec<DueTime>, Vec<ErrorDetail>> {
        let Self { scheduled_time, delay, time_zone, count } = &self;
        let (scheduled_time, delay) = (scheduled_time.as_deref(), delay.as_deref());
        let due = time_fields::resolve(&When { scheduled_time, delay, time_zone: time_zone.as_deref() }, now)?;
        let count = usize::try_from(count.unwrap_or(Self::DEFAULT_COUNT)).unwrap_or(usize::MAX);
        Ok(std::iter::once(due).take(count).collect())
    }
}
