//! Judges a single exchange and a conversation at its end. [`super::invariant_checker`] explains the numbers.

use std::collections::BTreeSet;
use std::time::Duration;

use mcp_scheduler::delivery::retry_delay;
use mcp_scheduler::domain::{Conversation, Expiry, Outcome, State, Status, Timestamp};

use super::fault_plan::Profile;
use super::occurrences::{self, is_steered};

/// One attempt, as the endpoint saw it.
pub struct Sent {
    pub attempt: u32,
    pub process: u64,
    /// How often the clock had been set.
    pub clock_set: u64,
    /// The number of the attempt within its delivery; a redelivery counts from 1 again.
    pub of_delivery: u32,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    pub taken: bool,
    pub timeout: Duration,
    pub webhook_id: String,
    pub body: Option<Vec<u8>>,
}

/// Whether a process has ended the lease of an earlier one.
pub fn is_released(before: &Conversation, next: &Conversation) -> bool {
    match (before.state(), next.state()) {
        (State::Delivering { lease, attempt }, State::Delivering { lease: shorter, attempt: same }) => {
            attempt == same && shorter.until <= lease.until
        }
        _ => false,
    }
}

/// Whether a delivery whose attempt has not begun may have failed, if this is the latest time that a clock showed.
pub fn may_expire(before: &Conversation, failed: &Conversation, latest: Timestamp) -> bool {
    let has_expired = match occurrences::ended(before, failed) {
        Some(over) => over.failure.as_deref() == Some(Expiry::REASON),
        None => *failed.state() == expired(),
    };
    has_expired && before.expiry().is_some_and(|expiry| expiry.at < latest)
}

/// Whether the states of a conversation may follow one another. `is_over` says whether a lease may have ended at a time,
/// and `latest` is the latest time that a clock showed.
pub fn is_legal(
    before: Option<&Conversation>,
    next: &Conversation,
    profile: Profile,
    is_over: impl Fn(&Conversation, Timestamp) -> bool,
    latest: Timestamp,
) -> bool {
    let Some(before) = before else { return *next.state() == State::Scheduled };
    if is_steered(before, next) {
        return true;
    }
    let has_ended = occurrences::ended(before, next).is_some();
    match (before.state(), next.state()) {
        (State::Scheduled | State::Waiting { .. }, State::Delivering { .. } | State::Cancelled)
        | (State::Delivering { .. }, State::Waiting { .. } | State::Completed | State::Failed { .. }) => true,
        (State::Delivering { .. }, State::Scheduled) => has_ended,
        (State::Delivering { .. }, State::Cancelled) if before.is_ending() => true,
        (State::Scheduled | State::Waiting { .. }, State::Failed { .. }) => may_expire(before, next, latest),
        (State::Scheduled | State::Waiting { .. }, State::Scheduled) if has_ended => may_expire(before, next, latest),
        // Its client has resumed a series.
        (State::Scheduled, State::Scheduled | State::Completed) => before.is_paused() && !next.is_paused(),
        (State::Failed { .. }, State::Waiting { next_attempt }) => *next_attempt >= next.updated(),
        // The pause of a conversation in an inbox ends, because a clock wrote it that was ahead.
        (State::Waiting { .. }, State::Waiting { .. }) => {
            profile == Profile::OneProcess && before.receivable_at().is_some()
        }
        (State::Delivering { .. }, State::Delivering { .. }) if is_released(before, next) => {
            profile == Profile::OneProcess
        }
        (State::Delivering { lease, .. }, State::Delivering { .. } | State::Cancelled) => is_over(before, lease.until),
        _ => false,
    }
}

/// Whether the attempts of the state before are kept, and the one under way is the next one.
pub fn are_counted(before: Option<&Conversation>, next: &Conversation) -> bool {
    let Some(before) = before.filter(|before| before.occurrence() == next.occurrence()) else {
        return next.attempts_begun() == 0;
    };
    let begins = !is_released(before, next) && !is_steered(before, next);
    next.attempts().starts_with(before.attempts())
        && match next.in_flight() {
            Some(attempt) => is_in_time(next) && attempt.number == before.attempts_begun() + u32::from(begins),
            None => next.attempts_begun() == before.attempts_begun(),
        }
}

/// Whether the attempt under way began before the conversation expired.
pub fn is_in_time(next: &Conversation) -> bool {
    let began = next.in_flight().map(|attempt| attempt.started);
    next.expiry().is_none_or(|expiry| began <= Some(expiry.at))
}

fn expired() -> State {
    State::Failed { reason: Expiry::REASON.to_owned() }
}

/// Which invariants a final conversation breaks, by its record and by what its endpoint saw.
pub fn verdict(c: &Conversation, sent: &[Sent], acknowledged: bool) -> impl Iterator<Item = &'static str> {
    let numbers: Vec<u32> = c.attempts().iter().map(|a| a.start.number).collect();
    let succeeded =
        |number| c.attempts().iter().any(|a| a.start.number == number && a.result.outcome == Outcome::Success);
    let answered = |s: &Sent| s.taken && succeeded(s.attempt);
    // The last time of a series was over when its client resumed it.
    let is_over_while_paused = c.series().is_some() && c.attempts_begun() == 0;
    let expired = *c.state() == expired();
    let refused = c.attempts().last().is_some_and(|a| a.result.outcome == Outcome::PermanentFailure);
    let of_last_delivery = numbers.iter().filter(|n| **n > c.attempts_before_redelivery()).count();
    let all = c.policy().max_attempts as usize;
    let sent_once: BTreeSet<u32> = sent.iter().map(|s| s.attempt).collect();
    let wrong = [
        (
            "I1 Completed although no endpoint took it",
            c.status() == Status::Completed && !sent.iter().any(answered) && !is_over_while_paused,
        ),
        (
            "I1 Failed with attempts left",
            c.status() == Status::Failed && of_last_delivery != all && !refused && !expired,
        ),
        (
            "I1 redelivered without an attempt",
            c.attempts_before_redelivery() > 0 && of_last_delivery == 0 && c.status() != Status::Cancelled && !expired,
        ),
        ("I1 expired, and it cannot expire", expired && c.expiry().is_none()),
        ("I1 Failed without a reason", *c.state() == State::Failed { reason: String::new() }),
        ("I3 cancelled for its client and not for us", acknowledged && c.status() != Status::Cancelled),
        ("I5 sent and not on record", sent.iter().any(|s| !numbers.contains(&s.attempt))),
        (
            "I5 a success that the endpoint did not see",
            numbers.iter().any(|n| succeeded(*n) && !sent.iter().any(|s| s.attempt == *n && s.taken)),
        ),
        ("I12 more attempts than were asked for", of_last_delivery > all),
        ("I12 attempts are not counted from one", numbers.iter().copied().ne(1..=numbers.last().copied().unwrap_or(0))),
        ("I12 an attempt was sent twice", sent_once.len() != sent.len()),
    ];
    wrong.into_iter().filter(|(_, is)| *is).map(|(what, _)| what)
}

impl Sent {
    /// Why another attempt must not begin now; `None` if it may. The pause may be over at `by_now`. `None` as the attempt
    /// means that of another occurrence.
    pub fn forbids(
        &self,
        at: Timestamp,
        by_now: Timestamp,
        attempt: Option<u32>,
        paused: bool,
    ) -> Option<&'static str> {
        let pause = if paused { retry_delay(self.of_delivery, 0, None, at) } else { Duration::ZERO };
        match self.ended {
            None if at < self.began + self.timeout => Some("I7 another attempt is in flight"),
            Some(ended) if attempt == Some(self.attempt + 1) && by_now < ended + pause => {
                Some("I12 earlier than its pause")
            }
            _ => None,
        }
    }
}
