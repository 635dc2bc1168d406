//! What the removals of maintenance have in common.

use super::ConversationStore;
use crate::store::{Etag, KeyRange, Operation, Partition, Row, StoreError, Table as _};

impl ConversationStore {
    /// Reads at most `most` rows of a range, behind a key. Returns also the key behind which there may be more. Without it, a
    /// store that only marks deleted rows would read all marks again for each commit.
    pub(super) async fn scan_behind(
        &self,
        partition: Partition,
        range: KeyRange,
        behind: Option<&str>,
        most: usize,
    ) -> Result<(Vec<Row>, Option<String>), StoreError> {
        let range = match behind {
            Some(key) => range.after(key),
            None => range,
        };
        let page = self.table.scan(partition, &range, most).await?;
        let last = page.last().filter(|_| page.len() == most).map(|last| last.key.clone());
        Ok((page, last))
    }

    /// Removes groups of rows in one commit. After a conflict each group gets a commit of its own without the rows that are
    /// missing, and a group that has changed stays.
    pub(super) async fn remove_groups(
        &self,
        partition: Partition,
        groups: &[Vec<Operation>],
    ) -> Result<(), StoreError> {
        match self.table.commit(partition, groups.concat()).await.map_err(StoreError::from) {
            // A request has just changed one of them, another process has removed one, or a damaged store has lost a row.
            Err(StoreError::Conflict) => {}
            result => return result.map(drop),
        }
        for group in groups {
            let mut operations = Vec::new();
            for operation in group {
                let has_condition = matches!(operation, Operation::Delete { if_match: Some(_), .. });
                if has_condition || self.table.get(partition, operation.key()).await?.is_some() {
                    operations.push(operation.clone());
                }
            }
            match self.table.commit(partition, operations).await.map_err(StoreError::from) {
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

pub(super) fn delete(key: &str) -> Operation {
    Operation::Delete { key: key.to_owned(), if_match: None }
}

pub(super) fn delete_if_unchanged(key: &str, etag: &Etag) -> Operation {
    Operation::Delete { key: key.to_owned(), if_match: Some(etag.clone()) }
}
