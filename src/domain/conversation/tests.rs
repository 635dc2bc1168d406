//! Single rules of the transitions. The full table of states and events is in `table_tests.rs`.

use std::time::Duration;

use super::*;
use crate::domain::{
    AttemptResult, Callbacks, DueTime, EndpointPolicy, Format, Headers, LeaseToken, Method, NewConversation, Outcome,
    Payload, ScheduledBy, Target,
};

const DUE: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_mins(1);
const OWNER: LeaseToken = LeaseToken::new([1; 8]);
const OTHER: LeaseToken = LeaseToken::new([2; 8]);

fn scheduled(max_attempts: u32) -> Conversation {
    let new = NewConversation {
        due: DueTime::at(DUE),
        payload: Payload {
            text: "hello".into(),
            info: None,
            headers: Headers::default(),
            body: None,
            success_when: None,
            callbacks: Callbacks::default(),
        },
        format: Format::Json,
        destination: Destination::Endpoint(Target {
            endpoint: EndpointPolicy::default().check("https://example.com/hook").unwrap(),
            method: Method::Post,
        }),
        policy: DeliveryPolicy { max_attempts, timeout_seconds: 10 },
        labels: Labels::default(),
        thread_id: None,
        expire_after: None,
        recurrence: None,
        paused: false,
        by: ScheduledBy::default(),
    };
    let created = Timestamp::from_millis(DUE.as_millis() - 3_600_000);
    let id = ConversationId::new(created, &[0; 10]);
    WholeConversation::new(id, "client".parse().unwrap(), new, created).conversation
}

fn result(outcome: Outcome) -> AttemptResult {
    match outcome {
        Outcome::Unknown => AttemptResult::unknown(5),
        outcome => {
            let http_status = Some(match outcome {
                Outcome::Success => 200,
                Outcome::PermanentFailure => 410,
                _ => 503,
            });
            AttemptResult {
                outcome,
                duration_ms: 5,
                http_status,
                error: None,
                response_excerpt: String::new(),
                settled: Vec::new(),
            }
        }
    }
}

/// The instant some milliseconds after another. A negative number gives an earlier instant.
fn shift(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + millis)
}

/// The states in which the tests begin.
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

const STARTS: [Start; 7] = [
    Start::Scheduled,
    Start::Delivering,
    Start::LastAttempt,
    Start::Waiting,
    Start::Completed,
    Start::Failed,
    Start::Cancelled,
];

fn claim(conversation: Conversation) -> ClaimedAttempt {
    let at = conversation.next_wake_at().unwrap();
    match conversation.claim(OWNER, at, RETRY) {
        Ok(Claim::Attempt(claimed)) => claimed,
        other => panic!("no attempt but {other:?}"),
    }
}

fn end(claimed: ClaimedAttempt, outcome: Outcome) -> Conversation {
    let started = claimed.attempt().started;
    claimed.complete(started, result(outcome), RETRY, shift(started, 5))
}

/// The first and the last of two attempts, under way.
fn attempts_under_way() -> [ClaimedAttempt; 2] {
    let first = claim(scheduled(2));
    [first.clone(), claim(end(first, Outcome::Failure))]
}

impl Start {
    fn conversation(self) -> Conversation {
        let [first, last] = attempts_under_way();
        match self {
            Self::Scheduled => scheduled(2),
            Self::Delivering => first.conversation().clone(),
            Self::LastAttempt => last.conversation().clone(),
            Self::Waiting => end(first, Outcome::Failure),
            Self::Completed => end(first, Outcome::Success),
            Self::Failed => end(last, Outcome::Failure),
            Self::Cancelled => scheduled(2).cancel(DUE).unwrap(),
        }
    }
}

#[test]
fn an_attempt_is_due_at_its_own_time() {
    let [first, last] = attempts_under_way();
    assert_eq!(first.due_at(), DUE);
    assert_eq!(last.due_at(), shift(DUE, 5) + RETRY);
    let Ok(Claim::Attempt(early)) = scheduled(2).claim(OWNER, shift(DUE, -10), RETRY) else { panic!("not claimed") };
    assert_eq!((early.due_at(), early.attempt().started), (DUE, DUE));
    let Ok(Claim::Attempt(late)) = scheduled(2).claim(OWNER, shift(DUE, 700), RETRY) else { panic!("not claimed") };
    assert_eq!((late.due_at(), late.attempt().started), (DUE, shift(DUE, 700)));
    let lease_over = first.conversation().next_wake_at().unwrap();
    let after_a_loss = first.conversation().clone().claim(OTHER, shift(lease_over + RETRY, 9), RETRY);
    let Ok(Claim::Attempt(after_a_loss)) = after_a_loss else { panic!("not claimed") };
    assert_eq!(after_a_loss.due_at(), lease_over + RETRY);
}

#[test]
fn each_state_has_one_of_the_five_statuses() {
    let statuses = STARTS.map(|start| start.conversation().status().as_str());
    let in_progress = "InProgress";
    assert_eq!(statuses, ["Scheduled", in_progress, in_progress, in_progress, "Completed", "Failed", "Cancelled"]);
}

#[test]
fn the_only_attempt_is_also_the_last() {
    let failed = end(claim(scheduled(1)), Outcome::Failure);
    assert_eq!(failed.state, State::Failed { reason: "the endpoint answered 503".to_owned() });
}

#[test]
fn the_last_forty_attempts_are_kept_and_the_count_goes_on() {
    let conversation = (0..44).fold(scheduled(45), |next, _| end(claim(next), Outcome::Failure));
    let kept: Vec<u32> = conversation.attempts.iter().map(|a| a.start.number).collect();
    assert_eq!(kept, (5..=44).collect::<Vec<_>>());
    assert_eq!(claim(conversation).attempt().number, 45);
}

#[test]
fn each_redelivery_has_as_many_attempts_as_the_first_delivery_had() {
    let mut conversation = Start::Failed.conversation();
    for (first, last) in [(3, 4), (5, 6)] {
        conversation = conversation.redeliver(shift(DUE, 1_000_000)).unwrap();
        assert_eq!((conversation.attempts_used(), conversation.due), (0, DUE));
        conversation = end(claim(conversation), Outcome::Failure);
        assert_eq!((conversation.status(), conversation.attempts_begun()), (Status::InProgress, first));
        assert_eq!(conversation.attempts_used(), 1);
        conversation = end(claim(conversation), Outcome::Failure);
        assert_eq!((conversation.status(), conversation.attempts_begun()), (Status::Failed, last));
    }
    assert_eq!(conversation.attempts.len(), 6, "the history is kept");
}

#[test]
fn a_redelivery_whose_last_attempt_is_lost_fails() {
    let again = Start::Failed.conversation().redeliver(DUE).unwrap();
    let last = claim(end(claim(again), Outcome::Failure));
    let last = last.conversation().clone();
    let lease_over = last.next_wake_at().unwrap();
    let Ok(Claim::Lost(failed)) = last.claim(OTHER, lease_over, RETRY) else { panic!("an attempt was left") };
    assert_eq!((failed.status(), failed.attempts_begun()), (Status::Failed, 4));
}

#[test]
fn a_conversation_that_used_up_its_attempts_before_there_was_a_cap_finishes_and_is_not_redelivered() {
    let start = AttemptStart { number: 700, started: DUE };
    let old = Conversation {
        attempts: vec![Attempt { start, result: result(Outcome::Failure) }],
        attempts_before_redelivery: 699,
        state: State::Waiting { next_attempt: DUE },
        ..scheduled(2)
    };
    let failed = end(claim(old), Outcome::Failure);
    assert_eq!((failed.status(), failed.attempts_begun()), (Status::Failed, 701));
    let refused = RedeliveryRefused::AttemptsUsedUp { begun: 701, more: 2 };
    assert_eq!(failed.redeliver(DUE), Err(refused));
}

#[path = "ahead_tests.rs"]
mod ahead;
#[path = "delivery_end_tests.rs"]
mod delivery_end;
#[path = "expiry_tests.rs"]
mod expiry;
#[path = "properties.rs"]
mod properties;
#[path = "series_tests.rs"]
mod series_tests;
#[path = "table_tests.rs"]
mod table;
