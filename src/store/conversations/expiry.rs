//! Removing what has expired.

use super::ConversationStore;
use crate::domain::Timestamp;
use crate::store::rows;
use crate::store::{MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table as _};

impl ConversationStore {
    /// The expired keys that one commit removes, each with two rows.
    const KEYS_AT_ONCE: usize = MAX_COMMIT_OPERATIONS / 2;

    /// Removes expired idempotency keys of a partition, behind a key, in one commit. Returns the key behind which there may
    /// be more. Without it, a store that only marks deleted rows would read all marks again for each commit.
    ///
    /// # Errors
    /// [`StoreError`] if nothing was removed, or if it is not known.
    pub async fn remove_expired(
        &self,
        partition: Partition,
        now: Timestamp,
        behind: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let range = match behind {
            Some(key) => rows::expired_rows(now).after(key),
            None => rows::expired_rows(now),
        };
        let page = self.table.scan(partition, &range, Self::KEYS_AT_ONCE).await?;
        // Rows that this program does not know are passed over. A newer version removes them.
        let expired: Vec<_> = page.iter().filter_map(|row| Some((row, rows::expired_key_row(row)?))).collect();
        if !expired.is_empty() {
            self.remove_keys(partition, &expired).await?;
        }
        let is_full = page.len() == Self::KEYS_AT_ONCE;
        Ok(page.last().filter(|_| is_full).map(|last| last.key.clone()))
    }

    /// Removes expiry rows, each with the key row that it names. A key row changes only together with its expiry row, so
    /// the etag of the expiry row is the condition for both.
    async fn remove_keys(&self, partition: Partition, expired: &[(&Row, &str)]) -> Result<(), StoreError> {
        let operations = expired.iter().flat_map(|(row, key_row)| [delete_if_unchanged(row), delete(key_row)]);
        match self.table.commit(partition, operations.collect()).await.map_err(StoreError::from) {
            // A request has just replaced one of them, another process has removed one, or a damaged store has lost one.
            Err(StoreError::Conflict) => {}
            result => return result.map(drop),
        }
        for (row, key_row) in expired {
            let mut operations = vec![delete_if_unchanged(row)];
            operations.extend(self.table.get(partition, key_row).await?.map(|_| delete(key_row)));
            match self.table.commit(partition, operations).await.map_err(StoreError::from) {
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn delete_if_unchanged(row: &Row) -> Operation {
    Operation::Delete { key: row.key.clone(), if_match: Some(row.etag.clone()) }
}

fn delete(key: &str) -> Operation {
    Operation::Delete { key: key.to_owned(), if_match: None }
}
