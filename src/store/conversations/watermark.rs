//! The watermark of the sweeps.

use super::ConversationStore;
use crate::store::rows::{self, WATERMARK, Watermark};
use crate::store::{Etag, StoreError};

impl ConversationStore {
    /// Reads the watermark, with the etag that is needed to replace it. Both are `None` before the first sweep.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn watermark(&self) -> Result<Option<(Watermark, Etag)>, StoreError> {
        let Some(row) = self.single_row(WATERMARK).await? else { return Ok(None) };
        Ok(Some((rows::decode_watermark(&row)?, row.etag)))
    }

    /// Writes the watermark, if it is still the one that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another process has written it since.
    pub async fn write_watermark(&self, read: Option<Etag>, next: &Watermark) -> Result<(), StoreError> {
        self.write_single_row(WATERMARK, read, rows::encode_watermark(next)?).await
    }
}
