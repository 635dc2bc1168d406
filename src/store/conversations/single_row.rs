//! The rows of which a store has one: the watermark and the mark of the index. They are in the first partition.

use super::ConversationStore;
use crate::store::{Etag, Operation, Partition, Row, StoreError, Table as _, rows};

impl ConversationStore {
    pub(super) async fn single_row(&self, key: &str) -> Result<Option<Row>, StoreError> {
        match first() {
            Some(partition) => self.table.get(partition, key).await,
            None => Ok(None),
        }
    }

    /// Writes a row, if it is still the one that was read: the one with this etag, or none.
    pub(super) async fn write_single_row(
        &self,
        key: &str,
        read: Option<Etag>,
        value: String,
    ) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.commit_single_row(match read {
            Some(etag) => Operation::Replace { key, value, if_match: Some(etag) },
            None => Operation::Insert { key, value },
        })
        .await
    }

    pub(super) async fn delete_single_row(&self, key: &str, read: Etag) -> Result<(), StoreError> {
        self.commit_single_row(Operation::Delete { key: key.to_owned(), if_match: Some(read) }).await
    }

    async fn commit_single_row(&self, operation: Operation) -> Result<(), StoreError> {
        let Some(partition) = first() else { return Ok(()) };
        self.table.commit(partition, vec![operation]).await?;
        Ok(())
    }
}

fn first() -> Option<Partition> {
    rows::partitions().next()
}
