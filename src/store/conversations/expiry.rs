//! Removing what has expired.

use super::ConversationStore;
use super::removal::{delete, delete_if_unchanged};
use crate::domain::Timestamp;
use crate::store::rows;
use crate::store::{MAX_COMMIT_OPERATIONS, Partition, StoreError};

impl ConversationStore {
    /// The expired keys that one commit removes, each with two rows.
    const KEYS_AT_ONCE: usize = MAX_COMMIT_OPERATIONS / 2;

    /// Removes expired idempotency keys of a partition, behind a key, in one commit. Returns the key behind which there may
    /// be more.
    ///
    /// # Errors
    /// [`StoreError`] if nothing was removed, or if it is not known.
    pub async fn remove_expired(
        &self,
        partition: Partition,
        now: Timestamp,
        behind: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let (page, last) = self.scan_behind(partition, rows::expired_rows(now), behind, Self::KEYS_AT_ONCE).await?;
        // A key row changes only together with its expiry row, so the etag of the expiry row is the condition for both. Rows
        // that this program does not know are passed over: a newer version removes them.
        let expired = page.iter().filter_map(|row| Some((row, rows::expired_key_row(row)?)));
        let groups: Vec<_> =
            expired.map(|(row, key_row)| vec![delete_if_unchanged(&row.key, &row.etag), delete(key_row)]).collect();
        if !groups.is_empty() {
            self.remove_groups(partition, &groups).await?;
        }
        Ok(last)
    }
}
