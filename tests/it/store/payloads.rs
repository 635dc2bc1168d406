//! Payloads: a small one is in the main row, and a large one has a row of its own that no change reads or writes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{
    AttemptResult, Claim, ConversationId, EndpointPolicy, LeaseToken, Outcome, Secret, Status, Timestamp,
    WholeConversation,
};
use mcp_scheduler::store::{ConversationStore, KeyRange, Operation, Partition, Row, StoreError, Table};
use mcp_scheduler::testing::{Fault, Faults, SimulatedTable, as_version_1, sealer};

use crate::support::counting_table::CountingTable;

const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);
const LIMIT: usize = 4096;

fn conversation(text: String) -> WholeConversation {
    let request = ScheduleRequest {
        conversation_text: Some(text),
        scheduled_time: Some(NOW.to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    WholeConversation::new(ConversationId::new(NOW, &[7; 10]), "ann".parse().unwrap(), new, NOW)
}

fn partition(id: ConversationId) -> Partition {
    ConversationStore::partitions().nth(usize::from(id.partition())).unwrap()
}

/// The rows of the conversation's partition whose keys begin with this prefix.
async fn rows(table: &dyn Table, whole: &WholeConversation, prefix: &str) -> Vec<Row> {
    table.scan(partition(whole.conversation.id()), &KeyRange::prefix(prefix), 10).await.unwrap()
}

/// Turns the main row of a new conversation into the row that the first release would have written for this text.
async fn write_as_first_release(table: &dyn Table, text: &str) -> WholeConversation {
    let small = conversation("a small text".to_owned());
    let other = SimulatedTable::new(());
    ConversationStore::new(Arc::new(other.clone()), sealer()).insert(&small).await.unwrap();
    let mut inserts = Vec::new();
    for prefix in ["m~", "d~"] {
        for row in rows(&other, &small, prefix).await {
            let value = if prefix == "m~" { as_version_1(&row, 1).unwrap() } else { row.value };
            inserts.push(Operation::Insert { key: row.key, value: value.replace("a small text", text) });
        }
    }
    table.commit(partition(small.conversation.id()), inserts).await.unwrap();
    conversation(text.to_owned())
}

#[tokio::test]
async fn a_payload_above_four_kib_has_a_row_of_its_own() {
    for (bytes, has_own_row) in [(LIMIT, false), (LIMIT + 1, true), (192 * 1024, true)] {
        let table = Arc::new(SimulatedTable::new(()));
        let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
        let whole = conversation("x".repeat(bytes));
        store.insert(&whole).await.unwrap();
        let [main] = &*rows(&*table, &whole, "m~").await else { panic!("{bytes}: one main row") };
        assert_eq!(rows(&*table, &whole, "p~").await.len(), usize::from(has_own_row), "{bytes}");
        assert_eq!(main.value.len() < 1024, has_own_row, "{bytes}: the main row has {}", main.value.len());
        let read = store.get(whole.conversation.client(), whole.conversation.id()).await.unwrap().unwrap();
        assert_eq!(store.payload(&read).await.unwrap(), whole.payload, "{bytes}");
        assert_eq!(read.value, whole.conversation, "{bytes}");
    }
}

#[tokio::test]
async fn headers_and_additional_info_count_too() {
    let table = Arc::new(SimulatedTable::new(()));
    let mut whole = conversation("x".repeat(LIMIT));
    let request = ScheduleRequest {
        conversation_text: Some("x".repeat(LIMIT)),
        scheduled_time: Some(NOW.to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        headers: Some([("x".to_owned(), Secret::new("y".to_owned()))].into()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    let (id, client) = (whole.conversation.id(), whole.conversation.client().clone());
    whole = WholeConversation::new(id, client, new, NOW);
    ConversationStore::new(Arc::clone(&table) as _, sealer()).insert(&whole).await.unwrap();
    assert_eq!(rows(&*table, &whole, "p~").await.len(), 1);
}

#[tokio::test]
async fn a_claim_a_result_and_a_redelivery_do_not_touch_the_payload() {
    let table = Arc::new(CountingTable::new());
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let whole = conversation("x".repeat(100_000));
    store.insert(&whole).await.unwrap();
    table.take();
    let read = store.get(whole.conversation.client(), whole.conversation.id()).await.unwrap().unwrap();
    let claim = read.value.claim(LeaseToken::new([1; 8]), NOW, Duration::ZERO).unwrap();
    let Claim::Attempt(claimed) = claim else { panic!("it is the first attempt") };
    let revision = store.replace(read.revision, claimed.conversation()).await.unwrap();
    let outcome = Outcome::PermanentFailure;
    let result = AttemptResult { outcome, ..AttemptResult::unknown(1) };
    let failed = claimed.complete(NOW, result, Duration::ZERO, NOW);
    let revision = store.replace(revision, &failed).await.unwrap();
    let redelivered = failed.redeliver(NOW).unwrap();
    let revision = store.replace(revision, &redelivered).await.unwrap();
    store.replace(revision, &redelivered.cancel(NOW).unwrap()).await.unwrap();
    let keys = table.take().keys;
    assert!(keys.len() >= 8 && keys.iter().all(|key| !key.starts_with("p~")), "{keys:?}");
    let read = store.get(whole.conversation.client(), whole.conversation.id()).await.unwrap().unwrap();
    assert_eq!(read.value.status(), Status::Cancelled);
    assert_eq!(store.payload(&read).await.unwrap(), whole.payload);
}

/// The faults of the next calls, in order.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<VecDeque<Fault>>>);

impl Faults for Script {
    fn next(&self) -> Fault {
        self.0.lock().unwrap().pop_front().unwrap_or_default()
    }
}

#[tokio::test]
async fn the_next_change_moves_a_large_payload_out_of_a_row_of_the_first_release() {
    for fault in [Fault::None, Fault::AnswerLost] {
        let script = Script::default();
        let table = Arc::new(SimulatedTable::new(script.clone()));
        let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
        let whole = write_as_first_release(&*table, &"x".repeat(100_000)).await;
        let (client, id) = (whole.conversation.client(), whole.conversation.id());
        let read = store.get(client, id).await.unwrap().unwrap();
        assert_eq!(read.value, whole.conversation);
        assert_eq!(store.payload(&read).await.unwrap(), whole.payload);

        let claim = read.value.clone().claim(LeaseToken::new([1; 8]), NOW, Duration::ZERO).unwrap();
        let Claim::Attempt(claimed) = claim else { panic!("it is the first attempt") };
        script.0.lock().unwrap().push_back(fault);
        let revision = store.replace(read.revision, claimed.conversation()).await.unwrap();
        let [main] = &*rows(&*table, &whole, "m~").await else { panic!("one main row") };
        assert!(main.value.len() < 1024, "{fault:?}: {} bytes", main.value.len());

        // The revision that the change returned fits the next change.
        let failed = claimed.complete(NOW, AttemptResult::unknown(1), Duration::ZERO, NOW);
        store.replace(revision, &failed).await.unwrap();
        let read = store.get(client, id).await.unwrap().unwrap();
        assert_eq!((&read.value, store.payload(&read).await.unwrap()), (&failed, whole.payload.clone()), "{fault:?}");
        assert_eq!(rows(&*table, &whole, "p~").await.len(), 1);
    }
}

#[tokio::test]
async fn a_small_payload_of_the_first_release_stays_in_the_main_row() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let whole = write_as_first_release(&*table, "hello").await;
    let read = store.get(whole.conversation.client(), whole.conversation.id()).await.unwrap().unwrap();
    let cancelled = read.value.cancel(NOW).unwrap();
    store.replace(read.revision, &cancelled).await.unwrap();
    let read = store.get(whole.conversation.client(), whole.conversation.id()).await.unwrap().unwrap();
    assert_eq!((read.value.status(), store.payload(&read).await.unwrap()), (Status::Cancelled, whole.payload.clone()));
    assert!(rows(&*table, &whole, "p~").await.is_empty());
}

#[tokio::test]
async fn a_payload_row_that_is_missing_or_damaged_is_named_and_not_quoted() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let whole = conversation("secret".repeat(1000));
    store.insert(&whole).await.unwrap();
    let read = store.get(whole.conversation.client(), whole.conversation.id()).await.unwrap().unwrap();
    let [row] = &*rows(&*table, &whole, "p~").await else { panic!("one payload row") };
    let key = row.key.clone();
    let cut = row.value[..row.value.len() / 2].to_owned();
    let damage = Operation::Replace { key: key.clone(), value: cut, if_match: None };
    let removal = Operation::Delete { key: key.clone(), if_match: None };
    for change in [damage, removal] {
        table.commit(partition(whole.conversation.id()), vec![change]).await.unwrap();
        let error = store.payload(&read).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { key: named, .. } if *named == key), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}
