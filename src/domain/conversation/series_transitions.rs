//! The transitions of a recurring conversation: from one occurrence to the next, pause, resume and the end.

use super::series::AfterOccurrence;
use super::{Conversation, Course, Occurrence, PauseRefused, TooLate};
use crate::domain::{Expiry, State, Timestamp};

impl Conversation {
    /// Pauses the series: no occurrence begins. One that has begun goes on to its end.
    ///
    /// # Errors
    /// [`PauseRefused`] if the conversation does not recur, and if it is final or ends with the attempt under way.
    pub fn pause(self, now: Timestamp) -> Result<Self, PauseRefused> {
        self.set_course(Course::Paused, now)
    }

    /// Resumes a paused series. Occurrences that were due meanwhile are left out, and nothing catches up.
    ///
    /// # Errors
    /// As [`Conversation::pause`].
    pub fn resume(self, now: Timestamp) -> Result<Self, PauseRefused> {
        let was_paused = self.is_paused();
        let mut conversation = self.set_course(Course::Running, now)?;
        if was_paused && conversation.state == State::Scheduled && conversation.due <= now {
            let next = conversation.series().and_then(|series| series.recurrence.next_after(now));
            match next {
                Some(due) => conversation.move_to(due),
                None => conversation.state = State::Completed,
            }
        }
        Ok(conversation)
    }

    /// Ends the series with the attempt that is under way. Without one, or if nothing recurs, it is cancelled as any other
    /// conversation.
    ///
    /// # Errors
    /// [`TooLate::Already`] if the series already ends with the attempt, and the errors of [`Conversation::cancel`].
    pub fn cancel_after_attempt(mut self, now: Timestamp) -> Result<Self, TooLate> {
        let (State::Delivering { .. }, Some(series)) = (&self.state, &mut self.series) else { return self.cancel(now) };
        if series.course == Course::Ending {
            return Err(TooLate::Already);
        }
        series.course = Course::Ending;
        self.updated = now;
        Ok(self)
    }

    fn set_course(mut self, course: Course, now: Timestamp) -> Result<Self, PauseRefused> {
        if self.status().is_final() {
            return Err(PauseRefused::Final(self.status()));
        }
        let series = self.series.as_mut().ok_or(PauseRefused::DoesNotRecur)?;
        if series.course == Course::Ending {
            return Err(PauseRefused::Ending);
        }
        series.course = course;
        self.updated = now;
        Ok(self)
    }

    /// The conversation with the latest occurrence up to now as its current one, if the current one has not begun. So a
    /// service that was stopped delivers one occurrence of those that it missed.
    pub(super) fn caught_up(mut self, now: Timestamp) -> Self {
        if let (State::Scheduled, Some(series)) = (&self.state, &mut self.series)
            && let Some(due) = series.catch_up(self.due, now)
        {
            self.move_to(due);
        }
        self
    }

    /// Ends a delivery with this final state. A conversation that recurs goes on with its next occurrence.
    pub(super) fn end(mut self, last: State) -> Self {
        let attempts = self.attempts_begun();
        let Some(series) = &mut self.series else { return Self { state: last, ..self } };
        let failure = if let State::Failed { reason } = &last { Some(reason.clone()) } else { None };
        let (number, due, missed, ended) = (series.number, self.due, series.missed, self.updated);
        match series.after(Occurrence { number, due, missed, ended, attempts, failure }) {
            AfterOccurrence::Next(due) => {
                self.attempts.clear();
                self.attempts_before_redelivery = 0;
                self.state = State::Scheduled;
                self.move_to(due);
            }
            AfterOccurrence::Cancelled => self.state = State::Cancelled,
            AfterOccurrence::Nothing => self.state = last,
        }
        self
    }

    fn move_to(&mut self, due: Timestamp) {
        self.due = due;
        self.expiry = self.expiry.map(|expiry| Expiry::of(due, expiry.after));
    }
}
