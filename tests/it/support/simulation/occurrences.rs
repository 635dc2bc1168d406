//! S: the occurrences of a conversation that recurs.
//!
//! - S1: each one is due at the first time of the cron expression after the one before. If that is over, it is the latest
//!   time that is over, and says how many were left out
//! - S2: there is a next one, in the commit that ends the one before, until the last time, the last number, a failure that
//!   stops the series or a cancel
//! - S3: none begins while the client has paused the series
//! - S4: the endpoint is told the occurrence of the row
//! - S5: one that ended as delivered was accepted by its endpoint, and one that failed has had its attempts
//!
//! The times are computed here a second time: each minute, or each minute whose number can be divided by another number.

use std::collections::BTreeSet;

use mcp_scheduler::domain::{
    Conversation, ConversationId, Course, Destination, Expiry, Occurrence, Recurrence, Series, State, Timestamp,
};

use super::verdict::Sent;

/// The delivery of a conversation, or of one of its occurrences.
pub type Delivery = (ConversationId, Option<u32>);

pub fn current(conversation: &Conversation) -> Delivery {
    (conversation.id(), conversation.occurrence())
}

/// The occurrence that this change has ended.
pub fn ended<'a>(before: &Conversation, next: &'a Conversation) -> Option<&'a Occurrence> {
    let last = |of: &'a Series| of.history.last();
    let over = next.series().and_then(last)?;
    (before.series().and_then(|series| series.history.last()) != Some(over)).then_some(over)
}

/// Whether the client has paused or resumed the series, or cancelled it after the attempt under way.
pub fn is_steered(before: &Conversation, next: &Conversation) -> bool {
    next.series().is_some() && current(before) == current(next) && before.state() == next.state()
}

/// The times of a series.
struct Times {
    every: i64,
    last: Option<Timestamp>,
}

impl Times {
    fn of(recurrence: &Recurrence) -> Self {
        let minutes = recurrence.cron.as_str().strip_suffix(" * * * *").unwrap();
        let minutes: i64 = minutes.strip_prefix("*/").map_or(1, |number| number.parse().unwrap());
        Self { every: minutes * 60_000, last: recurrence.end }
    }

    fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = Timestamp::from_millis((at.as_millis().div_euclid(self.every) + 1) * self.every);
        self.last.is_none_or(|last| next <= last).then_some(next)
    }

    /// The latest time that is over, or else the first one, and the number of times that are left out before it.
    fn latest(&self, first: Timestamp, now: Timestamp) -> (Timestamp, u32) {
        let until = self.last.map_or(now, |last| last.min(now));
        let steps = (until.as_millis() - first.as_millis()).max(0) / self.every;
        (Timestamp::from_millis(first.as_millis() + steps * self.every), u32::try_from(steps).unwrap())
    }
}

/// What is wrong with a change of a conversation.
pub fn check(before: Option<&Conversation>, next: &Conversation) -> Option<String> {
    let series = next.series()?;
    let times = Times::of(&series.recurrence);
    let Some(before) = before else {
        let is_first = series.number == 1 && series.missed == 0 && series.history.is_empty();
        let is_on_time = times.after(next.due() - std::time::Duration::from_millis(1)) == Some(next.due());
        return (!is_first || !is_on_time).then(|| format!("S1 the first occurrence is {series:?} at {}", next.due()));
    };
    let old = before.series()?;
    let wrong = match ended(before, next) {
        Some(over) => check_end(&times, (before, old), over, next),
        None => check_same(&times, (before, old), next),
    };
    wrong.map(|wrong| format!("{wrong}: {old:?} at {} becomes {series:?} at {}", before.due(), next.due()))
}

/// The occurrence goes on, or has not begun.
fn check_same(times: &Times, (before, old): (&Conversation, &Series), next: &Conversation) -> Option<&'static str> {
    let series = next.series()?;
    let is_resumed = old.course == Course::Paused && series.course == Course::Running;
    let has_lapsed = *before.destination() == Destination::Inbox
        && series.course == Course::Running
        && before.expiry().is_some_and(|expiry| expiry.at < next.updated());
    let mut wanted = (before.due(), old.missed);
    match (before.state(), next.state()) {
        (State::Scheduled, State::Delivering { attempt, .. }) => {
            if old.course == Course::Paused {
                return Some("S3 an occurrence begins although the series is paused");
            }
            let (due, left_out) = times.latest(before.due(), attempt.started);
            wanted = (due, (old.missed + left_out).min(Recurrence::MAX_COUNTED));
        }
        (State::Scheduled, State::Scheduled) if is_resumed && before.due() <= next.updated() => {
            wanted.0 = times.after(next.updated())?;
        }
        // Nobody has received it in time, and a later one is in time.
        (State::Scheduled, State::Scheduled) if has_lapsed && before.due() != next.due() => {
            let (due, left_out) = times.latest(before.due(), next.updated());
            wanted = (due, (old.missed + left_out).min(Recurrence::MAX_COUNTED));
        }
        (State::Scheduled, State::Completed) => {
            let is_over = is_resumed && before.due() <= next.updated() && times.after(next.updated()).is_none();
            return (!is_over).then_some("S2 the series ends without an occurrence");
        }
        _ => {}
    }
    let is_right = (next.due(), series.missed) == wanted && series.number == old.number;
    (!is_right).then_some("S1 the occurrence is another one")
}

/// The occurrence has ended.
fn check_end(
    times: &Times,
    (before, old): (&Conversation, &Series),
    over: &Occurrence,
    next: &Conversation,
) -> Option<&'static str> {
    let series = next.series()?;
    let has_begun = *before.state() != State::Scheduled;
    let (due, left_out) = if has_begun { (before.due(), 0) } else { times.latest(before.due(), over.ended) };
    let missed = (old.missed + left_out).min(Recurrence::MAX_COUNTED);
    if (over.number, over.due, over.missed, over.ended) != (old.number, due, missed, next.updated()) {
        return Some("S1 another occurrence is on record");
    }
    let Recurrence { max_occurrences, stop_on_failure, .. } = old.recurrence;
    let is_last = max_occurrences.is_some_and(|max| old.number >= max) || (stop_on_failure && over.failure.is_some());
    let follows = times.after(over.due).filter(|_| !is_last && old.course != Course::Ending);
    let Some(first) = follows else {
        let is_right = match next.state() {
            State::Cancelled => old.course == Course::Ending,
            State::Completed => over.failure.is_none() && old.course != Course::Ending,
            State::Failed { reason } => over.failure.as_ref() == Some(reason) && old.course != Course::Ending,
            _ => false,
        };
        return (!is_right || series.number != old.number).then_some("S2 the series does not end with this occurrence");
    };
    let (due, missed) = times.latest(first, over.ended);
    if *next.state() != State::Scheduled || series.number != old.number + 1 || !next.attempts().is_empty() {
        return Some("S2 the next occurrence is not in the commit that ends the last");
    }
    let is_right = (next.due(), series.missed) == (due, missed.min(Recurrence::MAX_COUNTED));
    (!is_right).then_some("S1 the next occurrence is another one")
}

/// What is wrong with an occurrence that has ended, by its record and by what its endpoint saw.
pub fn verdict(before: &Conversation, over: &Occurrence, sent: &[Sent]) -> Option<&'static str> {
    let used = over.attempts - before.attempts_before_redelivery();
    let all = before.policy().max_attempts;
    let is_excused =
        |reason: &str| reason == Expiry::REASON || reason.contains("not tried again") || before.is_ending();
    let sent_once: BTreeSet<u32> = sent.iter().map(|s| s.attempt).collect();
    let wrong = [
        ("S5 delivered although no endpoint took it", over.failure.is_none() && !sent.iter().any(|s| s.taken)),
        (
            "S5 failed with attempts left",
            over.failure.as_deref().is_some_and(|reason| used != all && !is_excused(reason)),
        ),
        ("S5 failed without a reason", over.failure.as_deref() == Some("")),
        ("I5 sent and not on record", sent.iter().any(|s| !(1..=over.attempts).contains(&s.attempt))),
        ("I12 more attempts than were asked for", used > all),
        ("I12 an attempt was sent twice", sent_once.len() != sent.len()),
    ];
    wrong.into_iter().find(|(_, is)| *is).map(|(what, _)| what)
}
