//! The fields that say when, which several requests have.

use super::{ErrorDetail, RecurrenceRequest};
use crate::domain::{DueTime, InvalidRecurring, InvalidWhen, Recurrence, RecurrenceField, Timestamp, When, WhenField};

/// The longest text of such a field, for the schemas.
pub(super) const MAX_TIME: usize = 128;

type FieldSynonyms = (&'static str, &'static [&'static str]);

pub(super) const SCHEDULED_TIME: FieldSynonyms = (
    "scheduledTime",
    &[
        "when",
        "time",
        "at",
        "date",
        "datetime",
        "due",
        "duetime",
        "duedate",
        "schedule",
        "scheduledat",
        "runat",
        "sendat",
        "delivertime",
        "deliverat",
        "timestamp",
        "localtime",
    ],
);
pub(super) const DELAY: FieldSynonyms =
    ("delay", &["in", "after", "duration", "delayseconds", "delayminutes", "seconds", "minutes", "hours", "wait"]);
pub(super) const RECURRENCE: FieldSynonyms =
    ("recurrence", &["cron", "repeat", "repeats", "recurring", "rrule", "interval", "every", "frequency"]);
pub(super) const TIME_ZONE: FieldSynonyms = ("timeZone", &["tz", "zone", "timezoneid", "timezonename", "iana"]);

/// The instant that the fields mean, and the recurrence if there is one.
pub(super) fn resolve(
    when: &When<'_>,
    recurrence: Option<&RecurrenceRequest>,
    now: Timestamp,
) -> Result<(DueTime, Option<Recurrence>), Vec<ErrorDetail>> {
    let Some(recurrence) = recurrence else {
        let due = when.resolve(now).map_err(|wrong| wrong.iter().map(detail).collect::<Vec<_>>())?;
        return Ok((due, None));
    };
    match when.resolve_recurring(&recurrence.written(), now) {
        Ok((first, recurrence)) => Ok((first, Some(recurrence))),
        Err(wrong) => Err(wrong.iter().map(|wrong| recurring_detail(wrong, recurrence)).collect()),
    }
}

pub(super) fn detail(wrong: &InvalidWhen) -> ErrorDetail {
    let pointer = match wrong.field() {
        WhenField::ScheduledTime => "/scheduledTime",
        WhenField::Delay => "/delay",
        WhenField::TimeZone => "/timeZone",
    };
    ErrorDetail { pointer: pointer.to_owned(), detail: wrong.to_string() }
}

fn recurring_detail(wrong: &InvalidRecurring, recurrence: &RecurrenceRequest) -> ErrorDetail {
    let wrong = match wrong {
        InvalidRecurring::When(wrong) => return detail(wrong),
        InvalidRecurring::Recurrence(wrong) => wrong,
    };
    let pointer = match wrong.field() {
        RecurrenceField::Cron if recurrence.cron.is_none() => {
            let detail = "is required: a cron expression such as 0 9 * * 1-5 for 9:00 on weekdays".to_owned();
            return ErrorDetail { pointer: "/recurrence/cron".to_owned(), detail };
        }
        RecurrenceField::Cron => "/recurrence/cron",
        RecurrenceField::TimeZone => "/recurrence/timeZone",
        RecurrenceField::EveryDays => "/recurrence/everyDays",
        RecurrenceField::EveryWeeks => "/recurrence/everyWeeks",
        RecurrenceField::EndTime => "/recurrence/endTime",
        RecurrenceField::MaxOccurrences => "/recurrence/maxOccurrences",
    };
    ErrorDetail { pointer: pointer.to_owned(), detail: wrong.to_string() }
}
