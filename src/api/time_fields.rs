//! The fields that say when, which several requests have.

use super::ErrorDetail;
use crate::domain::{DueTime, InvalidWhen, Note, Timestamp, When, WhenField};

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

/// The fields that say when, as a request had them.
pub(super) struct WrittenTime {
    pub(super) scheduled_time: Option<String>,
    pub(super) delay: Option<String>,
    pub(super) time_zone: Option<String>,
}

impl WrittenTime {
    pub(super) fn when(&self) -> When<'_> {
        let Self { scheduled_time, delay, time_zone } = self;
        When { scheduled_time: scheduled_time.as_deref(), delay: delay.as_deref(), time_zone: time_zone.as_deref() }
    }

    /// How the time was read when the request was accepted.
    pub(super) fn notes(&self, accepted: Timestamp) -> Vec<Note> {
        self.when().resolve(accepted).map(|due| due.notes().to_vec()).unwrap_or_default()
    }
}

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
