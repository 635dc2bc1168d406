//! The due rows of a partition, and the sweep's notes on them.

use super::ConversationStore;
use crate::domain::Timestamp;
use crate::store::rows::{self, DueNote, DueRow};
use crate::store::{CommitError, MAX_COMMIT_OPERATIONS, Operation, Partition, StoreError, Table as _};

impl ConversationStore {
    /// Reads up to `limit` due rows of a partition with a time before `end`, earliest first. It begins after the row
    /// `after`. A row that cannot be read is skipped, because a newer version may have written it and will process it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn due(
        &self,
        partition: Partition,
        end: Timestamp,
        after: Option<&DueRow>,
        limit: usize,
    ) -> Result<Vec<DueRow>, StoreError> {
        let mut range = rows::due_before(end);
        if let Some(row) = after {
            range = range.after(&rows::due_key(row.at, &row.client, row.id));
        }
        let mut found = Vec::new();
        loop {
            let wanted = limit - found.len();
            let page = self.table.scan(partition, &range, wanted).await?;
            let (read, last) = (page.len(), page.last().map(|row| row.key.clone()));
            for row in page {
                match rows::decode_due(&row) {
                    Ok(due) => found.push(due),
                    Err(error) => tracing::warn!(%error, "due row skipped"),
                }
            }
            match last {
                Some(last) if read == wanted && found.len() < limit => range = range.after(&last),
                _ => return Ok(found),
            }
        }
    }

    /// Notes on due rows of one partition that their wake-ups were enqueued.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a row has changed or no longer exists. The notes of the same commit, up to
    /// [`MAX_COMMIT_OPERATIONS`], are then not written.
    pub async fn note_wake_ups(&self, partition: Partition, noted: &[(DueRow, DueNote)]) -> Result<(), StoreError> {
        let mut conflict = None;
        for chunk in noted.chunks(MAX_COMMIT_OPERATIONS) {
            let operations: Result<Vec<_>, StoreError> = chunk
                .iter()
                .map(|(row, note)| {
                    // An insert could bring back the due row of a conversation that is final.
                    Ok(Operation::Replace {
                        key: rows::due_key(row.at, &row.client, row.id),
                        value: rows::encode_note(note)?,
                        if_match: Some(row.etag.clone()),
                    })
                })
                .collect();
            match self.table.commit(partition, operations?).await {
                Err(CommitError::Conflict { .. }) => conflict = Some(StoreError::Conflict),
                result => drop(result?),
            }
        }
        conflict.map_or(Ok(()), Err)
    }
}
