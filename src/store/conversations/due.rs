//! The due rows of a partition.

use super::ConversationStore;
use crate::store::rows::{self, DueBound, DueRow};
use crate::store::{Partition, StoreError, Table as _};

impl ConversationStore {
    /// Reads up to `limit` due rows of a partition between two places, earliest first. There are no more if it returns fewer. A row that cannot be read is skipped, because a newer version may have written it and
    /// will process it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn due(
        &self,
        partition: Partition,
        begin: &DueBound,
        end: impl Into<DueBound>,
        limit: usize,
    ) -> Result<Vec<DueRow>, StoreError> {
        let mut range = rows::due_rows(begin, &end.into());
        let mut found = Vec::new();
        while found.len() < limit && range.from < range.to {
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
                Some(last) if read == wanted => range = range.after(&last),
                _ => break,
            }
        }
        Ok(found)
    }
}
