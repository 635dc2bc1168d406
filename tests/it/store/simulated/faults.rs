//! What goes wrong: each fault does what it says, and the conversation store recovers as it says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{Claim, Conversation, ConversationId, EndpointPolicy, LeaseToken, Status, Timestamp};
use mcp_scheduler::store::{ConversationStore, KeyRange, Revision, StoreError, Table, Versioned};
use mcp_scheduler::testing::Fault::{AnswerLost, Doubled, None as Nothing, Refused, RequestLost};
use mcp_scheduler::testing::{Fault, Faults, SimulatedTable};
use tokio::time::Instant;

use crate::store::suite::{HERE, all, assert_conflict, assert_refused, commit_one, insert, put, value_of};

/// Faults for the next calls, in order; nothing after them. Shared with the test, which may add some.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<VecDeque<Fault>>>);

impl Script {
    pub fn of<const N: usize>(faults: [Fault; N]) -> Self {
        let script = Self::default();
        script.then(faults);
        script
    }

    fn then<const N: usize>(&self, faults: [Fault; N]) {
        self.0.lock().unwrap().extend(faults);
    }

    fn is_used_up(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl Faults for Script {
    fn next(&self) -> Fault {
        self.0.lock().unwrap().pop_front().unwrap_or_default()
    }
}

fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}

fn is_unknown<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unknown(_)))
}

#[tokio::test]
async fn a_refused_commit_is_not_applied_and_says_so() {
    let table = SimulatedTable::new(Script::of([Refused]));
    assert!(is_unavailable(&commit_one(&table, insert("k", "v")).await));
    assert_eq!(value_of(&table, "k").await, None);
}

#[tokio::test]
async fn a_commit_whose_request_is_lost_is_not_applied_and_nobody_knows() {
    let table = SimulatedTable::new(Script::of([RequestLost]));
    assert!(is_unknown(&commit_one(&table, insert("k", "v")).await));
    assert_eq!(value_of(&table, "k").await, None);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_applied_and_nobody_knows() {
    let table = SimulatedTable::new(Script::of([AnswerLost]));
    assert!(is_unknown(&commit_one(&table, insert("k", "v")).await));
    assert_eq!(value_of(&table, "k").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_still_has_to_hold() {
    let faults = Script::default();
    let table = SimulatedTable::new(faults.clone());
    put(&table, "k", "v").await;
    faults.then([AnswerLost]);
    assert!(is_unknown(&table.commit(HERE, vec![insert("l", "w"), insert("k", "w")]).await.map_err(Into::into)));
    assert_eq!(all(&table).await.len(), 1);
}

#[tokio::test]
async fn a_commit_is_never_doubled() {
    let table = SimulatedTable::new(Script::of([Doubled]));
    assert!(commit_one(&table, insert("k", "v")).await.is_ok());
}

#[tokio::test]
async fn a_commit_that_breaks_the_rules_is_refused_before_anything_can_go_wrong() {
    let faults = Script::of([AnswerLost]);
    let table = SimulatedTable::new(faults.clone());
    assert_refused(table.commit(HERE, Vec::new()).await);
    assert!(!faults.is_used_up());
}

#[tokio::test]
async fn a_read_that_is_lost_either_way_is_unavailable() {
    for fault in [Refused, RequestLost, AnswerLost] {
        let table = SimulatedTable::new(Script::of([fault, fault]));
        assert!(is_unavailable(&table.get(HERE, "k").await));
        assert!(is_unavailable(&table.scan(HERE, &KeyRange::prefix(""), 1).await));
        assert_eq!(table.get(HERE, "k").await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_take_as_long_as_they_are_told_to() {
    struct Slow;
    impl Faults for Slow {
        fn latency(&self) -> Duration {
            Duration::from_secs(7)
        }
    }
    let table = SimulatedTable::new(Slow);
    let start = Instant::now();
    put(&table, "k", "v").await;
    value_of(&table, "k").await;
    all(&table).await;
    let took = start.elapsed().as_secs();
    assert_eq!(took, 21);
}

const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

fn conversation() -> Conversation {
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some((NOW + Duration::from_mins(1)).to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    Conversation::new(ConversationId::new(NOW, &[1; 10]), "client".parse().unwrap(), new, NOW)
}

/// A conversation store whose table goes wrong as the script says.
struct Shaky {
    faults: Script,
    store: ConversationStore,
}

impl Shaky {
    fn new() -> Self {
        let faults = Script::default();
        let store = ConversationStore::new(Arc::new(SimulatedTable::new(faults.clone())));
        Self { faults, store }
    }

    async fn with_one() -> (Self, Versioned<Conversation>) {
        let shaky = Self::new();
        shaky.store.insert(&conversation(), None).await.unwrap();
        let read = shaky.read().await.unwrap();
        (shaky, read)
    }

    async fn insert<const N: usize>(&self, faults: [Fault; N]) -> Result<(), StoreError> {
        self.faults.then(faults);
        let result = self.store.insert(&conversation(), None).await;
        assert!(self.faults.is_used_up(), "fewer calls than faults");
        result
    }

    async fn replace<const N: usize>(
        &self,
        read: Revision,
        next: Conversation,
        faults: [Fault; N],
    ) -> Result<Versioned<Conversation>, StoreError> {
        self.faults.then(faults);
        let result = self.store.replace(read, &next, None).await;
        assert!(self.faults.is_used_up(), "fewer calls than faults");
        result.map(|revision| Versioned { value: next, revision })
    }

    async fn read(&self) -> Option<Versioned<Conversation>> {
        let expected = conversation();
        self.store.get(expected.client(), expected.id()).await.unwrap()
    }

    /// When workers are to wake up for it, from the due rows.
    async fn wake_ups(&self) -> Vec<Timestamp> {
        let mut found = Vec::new();
        for partition in ConversationStore::partitions() {
            let end = NOW + Duration::from_hours(24);
            found.extend(self.store.due(partition, end, None, 10).await.unwrap().into_iter().map(|row| row.at));
        }
        found
    }
}

fn cancelled(read: &Versioned<Conversation>) -> Conversation {
    read.value.clone().cancel(NOW).unwrap()
}

fn claimed(read: &Versioned<Conversation>, token: u8) -> Conversation {
    match read.value.clone().claim(LeaseToken::new([token; 8]), read.value.due()).unwrap() {
        Claim::Attempt(claimed) => claimed.conversation().clone(),
        Claim::Exhausted(_) => panic!("it is the first attempt"),
    }
}

#[tokio::test]
async fn an_insert_whose_first_result_is_unknown_is_tried_again() {
    for fault in [RequestLost, AnswerLost] {
        let shaky = Shaky::new();
        shaky.insert([fault]).await.unwrap();
        assert_eq!(shaky.read().await.unwrap().value, conversation(), "{fault:?}");
        assert_eq!(shaky.wake_ups().await, [conversation().due()], "{fault:?}");
    }
}

#[tokio::test]
async fn an_insert_that_stays_unknown_says_so() {
    for (faults, added) in [
        ([RequestLost, RequestLost], false),
        ([RequestLost, AnswerLost], true),
        ([AnswerLost, RequestLost], true),
        ([AnswerLost, AnswerLost], true),
    ] {
        let shaky = Shaky::new();
        let result = shaky.insert(faults).await;
        assert!(is_unknown(&result), "{faults:?} gave {result:?}");
        assert_eq!(shaky.read().await.is_some(), added, "{faults:?}");
    }
}

#[tokio::test]
async fn an_insert_says_that_nothing_was_added_only_if_nothing_was() {
    let shaky = Shaky::new();
    assert!(is_unavailable(&shaky.insert([Refused]).await));
    assert!(shaky.read().await.is_none());
    // The refusal of the second try says nothing about the first.
    for first in [RequestLost, AnswerLost] {
        let result = Shaky::new().insert([first, Refused]).await;
        assert!(is_unknown(&result), "{first:?} gave {result:?}");
    }
}

#[tokio::test]
async fn a_conversation_whose_id_is_taken_conflicts() {
    let (shaky, read) = Shaky::with_one().await;
    assert_conflict(shaky.insert([]).await);
    assert_eq!(shaky.read().await.unwrap().revision, read.revision);
}

#[tokio::test]
async fn a_replace_whose_answer_is_lost_is_found_to_be_done() {
    let (shaky, read) = Shaky::with_one().await;
    let written = shaky.replace(read.revision.clone(), claimed(&read, 1), [AnswerLost]).await.unwrap();
    // What it gives back is good for the next step.
    let next = written.value.clone().cancel(written.value.next_wake_at().unwrap()).unwrap();
    shaky.replace(written.revision, next, []).await.unwrap();
    assert_eq!(shaky.read().await.unwrap().value.status(), Status::Cancelled);
    assert_eq!(shaky.wake_ups().await, []);
}

#[tokio::test]
async fn a_replace_whose_request_is_lost_stays_unknown_and_may_be_asked_for_again() {
    let (shaky, read) = Shaky::with_one().await;
    assert!(is_unknown(&shaky.replace(read.revision.clone(), cancelled(&read), [RequestLost]).await));
    assert_eq!(shaky.read().await.unwrap().revision, read.revision);
    assert_eq!(shaky.wake_ups().await, [conversation().due()]);
    shaky.replace(read.revision.clone(), cancelled(&read), []).await.expect("nothing stands in the way");
}

#[tokio::test]
async fn a_replace_that_nobody_can_look_after_stays_unknown() {
    for fault in [RequestLost, AnswerLost] {
        let (shaky, read) = Shaky::with_one().await;
        let result = shaky.replace(read.revision.clone(), cancelled(&read), [fault, Refused]).await;
        assert!(is_unknown(&result), "{fault:?} gave {result:?}");
    }
}

#[tokio::test]
async fn a_refused_replace_changes_nothing() {
    let (shaky, read) = Shaky::with_one().await;
    assert!(is_unavailable(&shaky.replace(read.revision.clone(), cancelled(&read), [Refused]).await));
    assert_eq!(shaky.read().await.unwrap().revision, read.revision);
    assert_eq!(shaky.wake_ups().await, [conversation().due()]);
}

#[tokio::test]
async fn a_claim_of_somebody_else_is_not_taken_for_ones_own() {
    for fault in [Nothing, RequestLost, AnswerLost] {
        let (shaky, read) = Shaky::with_one().await;
        shaky.replace(read.revision.clone(), claimed(&read, 1), []).await.unwrap();
        assert_conflict(shaky.replace(read.revision.clone(), claimed(&read, 2), [fault]).await);
        assert_eq!(shaky.read().await.unwrap().value, claimed(&read, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn two_cancels_are_one_whoever_wrote_it() {
    let (shaky, read) = Shaky::with_one().await;
    shaky.replace(read.revision.clone(), cancelled(&read), []).await.unwrap();
    let second = shaky.replace(read.revision.clone(), cancelled(&read), [AnswerLost]).await.unwrap();
    assert_eq!(second.revision, shaky.read().await.unwrap().revision);
}
