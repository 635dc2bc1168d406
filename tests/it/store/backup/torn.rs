//! An export while a client changes what is exported.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use mcp_scheduler::backup::Backup;
use mcp_scheduler::delivery::NextDue;
use mcp_scheduler::store::{
    ClientStore, CommitError, ConversationStore, Etag, KeyRange, Operation, Partition, Row, StoreError, Table,
};
use mcp_scheduler::testing::{SimulatedTable, sealer};

use super::{Place, conversation_to, id};

/// A table in which a client updates a conversation just before its payload row is read for the first time.
struct UpdatedMeanwhile {
    table: Arc<SimulatedTable>,
    is_updated: AtomicBool,
}

#[async_trait]
impl Table for UpdatedMeanwhile {
    async fn commit(&self, partition: Partition, operations: Vec<Operation>) -> Result<Vec<Option<Etag>>, CommitError> {
        self.table.commit(partition, operations).await
    }

    async fn get(&self, partition: Partition, key: &str) -> Result<Option<Row>, StoreError> {
        if key.starts_with("p~") && !self.is_updated.swap(true, Ordering::Relaxed) {
            let store = ConversationStore::new(Arc::clone(&self.table) as _, sealer());
            let read = store.get(&"ann".parse().unwrap(), id(2)).await?.unwrap();
            store.replace_whole(read.revision, &after()).await?;
        }
        self.table.get(partition, key).await
    }

    async fn scan(&self, partition: Partition, range: &KeyRange, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.table.scan(partition, range, limit).await
    }
}

fn after() -> mcp_scheduler::domain::WholeConversation {
    conversation_to("https://after.example/", id(2), &"after".repeat(2000))
}

#[tokio::test]
async fn the_main_row_and_the_payload_of_a_line_are_of_one_moment() {
    let place = Place::new();
    let before = conversation_to("https://before.example/", id(2), &"before".repeat(2000));
    place.store.insert(&before).await.unwrap();
    let table = Arc::new(UpdatedMeanwhile { table: Arc::clone(&place.table), is_updated: AtomicBool::new(false) });
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let backup = Backup::new(store, ClientStore::new(table), Arc::new(NextDue::default()));
    let page = backup.export(None, false).await.unwrap();
    let to = Place::new();
    to.backup.import(&page.lines).await.unwrap();
    let read = to.store.get(&"ann".parse().unwrap(), id(2)).await.unwrap().unwrap();
    assert_eq!(to.store.payload(&read).await.unwrap(), after().payload);
    assert_eq!(read.value.destination(), after().conversation.destination());
}
