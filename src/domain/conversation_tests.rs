//! Every event in every state.

use super::*;
use crate::domain::{EndpointPolicy, Headers, Method};

const DUE: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_mins(1);
const OWNER: LeaseToken = LeaseToken::new([1; 8]);
const OTHER: LeaseToken = LeaseToken::new([2; 8]);

fn scheduled(max_attempts: u32) -> Conversation {
    let new = NewConversation {
        due: DUE,
        content: Content { text: "hello".into(), info: None, format: Format::Json },
        target: Target {
            endpoint: EndpointPolicy::default().check("https://example.com/hook").unwrap(),
            method: Method::Post,
            headers: Headers::default(),
        },
        policy: Policy { max_attempts, timeout_seconds: 10 },
    };
    let created = Timestamp::from_millis(DUE.as_millis() - 3_600_000);
    Conversation::new(ConversationId::new(created, &[0; 10]), "client".parse().unwrap(), new, created)
}

fn report(outcome: Outcome) -> Report {
    match outcome {
        Outcome::Unknown => Report::unknown(5),
        outcome => {
            let http_status = Some(match outcome {
                Outcome::Success => 200,
                Outcome::PermanentFailure => 410,
                _ => 503,
            });
            Report { outcome, duration_ms: 5, http_status, error: None, response_excerpt: String::new() }
        }
    }
}

/// An instant so many milliseconds after (or before) another.
fn shift(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + millis)
}

/// The states of the table's columns.
#[derive(Clone, Copy, Debug)]
enum Start {
    Scheduled,
    /// The first of two attempts is under way.
    Delivering,
    /// The second of two attempts is under way.
    LastAttempt,
    /// The first of two attempts has failed.
    Waiting,
    Completed,
    Failed,
    Cancelled,
}

/// The events of its rows. "Early" and "late" are before and after the wake-up: the due time, the
/// time of the next attempt, or the end of the lease.
#[derive(Clone, Copy, Debug)]
enum Event {
    ClaimEarly,
    /// A millisecond more than [`Policy::CLAIM_AHEAD`] early.
    ClaimBeforeTheMargin,
    /// Exactly that early.
    ClaimWithinTheMargin,
    ClaimOnTime,
    ClaimLate,
    Succeeds,
    /// The worker was slow, and nobody has taken over.
    SucceedsLate,
    Fails,
    FailsForGood,
    IsLost,
    SomebodyElseReports,
    CancelEarly,
    CancelOnTime,
    CancelLate,
    Redeliver,
}

/// What comes of it.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// This attempt is under way.
    Attempt(u32),
    /// This attempt is under way, and the one before is written down as lost.
    Lost(u32),
    /// The last attempt is written down as lost, and the conversation has failed.
    Exhausted,
    /// It waits for the next attempt.
    Retry,
    Completed,
    Failed,
    Cancelled,
    /// It waits for its next attempt, which begins now, and has all of its attempts again.
    Redelivered,
    /// It is cancelled, and the attempt that was under way is written down as lost.
    CancelledLost,
    NotDue,
    Leased,
    Final,
    NotMine,
    BeingSent,
    WasSent,
    HasFailed,
    Already,
    HasNotFailed,
}

#[rustfmt::skip]
const TABLE: [(Event, [Then; 7]); 15] = {
    use Event::*;
    use Then::*;
    [
        //                       Scheduled   Delivering     LastAttempt    Waiting     Completed Failed     Cancelled
        (ClaimEarly,            [NotDue,     Leased,        Leased,        NotDue,     Final,    Final,     Final]),
        (ClaimBeforeTheMargin,  [NotDue,     Leased,        Leased,        NotDue,     Final,    Final,     Final]),
        (ClaimWithinTheMargin,  [Attempt(1), Leased,        Leased,        Attempt(2), Final,    Final,     Final]),
        (ClaimOnTime,           [Attempt(1), Lost(2),       Exhausted,     Attempt(2), Final,    Final,     Final]),
        (ClaimLate,             [Attempt(1), Lost(2),       Exhausted,     Attempt(2), Final,    Final,     Final]),
        (Succeeds,              [NotMine,    Completed,     Completed,     NotMine,    NotMine,  NotMine,   NotMine]),
        (SucceedsLate,          [NotMine,    Completed,     Completed,     NotMine,    NotMine,  NotMine,   NotMine]),
        (Fails,                 [NotMine,    Retry,         Failed,        NotMine,    NotMine,  NotMine,   NotMine]),
        (FailsForGood,          [NotMine,    Failed,        Failed,        NotMine,    NotMine,  NotMine,   NotMine]),
        (IsLost,                [NotMine,    Retry,         Failed,        NotMine,    NotMine,  NotMine,   NotMine]),
        (SomebodyElseReports,   [NotMine,    NotMine,       NotMine,       NotMine,    NotMine,  NotMine,   NotMine]),
        (CancelEarly,           [Cancelled,  BeingSent,     BeingSent,     Cancelled,  WasSent,  HasFailed, Already]),
        (CancelOnTime,          [Cancelled,  CancelledLost, CancelledLost, Cancelled,  WasSent,  HasFailed, Already]),
        (CancelLate,            [Cancelled,  CancelledLost, CancelledLost, Cancelled,  WasSent,  HasFailed, Already]),
        (Redeliver,             [HasNotFailed, HasNotFailed, HasNotFailed, HasNotFailed, HasNotFailed, Redelivered, HasNotFailed]),
    ]
};

const STARTS: [Start; 7] = [
    Start::Scheduled,
    Start::Delivering,
    Start::LastAttempt,
    Start::Waiting,
    Start::Completed,
    Start::Failed,
    Start::Cancelled,
];

fn claim(conversation: Conversation, token: LeaseToken) -> Conversation {
    let at = conversation.wake_up().unwrap();
    match conversation.claim(token, at) {
        Ok(Claim::Attempt(next)) => next,
        other => panic!("no attempt but {other:?}"),
    }
}

fn end(conversation: Conversation, outcome: Outcome) -> Conversation {
    let started = conversation.in_flight().unwrap().started;
    conversation.complete(OWNER, report(outcome), RETRY, shift(started, 5)).unwrap()
}

impl Start {
    fn conversation(self) -> Conversation {
        match self {
            Self::Scheduled => scheduled(2),
            Self::Delivering => claim(scheduled(2), OWNER),
            Self::LastAttempt => claim(Self::Waiting.conversation(), OWNER),
            Self::Waiting => end(Self::Delivering.conversation(), Outcome::Failure),
            Self::Completed => end(Self::Delivering.conversation(), Outcome::Success),
            Self::Failed => end(Self::LastAttempt.conversation(), Outcome::Failure),
            Self::Cancelled => scheduled(2).cancel(DUE).unwrap(),
        }
    }
}

impl Event {
    /// When it happens to a conversation.
    fn at(self, conversation: &Conversation) -> Timestamp {
        let wake_up = conversation.wake_up().unwrap_or(DUE);
        match self {
            Self::ClaimEarly | Self::CancelEarly => shift(wake_up, -1000),
            Self::ClaimBeforeTheMargin => shift(wake_up, -11),
            Self::ClaimWithinTheMargin => shift(wake_up, -10),
            Self::ClaimOnTime | Self::CancelOnTime | Self::Redeliver => wake_up,
            Self::ClaimLate | Self::CancelLate | Self::SucceedsLate => shift(wake_up, 5000),
            Self::Succeeds | Self::Fails | Self::FailsForGood | Self::IsLost | Self::SomebodyElseReports => {
                shift(wake_up, -1)
            }
        }
    }

    /// What a worker reports with it.
    fn report(self) -> Report {
        report(match self {
            Self::Fails => Outcome::Failure,
            Self::FailsForGood => Outcome::PermanentFailure,
            Self::IsLost => Outcome::Unknown,
            _ => Outcome::Success,
        })
    }

    fn happens_to(self, conversation: Conversation) -> Result<Conversation, Refused> {
        let now = self.at(&conversation);
        match self {
            Self::ClaimEarly
            | Self::ClaimBeforeTheMargin
            | Self::ClaimWithinTheMargin
            | Self::ClaimOnTime
            | Self::ClaimLate => match conversation.claim(OTHER, now).map_err(Refused::Claim)? {
                Claim::Attempt(next) => {
                    assert!(next.in_flight().is_some());
                    Ok(next)
                }
                Claim::Exhausted(next) => {
                    assert_eq!(next.status(), Status::Failed);
                    Ok(next)
                }
            },
            Self::Succeeds | Self::SucceedsLate | Self::Fails | Self::FailsForGood | Self::IsLost => {
                conversation.complete(OWNER, self.report(), RETRY, now).map_err(|NotDelivering| Refused::NotMine)
            }
            Self::SomebodyElseReports => {
                conversation.complete(OTHER, self.report(), RETRY, now).map_err(|NotDelivering| Refused::NotMine)
            }
            Self::CancelEarly | Self::CancelOnTime | Self::CancelLate => {
                conversation.cancel(now).map_err(Refused::Cancel)
            }
            Self::Redeliver => conversation.redeliver(now).map_err(Refused::Redeliver),
        }
    }
}

/// The typed errors of all events.
#[derive(Debug, PartialEq)]
enum Refused {
    Claim(ClaimRefused),
    NotMine,
    Cancel(TooLate),
    Redeliver(NotFailed),
}

impl Then {
    /// The whole conversation, or the error, that this word of the table stands for.
    fn spelt_out(self, before: &Conversation, event: Event) -> Result<Conversation, Refused> {
        let wake_up = before.wake_up().unwrap_or(DUE);
        let now = event.at(before);
        // A claim within the margin begins at its time, not before.
        let started = now.max(wake_up);
        let attempt = |number| State::Delivering {
            attempt: InFlight { number, started },
            lease: Lease { until: started + TIMEOUT + Duration::from_secs(30), token: OTHER },
        };
        let ended = |report: Report| Attempt { began: before.in_flight().unwrap(), report };
        let lost = |at: Timestamp| ended(Report::unknown(millis(before.in_flight().unwrap().started.until(at))));
        let failed = |report: &Report| State::Failed { reason: report.reason() };
        let next = |updated: Timestamp, state: State, ended: Option<Attempt>| {
            let mut next = Conversation { updated, state, ..before.clone() };
            next.attempts.extend(ended);
            Ok(next)
        };
        match self {
            Self::Attempt(number) => next(started, attempt(number), None),
            Self::Lost(number) => next(started, attempt(number), Some(lost(started))),
            Self::Exhausted => next(started, failed(&Report::unknown(0)), Some(lost(started))),
            Self::Retry => next(now, State::Waiting { next_attempt: now + RETRY }, Some(ended(event.report()))),
            Self::Completed => next(now, State::Completed, Some(ended(event.report()))),
            Self::Failed => next(now, failed(&event.report()), Some(ended(event.report()))),
            Self::Redelivered => Ok(Conversation {
                updated: now,
                state: State::Waiting { next_attempt: now },
                generation: before.generation + 1,
                attempts_forgiven: 2,
                ..before.clone()
            }),
            Self::Cancelled => next(now, State::Cancelled, None),
            Self::CancelledLost => next(now, State::Cancelled, Some(lost(now))),
            Self::NotDue => Err(Refused::Claim(ClaimRefused::NotDue { until: wake_up })),
            Self::Leased => Err(Refused::Claim(ClaimRefused::Leased { until: wake_up })),
            Self::Final => Err(Refused::Claim(ClaimRefused::Final(before.status()))),
            Self::NotMine => Err(Refused::NotMine),
            Self::BeingSent => Err(Refused::Cancel(TooLate::Delivering { until: wake_up })),
            Self::WasSent => Err(Refused::Cancel(TooLate::Final(AlreadyFinal::Completed))),
            Self::HasFailed => Err(Refused::Cancel(TooLate::Final(AlreadyFinal::Failed))),
            Self::Already => Err(Refused::Cancel(TooLate::Already)),
            Self::HasNotFailed => Err(Refused::Redeliver(NotFailed(before.status()))),
        }
    }
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    for (event, thens) in TABLE {
        for (start, then) in STARTS.into_iter().zip(thens) {
            let before = start.conversation();
            let expected = then.spelt_out(&before, event);
            assert_eq!(event.happens_to(before), expected, "{event:?} in {start:?}");
        }
    }
}

#[test]
fn each_state_shows_one_of_the_five_words() {
    let words = STARTS.map(|start| start.conversation().status().as_str());
    let in_progress = "InProgress";
    assert_eq!(words, ["Scheduled", in_progress, in_progress, in_progress, "Completed", "Failed", "Cancelled"]);
}

#[test]
fn the_only_attempt_is_also_the_last() {
    let failed = end(claim(scheduled(1), OWNER), Outcome::Failure);
    assert_eq!(failed.state, State::Failed { reason: "the endpoint answered 503".to_owned() });
}

#[test]
fn the_last_forty_attempts_are_kept_and_the_count_goes_on() {
    let conversation = (0..44).fold(scheduled(45), |next, _| end(claim(next, OWNER), Outcome::Failure));
    let kept: Vec<u32> = conversation.attempts.iter().map(|a| a.began.number).collect();
    assert_eq!(kept, (5..=44).collect::<Vec<_>>());
    assert_eq!(claim(conversation, OWNER).attempts_begun(), 45);
}

#[test]
fn each_redelivery_has_as_many_attempts_as_the_first_delivery_had() {
    let mut conversation = Start::Failed.conversation();
    for (first, last) in [(3, 4), (5, 6)] {
        conversation = conversation.redeliver(shift(DUE, 1_000_000)).unwrap();
        assert_eq!((conversation.attempts_used(), conversation.due), (0, DUE));
        conversation = end(claim(conversation, OWNER), Outcome::Failure);
        assert_eq!((conversation.status(), conversation.attempts_begun()), (Status::InProgress, first));
        assert_eq!(conversation.attempts_used(), 1);
        conversation = end(claim(conversation, OWNER), Outcome::Failure);
        assert_eq!((conversation.status(), conversation.attempts_begun()), (Status::Failed, last));
    }
    assert_eq!(conversation.attempts.len(), 6, "the history is kept");
}

#[test]
fn a_redelivery_whose_last_attempt_is_lost_fails() {
    let again = Start::Failed.conversation().redeliver(DUE).unwrap();
    let last = claim(end(claim(again, OWNER), Outcome::Failure), OWNER);
    let lease_over = last.wake_up().unwrap();
    let Ok(Claim::Exhausted(failed)) = last.claim(OTHER, lease_over) else { panic!("an attempt was left") };
    assert_eq!((failed.status(), failed.attempts_begun()), (Status::Failed, 4));
}

#[path = "conversation_properties.rs"]
mod properties;
