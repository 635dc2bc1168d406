//! The input for a new conversation.

use std::time::Duration;

use super::{
    DeliveryPolicy, Destination, DueTime, Format, Labels, Payload, Recurrence, ScheduledBy, ThreadId, Timestamp,
    UpdateRefused,
};

/// A schedule request that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// The due time, with the zone that the caller named.
    pub due: DueTime,
    /// The payload that is delivered.
    pub payload: Payload,
    /// The form of the delivered request's body.
    pub format: Format,
    /// The receiver of the content.
    pub destination: Destination,
    /// The number of attempts and the time limit of each.
    pub policy: DeliveryPolicy,
    /// The caller's labels.
    pub labels: Labels,
    /// The thread that the conversation belongs to.
    pub thread_id: Option<ThreadId>,
    /// The time after the due time in which an attempt must begin.
    pub expire_after: Option<Duration>,
    /// When it recurs. `due` is then its first occurrence.
    pub recurrence: Option<Recurrence>,
    /// Whether the series begins paused.
    pub paused: bool,
    /// The request that schedules it.
    pub by: ScheduledBy,
}

impl NewConversation {
    /// The same for the next time after `now`, with the weeks or days of the series that it changes: a new text or hour does
    /// not turn every second week into the weeks between. It stays as it is if the series had no such weeks or days.
    ///
    /// # Errors
    /// [`UpdateRefused::NoOccurrence`].
    pub(super) fn counted_as(self, before: &Recurrence, now: Timestamp) -> Result<Self, UpdateRefused> {
        let Some(recurrence) = self.recurrence.as_ref().and_then(|recurrence| recurrence.counted_as(before)) else {
            return Ok(self);
        };
        let first = recurrence.first(now).ok_or(UpdateRefused::NoOccurrence)?;
        Ok(Self { due: self.due.later_occurrence(first), recurrence: Some(recurrence), ..self })
    }
}
