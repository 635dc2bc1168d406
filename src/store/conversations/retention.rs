//! Removing conversations that ended long ago.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ConversationStore;
use super::removal::{delete, delete_if_unchanged};
use crate::domain::{ClientId, ConversationId, Timestamp};
use crate::store::rows;
use crate::store::{MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table as _};

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
        let range = rows::ended_before(before);
        let (page, last) = self.scan_behind(partition, range, behind, Self::REMOVED_AT_ONCE).await?;
        let reads = stream::iter(page).map(|row| self.removal(row)).buffered(Self::REMOVAL_READS);
        let groups: Vec<_> = reads.try_filter_map(|removal| async { Ok(removal) }).try_collect().await?;
        let most = groups.iter().map(Vec::len).max().unwrap_or(1);
        for groups in groups.chunks((MAX_COMMIT_OPERATIONS / most).max(1)) {
            self.remove_groups(partition, groups).await?;
        }
        Ok(last)
    }

    /// The deletions of all rows of the conversation that a retention row names. `None` if this program cannot read it: a
    /// newer version may have written it, and removes it.
    async fn removal(&self, retention: Row) -> Result<Option<Vec<Operation>>, StoreError> {
        let Some((client, id)) = rows::retained(&retention.key) else { return Ok(None) };
        match self.removal_of(&client, id, &retention).await {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            removal => removal.map(Some),
        }
    }

    /// The retention row, the main row and the name row must be unchanged. The others change only together with the main row.
    async fn removal_of(
        &self,
        client: &ClientId,
        id: ConversationId,
        retention: &Row,
    ) -> Result<Vec<Operation>, StoreError> {
        let mut operations = vec![delete_if_unchanged(&retention.key, &retention.etag)];
        // In a damaged store only the retention row may be left of the conversation.
        let Some(main) = self.table.get(rows::partition(id), &rows::conversation_key(client, id)).await? else {
            return Ok(operations);
        };
        // What is removed need not be decrypted, so a lost key keeps nothing here for ever.
        let rows::Outline { conversation, has_payload_row, projection, .. } = rows::decode_outline(&main)?;
        let secondary_rows = self.secondary_rows(&main.key, &conversation, projection)?;
        if !secondary_rows.contains_key(&retention.key) {
            return Ok(operations);
        }
        operations.push(delete_if_unchanged(&main.key, &main.etag));
        let others = secondary_rows.keys().filter(|key| **key != retention.key);
        operations.extend(others.map(|key| delete(key)));
        if has_payload_row {
            operations.push(delete(&rows::payload_key(client, id)));
        }
        if let Some(name) = conversation.name() {
            let holder = self.name_holder(client, name).await?.filter(|holder| holder.id == id);
            operations.extend(holder.map(|holder| delete_if_unchanged(&rows::name_key(client, name), &holder.etag)));
        }
        Ok(operations)
    }
}
