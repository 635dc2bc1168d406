//! The index and retention rows and the encrypted parts of conversations that earlier releases wrote, and the mark that says
//! whether all have theirs.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ConversationStore;
use crate::domain::{Conversation, State};
use crate::store::rows::{self, INDEX_MARK, IndexMark};
use crate::store::{Etag, KeyRange, Partition, Row, StoreError, Table as _};

impl ConversationStore {
    /// The main rows that one scan reads.
    const INDEX_PAGE: usize = 100;
    /// The conversations that are written at one time.
    const INDEX_WRITES: usize = 16;

    /// Whether every conversation has its index row and, if it is final, its retention row, and its secrets are encrypted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn is_indexed(&self) -> Result<bool, StoreError> {
        if self.is_indexed.load(Relaxed) {
            return Ok(true);
        }
        let mark = self.index_mark().await?;
        Ok(mark.is_some_and(|(mark, _)| mark == IndexMark::Complete))
    }

    /// Reads the mark of the index, with the etag that is needed to replace it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn index_mark(&self) -> Result<Option<(IndexMark, Etag)>, StoreError> {
        let Some(row) = self.single_row(INDEX_MARK).await? else { return Ok(None) };
        let mark = rows::decode_index_mark(&row)?;
        self.is_indexed.fetch_or(mark == IndexMark::Complete, Relaxed);
        Ok(Some((mark, row.etag)))
    }

    /// Writes the mark of the index, if it is still the one that was read.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another process has written it since.
    pub async fn write_index_mark(&self, read: Option<Etag>, next: IndexMark) -> Result<(), StoreError> {
        self.write_single_row(INDEX_MARK, read, rows::encode_index_mark(next)?).await?;
        self.is_indexed.fetch_or(next == IndexMark::Complete, Relaxed);
        Ok(())
    }

    /// Removes the mark of the index, so that the conversations of earlier releases are looked for again.
    pub(super) async fn remove_index_mark(&self) -> Result<(), StoreError> {
        self.is_indexed.store(false, Relaxed);
        let Some((_, etag)) = self.index_mark().await? else { return Ok(()) };
        self.delete_single_row(INDEX_MARK, etag).await?;
        self.is_indexed.store(false, Relaxed);
        Ok(())
    }

    /// Whether the store has no conversation at all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        for partition in Self::partitions() {
            if !self.table.scan(partition, &KeyRange::prefix(rows::MAIN_ROWS), 1).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the missing rows of the conversations of a partition. Returns the number of conversations that are left: an
    /// attempt is under way, whose result could not be written if the row changed, or another process was faster.
    ///
    /// A row that cannot be read is passed over: a newer version wrote it, with its rows, or no list can show it.
    ///
    /// # Errors
    /// [`StoreError`] of the first failure.
    pub async fn index(&self, partition: Partition) -> Result<usize, StoreError> {
        let (mut range, mut left) = (KeyRange::prefix(rows::MAIN_ROWS), 0);
        loop {
            let page = self.table.scan(partition, &range, Self::INDEX_PAGE).await?;
            let Some(last) = page.last() else { return Ok(left) };
            range = range.after(&last.key);
            let writes =
                stream::iter(page.into_iter().filter(|row| self.lacks_rows(row))).map(|row| self.index_one(row));
            let is_left: Vec<bool> = writes.buffer_unordered(Self::INDEX_WRITES).try_collect().await?;
            left += is_left.into_iter().filter(|is_left| *is_left).count();
            tokio::task::yield_now().await;
        }
    }

    /// Writes a conversation as it is, with the rows of this release. Returns whether it is left as it was.
    async fn index_one(&self, row: Row) -> Result<bool, StoreError> {
        let read = self.versioned(row)?;
        if is_under_way(&read.value) {
            return Ok(true);
        }
        match self.replace(read.revision, &read.value).await {
            Ok(_) => Ok(false),
            Err(StoreError::Conflict) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether an earlier release wrote this main row, and the conversation has other rows in this release or its secrets
    /// are not encrypted.
    fn lacks_rows(&self, row: &Row) -> bool {
        let lacks = rows::decode_outline(row).and_then(|main| {
            let rows = |version| self.projection.secondary_rows(&main.conversation, version);
            Ok(main.projection < self.projection.version()
                && (!main.is_sealed || rows(main.projection)? != rows(self.projection.version())?))
        });
        lacks.unwrap_or_else(|error| {
            tracing::warn!(%error, "conversation not indexed");
            false
        })
    }
}

const fn is_under_way(conversation: &Conversation) -> bool {
    matches!(conversation.state(), State::Delivering { .. })
}
