//! The occurrences of a recurring conversation.

use crate::domain::{NextOccurrence, Recurrence, Timestamp};

/// What a recurring conversation has besides its current occurrence.
///
/// The conversation's due time, state and attempts are those of the current occurrence: the one that is under way or comes
/// next. So there is never a second one under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// When the occurrences are due.
    pub recurrence: Recurrence,
    /// The number of the current occurrence. The first one is 1.
    pub number: u32,
    /// How many occurrences were due between the one before and the current one, and are left out. It is counted up to
    /// [`Recurrence::MAX_COUNTED`].
    pub missed: u32,
    /// Whether the series goes on after the current occurrence.
    pub course: Course,
    /// The occurrences that are over, oldest first. Only the last [`Series::MAX_KEPT`] are kept.
    pub history: Vec<Occurrence>,
}

/// Whether a series goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Course {
    /// The next occurrence begins at its time.
    #[default]
    Running,
    /// The client has paused it: no occurrence begins. One that has begun goes on to its end.
    Paused,
    /// The client has cancelled it while an attempt was under way. It ends with that attempt.
    Ending,
}

/// An occurrence that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its number in the series.
    pub number: u32,
    /// The time at which it was due.
    pub due: Timestamp,
    /// See [`Series::missed`].
    pub missed: u32,
    /// The time at which it ended.
    pub ended: Timestamp,
    /// The number of its attempts.
    pub attempts: u32,
    /// The reason why it failed. `None` if its endpoint accepted it.
    pub failure: Option<String>,
}

/// What follows after an occurrence.
pub(super) enum AfterOccurrence {
    /// The next occurrence, which is now the current one and is due at this time.
    Next(Timestamp),
    /// Nothing, because the client has cancelled the series.
    Cancelled,
    /// Nothing: this was the last one.
    Nothing,
}

impl Series {
    /// The number of finished occurrences that are kept.
    pub const MAX_KEPT: usize = 20;

    pub(super) const fn new(recurrence: Recurrence) -> Self {
        Self { recurrence, number: 1, missed: 0, course: Course::Running, history: Vec::new() }
    }

    pub(super) fn starting(recurrence: Recurrence, paused: bool) -> Self {
        let course = if paused { Course::Paused } else { Course::Running };
        Self { course, ..Self::new(recurrence) }
    }

    /// Whether no next occurrence begins until the client resumes the series.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.course == Course::Paused
    }

    /// The reason why the occurrence that ended last has failed, if it is the one with this number.
    #[must_use]
    pub fn failure_of(&self, number: u32) -> Option<&str> {
        self.history.last().filter(|over| over.number == number)?.failure.as_deref()
    }

    /// Records the end of the current occurrence, and makes the next one the current one.
    pub(super) fn after(&mut self, over: Occurrence) -> AfterOccurrence {
        let (due, now) = (over.due, over.ended);
        let stops = self.recurrence.stop_on_failure && over.failure.is_some();
        self.record(over);
        if self.course == Course::Ending {
            return AfterOccurrence::Cancelled;
        }
        match self.recurrence.after_occurrence(self.number, due, now) {
            Some(NextOccurrence { due, missed }) if !stops => {
                self.number += 1;
                self.missed = missed;
                AfterOccurrence::Next(due)
            }
            _ => AfterOccurrence::Nothing,
        }
    }

    /// The due time of the latest occurrence up to now, if that is a later one than the current one, which has not begun.
    /// The current one is then left out.
    pub(super) fn catch_up(&mut self, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
        // Almost every claim is on time, and then there is nothing to compute.
        if now < due + Recurrence::LEAST_DISTANCE {
            return None;
        }
        let before = self.number.saturating_sub(1);
        let latest = self.recurrence.after_occurrence(before, due, now).filter(|next| next.due <= now)?;
        let left_out = self.missed.saturating_add(1).saturating_add(latest.missed);
        self.missed = left_out.min(Recurrence::MAX_COUNTED);
        Some(latest.due)
    }

    /// A redelivered occurrence is over a second time, and its record replaces the one before.
    fn record(&mut self, over: Occurrence) {
        if self.history.last().is_some_and(|last| last.number == over.number) {
            self.history.pop();
        } else if self.history.len() == Self::MAX_KEPT {
            self.history.remove(0);
        }
        self.history.push(over);
    }
}
