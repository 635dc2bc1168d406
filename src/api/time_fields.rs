//! The fields that say when, which several requests have.

use super::ErrorDetail;
use crate::domain::{DueTime, InvalidWhen, Timestamp, When, WhenField};

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
pub(super) const TIME_ZONE: FieldSynonyms = ("timeZone", &["tz", "zone", "timezoneid", "timezonename", "iana"]);

/// The instant that the fields mean.
pub(super) fn resolve(when: &When<'_>, now: Timestamp) -> Result<DueTime, Vec<ErrorDetail>> {
    when.resolve(now).map_err(|wrong| wrong.iter().map(detail).collect())
}

fn detail(wrong: &InvalidWhen) -> ErrorDetail {
    let pointer = match wrong.field() {
        WhenField::ScheduledTime => "/scheduledTime",
        WhenField::Delay => "/delay",
        WhenField::TimeZone => "/timeZone",
    };
    ErrorDetail { pointer: pointer.to_owned(), detail: wrong.to_string() }
}
