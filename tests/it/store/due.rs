//! What a scan of due rows reads.

use std::sync::Arc;

use mcp_scheduler::domain::{ConversationId, Timestamp};
use mcp_scheduler::store::{ConversationStore, DueBound, DueKey, KeyRange, Operation, Table as _};
use mcp_scheduler::testing::sealer;

use crate::support::counting_table::CountingTable;
use crate::support::listing::{NOW, client, due_at};

/// Conversations of one partition.
fn id(number: u8) -> ConversationId {
    ConversationId::new(NOW, &[0, 0, 0, 0, 0, 0, 0, 0, number, 7])
}

/// A store with so many conversations, which are due at one time.
async fn store_of(count: u8) -> (Arc<CountingTable>, ConversationStore) {
    let table = Arc::new(CountingTable::new());
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    for number in 0..count {
        store.insert(&due_at(id(number), client(), NOW, "Stand up and stretch".to_owned())).await.unwrap();
    }
    (table, store)
}

#[tokio::test]
async fn the_rows_between_two_places_are_read_and_no_others() {
    let (table, store) = store_of(100).await;
    let row = |number| DueBound::Row(DueKey { at: NOW, client: client(), id: id(number) });
    let time = |millis| DueBound::Time(Timestamp::from_millis(NOW.as_millis() + millis));
    for (begin, end, expected) in [
        (row(9), row(19), 10..20),
        (time(0), row(0), 0..1),
        (row(98), time(1), 99..100),
        (row(5), row(5), 0..0),
        (row(5), row(3), 0..0),
        (time(0), time(0), 0..0),
    ] {
        table.take();
        let found = store.due(ConversationStore::partition(id(0)), &begin, end.clone(), 1000).await.unwrap();
        let ids: Vec<_> = found.into_iter().map(|due| due.key.id).collect();
        assert_eq!(ids, expected.clone().map(id).collect::<Vec<_>>(), "from {begin} to {end}");
        assert_eq!(table.take().rows, expected.len(), "from {begin} to {end}");
    }
}

/// The numbers of the conversations that are read together, and the rows that were read for that.
async fn read_together(stored: u8, wanted: impl IntoIterator<Item = u8>) -> (Vec<u8>, usize) {
    let (table, store) = store_of(stored).await;
    let due: Vec<_> = wanted.into_iter().map(|number| DueKey { at: NOW, client: client(), id: id(number) }).collect();
    table.take();
    let read = store.read_together(due).await;
    let counted = table.take();
    assert_eq!(counted.keys, [""; 0], "no row is read alone");
    assert!(counted.scans <= 1);
    let found: Vec<_> = read.into_iter().filter_map(|(key, read)| read.map(|_| key.id)).collect();
    let numbers = (0..u8::MAX).filter(|number| found.contains(&id(*number))).collect();
    (numbers, counted.rows)
}

#[tokio::test]
async fn conversations_are_read_together_if_that_takes_few_rows() {
    for (stored, wanted, found, rows) in [
        (64, (0..64).collect(), (0..64).collect::<Vec<_>>(), 64),
        (64, (0..8).collect(), (0..8).collect(), 8),
        // Too few.
        (64, (0..7).collect::<Vec<_>>(), vec![], 0),
        // Every second one.
        (64, (0..64).step_by(2).collect(), (0..64).step_by(2).collect(), 63),
        // Every fifth one: the scan ends after twice as many rows, and it begins with the newest.
        (100, (0..100).step_by(5).collect(), (56..100).filter(|number| number % 5 == 0).collect(), 40),
        // Rows that are gone.
        (5, (0..10).collect(), (0..5).collect(), 5),
    ] {
        assert_eq!(read_together(stored, wanted.clone()).await, (found, rows), "{wanted:?} of {stored}");
    }
}

#[tokio::test]
async fn a_conversation_that_cannot_be_read_is_left_to_its_delivery() {
    let (table, store) = store_of(10).await;
    let range = KeyRange::prefix("m~");
    let partition = ConversationStore::partition(id(0));
    let damaged = table.scan(partition, &range, 1).await.unwrap().remove(0);
    let damage = Operation::Replace { key: damaged.key, value: "{".to_owned(), if_match: None };
    table.commit(partition, vec![damage]).await.unwrap();
    let due: Vec<_> = (0..10).map(|number| DueKey { at: NOW, client: client(), id: id(number) }).collect();
    for (key, read) in store.read_together(due).await {
        assert_eq!(read.is_none(), key.id == id(9), "the newest has the first key");
    }
}
