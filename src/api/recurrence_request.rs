//! The fields of `recurrence`, which several requests have.

use schemars::JsonSchema;

use super::time_fields::MAX_TIME;
use super::{FromObject, ObjectReader, Synonyms};
use crate::domain::{MAX_CRON, Period, WrittenRecurrence};

/// When a conversation recurs.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecurrenceRequest {
    /// A cron expression: minute, hour, day of the month, month and day of the week, such as 0 9 * * 1-5 for 9:00 on
    /// weekdays, 0 9 * * FRI#2 for the second Friday of a month, or 0 9 * * FRI with everyWeeks 2 for every second Friday. A sixth field in front is the second. Occurrences are
    /// at least a minute apart.
    #[schemars(required, length(min = 1, max = MAX_CRON))]
    pub cron: Option<String>,
    /// The time zone whose clocks the expression follows, as a name of the IANA database such as Europe/Berlin. The
    /// default is the timeZone of the request, or else UTC.
    #[schemars(length(min = 1, max = MAX_TIME))]
    pub time_zone: Option<String>,
    /// Occurs only every so many weeks: 2 for every second week. They are counted from the week of the first occurrence and
    /// begin on Monday; scheduledTime says from when on the first occurrence may be.
    #[schemars(range(min = 1, max = Period::MAX_WEEKS))]
    pub every_weeks: Option<u32>,
    /// Occurs only every so many days: 2 for every second day. They are counted from the day of the first occurrence.
    #[schemars(range(min = 1, max = Period::MAX_DAYS))]
    pub every_days: Option<u32>,
    /// The last time at which an occurrence may be due, as an RFC 3339 time.
    #[schemars(length(min = 1, max = MAX_TIME))]
    pub end_time: Option<String>,
    /// The number of occurrences after which there are no more.
    #[schemars(range(min = 1, max = u32::MAX))]
    pub max_occurrences: Option<u32>,
    /// Whether an occurrence that fails is the last one. The default is false: the next one comes at its time.
    pub stop_on_failure: Option<bool>,
}

impl FromObject for RecurrenceRequest {
    const SYNONYMS: Synonyms = &[
        ("cron", &["expression", "cronexpression", "schedule", "rule", "rrule", "pattern", "crontab"]),
        ("timeZone", &["tz", "zone", "timezonename", "iana"]),
        ("everyWeeks", &["weeks", "weekinterval", "intervalweeks", "everynweeks", "interval", "every"]),
        ("everyDays", &["days", "dayinterval", "intervaldays", "everyndays"]),
        ("endTime", &["end", "until", "ends", "enddate", "endsat", "stop", "to"]),
        ("maxOccurrences", &["count", "occurrences", "times", "max", "limit", "repeat", "repeats"]),
        ("stopOnFailure", &["stoponerror", "stop", "failfast"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self {
            cron: object.string("cron"),
            time_zone: object.string("timeZone"),
            every_weeks: object.whole_number("everyWeeks", 1..=u32::from(Period::MAX_WEEKS)),
            every_days: object.whole_number("everyDays", 1..=u32::from(Period::MAX_DAYS)),
            end_time: object.string_or_number("endTime"),
            max_occurrences: object.whole_number("maxOccurrences", 1..=u32::MAX),
            stop_on_failure: object.boolean("stopOnFailure"),
        }
    }
}

impl RecurrenceRequest {
    /// The object in an example.
    pub(super) const EXAMPLE: &str = r#"{"cron": "0 9 * * 1-5", "timeZone": "Europe/Berlin"}"#;

    pub(super) fn written(&self) -> WrittenRecurrence<'_> {
        WrittenRecurrence {
            cron: self.cron.as_deref().unwrap_or_default(),
            time_zone: self.time_zone.as_deref(),
            every_days: self.every_days.map(u64::from),
            every_weeks: self.every_weeks.map(u64::from),
            end_time: self.end_time.as_deref(),
            max_occurrences: self.max_occurrences.map(u64::from),
            stop_on_failure: self.stop_on_failure.unwrap_or_default(),
        }
    }
}
