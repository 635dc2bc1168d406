//! The retention rows of conversations that an earlier release wrote.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::maintenance::Indexer;
use mcp_scheduler::store::{ConversationStore, IndexMark, KeyRange, Operation, Row, Table};
use mcp_scheduler::testing::{SimulatedTable, as_version_1, sealer};
use mcp_scheduler::time::VirtualClock;

use crate::support::listing::{NOW, change, id, schedule};

async fn rows(table: &dyn Table, prefix: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in ConversationStore::partitions() {
        rows.extend(table.scan(partition, &KeyRange::prefix(prefix), usize::MAX).await.unwrap());
    }
    rows
}

/// The store of a release that wrote index rows and no retention rows, and whose index was complete. Of its conversations,
/// the first ones are final.
async fn earlier_store(all: u32, r#final: u32) -> (Arc<SimulatedTable>, ConversationStore) {
    let table = Arc::new(SimulatedTable::new(()));
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    for number in 0..all {
        let id = schedule(&store, number, NOW).await;
        if number < r#final {
            change(&store, id, |it| it.cancel(NOW).unwrap()).await;
        }
    }
    for partition in ConversationStore::partitions() {
        for row in table.scan(partition, &KeyRange::prefix("m~"), usize::MAX).await.unwrap() {
            let value = as_version_1(&row, 3).unwrap();
            table.commit(partition, vec![Operation::Replace { key: row.key, value, if_match: None }]).await.unwrap();
        }
        for Row { key, .. } in table.scan(partition, &KeyRange::prefix("r~"), usize::MAX).await.unwrap() {
            table.commit(partition, vec![Operation::Delete { key, if_match: None }]).await.unwrap();
        }
    }
    let mark = Operation::Insert { key: "x".to_owned(), value: r#"{"v":1,"row":{}}"#.to_owned() };
    table.commit(ConversationStore::partitions().next().unwrap(), vec![mark]).await.unwrap();
    (table, store)
}

#[tokio::test(start_paused = true)]
async fn final_conversations_of_an_earlier_release_get_theirs_and_are_removed() {
    let (table, store) = earlier_store(300, 250).await;
    assert_eq!(store.index_mark().await.unwrap().unwrap().0, IndexMark::CompleteBefore);
    assert!(!store.is_indexed().await.unwrap());
    let indexer = Indexer::new(store.clone(), Arc::new(VirtualClock::starting_at(NOW))).alone();
    assert_eq!(indexer.complete().await.unwrap(), 0);
    assert!(store.is_indexed().await.unwrap());
    assert_eq!(rows(&*table, "r~").await.len(), 250);
    let plain = rows(&*table, "m~").await.iter().filter(|row| !row.value.contains(r#""sealed":"#)).count();
    assert_eq!(plain, 0, "the secrets of all are encrypted");
    for partition in ConversationStore::partitions() {
        store.remove_ended(partition, NOW + Duration::from_millis(1), None).await.unwrap();
    }
    assert_eq!((rows(&*table, "m~").await.len(), rows(&*table, "x~").await.len()), (50, 50));
    change(&store, id(250), |it| it.cancel(NOW).unwrap()).await;
    assert_eq!(rows(&*table, "r~").await.len(), 1);
}

#[tokio::test]
async fn a_repair_restores_the_retention_rows() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    for number in 0..3 {
        let id = schedule(&store, number, NOW).await;
        change(&store, id, |it| it.cancel(NOW).unwrap()).await;
    }
    let right: Vec<_> = rows(&*table, "r~").await.into_iter().map(|row| row.key).collect();
    let partition = ConversationStore::partition(right[0].rsplit('~').next().unwrap().parse().unwrap());
    let stray = right[0].replace("r~01", "r~00");
    let insert = Operation::Insert { key: stray, value: r#"{"v":1,"row":{}}"#.to_owned() };
    let delete = Operation::Delete { key: right[0].clone(), if_match: None };
    table.commit(partition, vec![delete, insert]).await.unwrap();
    let restored = store.restore_secondary_rows().await.unwrap();
    assert_eq!((restored.inserted, restored.deleted), (1, 1));
    assert_eq!(rows(&*table, "r~").await.into_iter().map(|row| row.key).collect::<Vec<_>>(), right);
}
