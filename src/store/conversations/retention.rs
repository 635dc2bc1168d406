//! Removing conversations that ended long ago.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{ConversationStore, NameHolder, Versioned};
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp};
use crate::store::rows;
use crate::store::{CommitError, Etag, MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table as _};

/// The removal of one conversation.
struct Removal {
    /// The row that names the conversation.
    retention: Row,
    /// The conversation. `None` if only a retention row is left of it, which happens in a damaged store.
    read: Option<Versioned<Conversation>>,
    /// The row of its name, if the name leads to it.
    name: Option<NameHolder>,
}

impl ConversationStore {
    /// The retention rows that one scan reads. A conversation mostly has two rows besides, so one commit removes them all.
    const REMOVED_AT_ONCE: usize = MAX_COMMIT_OPERATIONS / 3;
    /// The main rows that are read at one time.
    const REMOVAL_READS: usize = 8;

    /// Removes conversations of a partition that ended before a time, behind a key. Returns the key behind which there may be
    /// more. The rows of a conversation are removed in one commit.
    ///
    /// # Errors
    /// [`StoreError`] of the first failure. The conversations that are left are removed by a later call.
    pub async fn remove_ended(
        &self,
        partition: Partition,
        before: Timestamp,
        behind: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let range = match behind {
            Some(key) => rows::ended_before(before).after(key),
            None => rows::ended_before(before),
        };
        let page = self.table.scan(partition, &range, Self::REMOVED_AT_ONCE).await?;
        let next = page.last().filter(|_| page.len() == Self::REMOVED_AT_ONCE).map(|last| last.key.clone());
        let reads = stream::iter(page).map(|row| self.removal(row)).buffered(Self::REMOVAL_READS);
        let removals: Vec<Removal> = reads.try_filter_map(|removal| async { Ok(removal) }).try_collect().await?;
        let most = removals.iter().map(|removal| removal.operations().len()).max().unwrap_or(1);
        for removals in removals.chunks((MAX_COMMIT_OPERATIONS / most).max(1)) {
            self.remove(partition, removals).await?;
        }
        Ok(next)
    }

    /// Reads the conversation that a retention row names. `None` if this program cannot read it: a newer version may have
    /// written it, and removes it.
    async fn removal(&self, retention: Row) -> Result<Option<Removal>, StoreError> {
        let Some((client, id)) = rows::retained(&retention.key) else { return Ok(None) };
        match self.removal_of(&client, id, retention).await {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            removal => removal.map(Some),
        }
    }

    async fn removal_of(&self, client: &ClientId, id: ConversationId, retention: Row) -> Result<Removal, StoreError> {
        let has_row = |read: &Versioned<_>| read.revision.secondary_rows.contains_key(&retention.key);
        let read = self.get(client, id).await?.filter(has_row);
        let name = match read.as_ref().and_then(|read| read.value.named()) {
            Some(named) => self.name_holder(client, &named.name).await?.filter(|holder| holder.id == id),
            None => None,
        };
        Ok(Removal { retention, read, name })
    }

    async fn remove(&self, partition: Partition, removals: &[Removal]) -> Result<(), StoreError> {
        let operations = removals.iter().flat_map(Removal::operations).collect();
        match self.table.commit(partition, operations).await {
            // Somebody has just redelivered one of them, another process has removed one, or a damaged store has lost a row.
            Err(CommitError::Conflict { .. }) => {}
            result => return Ok(result.map(drop)?),
        }
        for removal in removals {
            let mut operations = Vec::new();
            for operation in removal.operations() {
                let has_condition = matches!(operation, Operation::Delete { if_match: Some(_), .. });
                if has_condition || self.table.get(partition, operation.key()).await?.is_some() {
                    operations.push(operation);
                }
            }
            match self.table.commit(partition, operations).await {
                Ok(_) | Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Removal {
    /// The deletions of all rows. The retention row, the main row and the name row must be unchanged. The others change only
    /// together with the main row.
    fn operations(&self) -> Vec<Operation> {
        let delete =
            |key: &str, if_match: Option<&Etag>| Operation::Delete { key: key.to_owned(), if_match: if_match.cloned() };
        let mut operations = vec![delete(&self.retention.key, Some(&self.retention.etag))];
        let Some(Versioned { value, revision }) = &self.read else { return operations };
        operations.push(delete(&rows::conversation_key(value.client(), value.id()), Some(&revision.etag)));
        let others = revision.secondary_rows.keys().filter(|key| **key != self.retention.key);
        operations.extend(others.map(|key| delete(key, None)));
        if let (Some(named), Some(holder)) = (value.named(), &self.name) {
            operations.push(delete(&rows::name_key(value.client(), &named.name), Some(&holder.etag)));
        }
        if revision.payload.in_main_row().is_none() {
            operations.push(delete(&rows::payload_key(value.client(), value.id()), None));
        }
        operations
    }
}
