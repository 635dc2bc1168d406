//! What a scan of due rows reads.

use std::sync::Arc;

use mcp_scheduler::domain::{ConversationId, Timestamp};
use mcp_scheduler::store::{ConversationStore, DueBound, DueKey};
use mcp_scheduler::testing::sealer;

use crate::support::counting_table::CountingTable;
use crate::support::listing::{NOW, client, due_at};

/// Conversations of one partition.
fn id(number: u8) -> ConversationId {
    ConversationId::new(NOW, &[0, 0, 0, 0, 0, 0, 0, 0, number, 7])
}

#[tokio::test]
async fn the_rows_between_two_places_are_read_and_no_others() {
    let table = Arc::new(CountingTable::new());
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    for number in 0..100 {
        store.insert(&due_at(id(number), client(), NOW, "Stand up and stretch".to_owned())).await.unwrap();
    }
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
