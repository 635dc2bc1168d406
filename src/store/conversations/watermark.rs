//! The watermark of the sweeps, a row of the first partition.

use super::ConversationStore;
use crate::store::rows::{self, WATERMARK, Watermark};
use crate::store::{Etag, Operation, Partition, StoreError, Table as _};

impl ConversationStore {
    /// Reads the watermark, with the etag that is needed to replace it. Both are `None` before the first sweep.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn watermark(&self) -> Result<Option<(Watermark, Etag)>, StoreError> {
        let Some(partition) = first() else { return Ok(None) };
        let Some(row) = self.table.get(partition, WATERMARK).await? else { return Ok(None) };
        Ok(Some((rows::decode_watermark(&row)?, row.etag)))
    }

    /// Writes the watermark, if it is still the one that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another process has written it since.
    pub async fn write_watermark(&self, read: Option<Etag>, next: &Watermark) -> Result<(), StoreError> {
        let Some(partition) = first() else { return Ok(()) };
        let (key, value) = (WATERMARK.to_owned(), rows::encode_watermark(next)?);
        let operation = match read {
            Some(etag) => Operation::Replace { key, value, if_match: Some(etag) },
            None => Operation::Insert { key, value },
        };
        self.table.commit(partition, vec![operation]).await?;
        Ok(())
    }
}

fn first() -> Option<Partition> {
    rows::partitions().next()
}
