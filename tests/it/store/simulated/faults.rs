//! The faults of the simulated table, and how the conversation store recovers from them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{
    Claim, Conversation, ConversationId, EndpointPolicy, LeaseToken, ScheduledBy, Status, Timestamp, WholeConversation,
};
use mcp_scheduler::store::{ConversationStore, DueBound, KeyRange, Revision, StoreError, Table, Versioned};
use mcp_scheduler::testing::Fault::{AnswerLost, Doubled, None as Nothing, Refused, RequestLost};
use mcp_scheduler::testing::{Fault, Faults, SimulatedTable, sealer};
use tokio::time::Instant;

use crate::store::suite::{HERE, all, assert_conflict, assert_refused, commit_one, insert, put, value_of};

/// The faults of the next calls, in order. Later calls succeed. A clone shares the list, so a test can add faults.
#[derive(Clone, Default)]
pub struct FaultScript(Arc<Mutex<VecDeque<Fault>>>);

impl FaultScript {
    pub fn of<const N: usize>(faults: [Fault; N]) -> Self {
        let script = Self::default();
        script.then(faults);
        script
    }

    pub fn then<const N: usize>(&self, faults: [Fault; N]) {
        self.0.lock().unwrap().extend(faults);
    }

    pub fn is_used_up(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl Faults for FaultScript {
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
    let table = SimulatedTable::new(FaultScript::of([Refused]));
    assert!(is_unavailable(&commit_one(&table, insert("k", "v")).await));
    assert_eq!(value_of(&table, "k").await, None);
}

#[tokio::test]
async fn a_commit_whose_request_is_lost_is_not_applied_and_unknown() {
    let table = SimulatedTable::new(FaultScript::of([RequestLost]));
    assert!(is_unknown(&commit_one(&table, insert("k", "v")).await));
    assert_eq!(value_of(&table, "k").await, None);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_applied_and_unknown() {
    let table = SimulatedTable::new(FaultScript::of([AnswerLost]));
    assert!(is_unknown(&commit_one(&table, insert("k", "v")).await));
    assert_eq!(value_of(&table, "k").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn a_conflicting_commit_whose_answer_is_lost_is_not_applied() {
    let faults = FaultScript::default();
    let table = SimulatedTable::new(faults.clone());
    put(&table, "k", "v").await;
    faults.then([AnswerLost]);
    assert!(is_unknown(&table.commit(HERE, vec![insert("l", "w"), insert("k", "w")]).await.map_err(Into::into)));
    assert_eq!(all(&table).await.len(), 1);
}

#[tokio::test]
async fn a_commit_is_never_doubled() {
    let table = SimulatedTable::new(FaultScript::of([Doubled]));
    assert!(commit_one(&table, insert("k", "v")).await.is_ok());
}

#[tokio::test]
async fn an_invalid_commit_is_refused_before_any_fault() {
    let faults = FaultScript::of([AnswerLost]);
    let table = SimulatedTable::new(faults.clone());
    assert_refused(table.commit(HERE, Vec::new()).await);
    assert!(!faults.is_used_up());
}

#[tokio::test]
async fn a_read_whose_request_or_answer_is_lost_is_unavailable() {
    for fault in [Refused, RequestLost, AnswerLost] {
        let table = SimulatedTable::new(FaultScript::of([fault, fault]));
        assert!(is_unavailable(&table.get(HERE, "k").await));
        assert!(is_unavailable(&table.scan(HERE, &KeyRange::prefix(""), 1).await));
        assert_eq!(table.get(HERE, "k").await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_as_long_as_its_latency_says() {
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

fn conversation() -> WholeConversation {
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some((NOW + Duration::from_mins(1)).to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    WholeConversation::new(ConversationId::new(NOW, &[1; 10]), "client".parse().unwrap(), new, NOW)
}

/// A conversation store over a table with scripted faults.
struct FaultyStore {
    faults: FaultScript,
    store: ConversationStore,
}

impl FaultyStore {
    fn new() -> Self {
        let faults = FaultScript::default();
        let store = ConversationStore::new(Arc::new(SimulatedTable::new(faults.clone())), sealer());
        Self { faults, store }
    }

    async fn with_one() -> (Self, Versioned<Conversation>) {
        let faulty = Self::new();
        faulty.store.insert(&conversation()).await.unwrap();
        let read = faulty.read().await.unwrap();
        (faulty, read)
    }

    async fn insert<const N: usize>(&self, faults: [Fault; N]) -> Result<(), StoreError> {
        self.faults.then(faults);
        let result = self.store.insert(&conversation()).await;
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
        let result = self.store.replace(read, &next).await;
        assert!(self.faults.is_used_up(), "fewer calls than faults");
        result.map(|revision| Versioned { value: next, revision })
    }

    async fn read(&self) -> Option<Versioned<Conversation>> {
        let expected = conversation().conversation;
        self.store.get(expected.client(), expected.id()).await.unwrap()
    }

    /// The times of the due rows.
    async fn wake_ups(&self) -> Vec<Timestamp> {
        let mut found = Vec::new();
        for partition in ConversationStore::partitions() {
            let (from, end) = (DueBound::Time(Timestamp::MIN), NOW + Duration::from_hours(24));
            found.extend(self.store.due(partition, &from, end, 10).await.unwrap().into_iter().map(|row| row.key.at));
        }
        found
    }
}

fn cancelled(read: &Versioned<Conversation>) -> Conversation {
    read.value.clone().cancel(NOW).unwrap()
}

fn claimed(read: &Versioned<Conversation>, token: u8) -> Conversation {
    match read.value.clone().claim(LeaseToken::new([token; 8]), read.value.due(), Duration::ZERO).unwrap() {
        Claim::Attempt(claimed) => claimed.conversation().clone(),
        Claim::Lost(_) | Claim::Expired(_) => panic!("it is the first attempt"),
    }
}

#[tokio::test]
async fn an_insert_whose_first_result_is_unknown_is_tried_again() {
    for fault in [RequestLost, AnswerLost] {
        let faulty = FaultyStore::new();
        faulty.insert([fault]).await.unwrap();
        assert_eq!(faulty.read().await.unwrap().value, conversation().conversation, "{fault:?}");
        assert_eq!(faulty.wake_ups().await, [conversation().conversation.due()], "{fault:?}");
    }
}

#[tokio::test]
async fn an_insert_that_is_unknown_twice_reports_unknown() {
    for (faults, added) in [
        ([RequestLost, RequestLost], false),
        ([RequestLost, AnswerLost], true),
        ([AnswerLost, RequestLost], true),
        ([AnswerLost, AnswerLost], true),
    ] {
        let faulty = FaultyStore::new();
        let result = faulty.insert(faults).await;
        assert!(is_unknown(&result), "{faults:?} gave {result:?}");
        assert_eq!(faulty.read().await.is_some(), added, "{faults:?}");
    }
}

#[tokio::test]
async fn an_insert_is_unavailable_only_if_nothing_was_added() {
    let faulty = FaultyStore::new();
    assert!(is_unavailable(&faulty.insert([Refused]).await));
    assert!(faulty.read().await.is_none());
    // The refusal of the second try does not say whether the first one was applied.
    for first in [RequestLost, AnswerLost] {
        let result = FaultyStore::new().insert([first, Refused]).await;
        assert!(is_unknown(&result), "{first:?} gave {result:?}");
    }
}

#[tokio::test]
async fn a_conversation_whose_id_is_taken_conflicts() {
    let (faulty, read) = FaultyStore::with_one().await;
    assert_conflict(faulty.insert([]).await);
    assert_eq!(faulty.read().await.unwrap().revision, read.revision);
}

#[tokio::test]
async fn a_replace_whose_answer_is_lost_is_found_by_reading() {
    let (faulty, read) = FaultyStore::with_one().await;
    let written = faulty.replace(read.revision.clone(), claimed(&read, 1), [AnswerLost]).await.unwrap();
    // The revision that it returns can be used for the next change.
    let next = written.value.clone().cancel(written.value.next_wake_at().unwrap()).unwrap();
    faulty.replace(written.revision, next, []).await.unwrap();
    assert_eq!(faulty.read().await.unwrap().value.status(), Status::Cancelled);
    assert_eq!(faulty.wake_ups().await, []);
}

#[tokio::test]
async fn a_replace_whose_request_is_lost_is_unknown_and_can_be_repeated() {
    let (faulty, read) = FaultyStore::with_one().await;
    assert!(is_unknown(&faulty.replace(read.revision.clone(), cancelled(&read), [RequestLost]).await));
    assert_eq!(faulty.read().await.unwrap().revision, read.revision);
    assert_eq!(faulty.wake_ups().await, [conversation().conversation.due()]);
    faulty.replace(read.revision.clone(), cancelled(&read), []).await.expect("the row has not changed");
}

#[tokio::test]
async fn a_replace_is_unknown_if_the_read_after_it_fails() {
    for fault in [RequestLost, AnswerLost] {
        let (faulty, read) = FaultyStore::with_one().await;
        let result = faulty.replace(read.revision.clone(), cancelled(&read), [fault, Refused]).await;
        assert!(is_unknown(&result), "{fault:?} gave {result:?}");
    }
}

#[tokio::test]
async fn a_refused_replace_changes_nothing() {
    let (faulty, read) = FaultyStore::with_one().await;
    assert!(is_unavailable(&faulty.replace(read.revision.clone(), cancelled(&read), [Refused]).await));
    assert_eq!(faulty.read().await.unwrap().revision, read.revision);
    assert_eq!(faulty.wake_ups().await, [conversation().conversation.due()]);
}

#[tokio::test]
async fn the_claim_of_another_worker_is_not_taken_for_its_own() {
    for fault in [Nothing, RequestLost, AnswerLost] {
        let (faulty, read) = FaultyStore::with_one().await;
        faulty.replace(read.revision.clone(), claimed(&read, 1), []).await.unwrap();
        assert_conflict(faulty.replace(read.revision.clone(), claimed(&read, 2), [fault]).await);
        assert_eq!(faulty.read().await.unwrap().value, claimed(&read, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_replacement_with_a_new_conversation_adds_it_once_whatever_is_lost() {
    for faults in [&[Nothing][..], &[RequestLost], &[AnswerLost], &[AnswerLost, Refused], &[RequestLost, Refused]] {
        let (faulty, read) = FaultyStore::with_one().await;
        let id = read.value.id();
        let again = |number| {
            conversation().again(
                ConversationId::new(NOW, &[number; 10]).in_partition(id.partition()),
                NOW,
                ScheduledBy::default(),
            )
        };
        faulty.faults.0.lock().unwrap().extend(faults);
        let first = faulty.store.replace_and_insert(read.revision.clone(), &cancelled(&read), &[again(2)]).await;
        assert!(first.is_ok() || is_unknown(&first), "{faults:?} gave {first:?}");
        assert!(faulty.faults.is_used_up(), "{faults:?}");
        // A repetition would have another id.
        faulty.store.replace_and_insert(read.revision.clone(), &cancelled(&read), &[again(3)]).await.unwrap();
        assert_eq!(faulty.read().await.unwrap().value.status(), Status::Cancelled, "{faults:?}");
        assert_eq!(faulty.wake_ups().await, [NOW], "{faults:?}: one new conversation");
    }
}

#[tokio::test]
async fn two_equal_cancels_both_succeed() {
    let (faulty, read) = FaultyStore::with_one().await;
    faulty.replace(read.revision.clone(), cancelled(&read), []).await.unwrap();
    let second = faulty.replace(read.revision.clone(), cancelled(&read), [AnswerLost]).await.unwrap();
    assert_eq!(second.revision, faulty.read().await.unwrap().revision);
}
