//! The storage protocol: how a conversation is inserted, read, replaced, listed and found by time.
//!
//! One rule holds it all: the rows of a conversation are a projection of it and change in one commit, fenced by the etag
//! of the main row. The due row stands exactly at [`Conversation::next_wake_at`], so everything outstanding can be found
//! by time.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::rows::{self, DueNote, DueRow, Projection, SecondaryRows};
use super::{CommitError, Etag, MAX_COMMIT_OPERATIONS, Operation, Partition, StoreError, Table};
use crate::domain::{ClientId, Conversation, ConversationId, Status, Timestamp};

/// Conversations in a [`Table`].
#[derive(Clone)]
pub struct ConversationStore {
    table: Arc<dyn Table>,
    projection: Arc<Projection>,
}

/// A value, and the right to replace it.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// The value as it was read.
    pub value: T,
    /// Names this state of the value.
    pub revision: Revision,
}

/// A state of a conversation in the store. Only the holder of the newest one can change the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    etag: Etag,
    secondary_rows: SecondaryRows,
}

/// One page of a client's conversations.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The page, newest first.
    pub conversations: Vec<Conversation>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ConversationId>,
}

impl ConversationStore {
    /// The most rows of each partition that one page may read while it looks for a status.
    const LIST_SCAN: usize = 200;

    /// Conversations in this table.
    #[must_use]
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self::with_projection(table, Projection::default())
    }

    /// Conversations in this table, with these kinds of rows.
    #[must_use]
    pub fn with_projection(table: Arc<dyn Table>, projection: Projection) -> Self {
        Self { table, projection: Arc::new(projection) }
    }

    /// Adds a new conversation. `enqueued_at` says when its wake-up is enqueued, if one is.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if the first commit and a second one left the result unknown; otherwise nothing was
    /// added.
    pub async fn insert(&self, new: &Conversation, enqueued_at: Option<Timestamp>) -> Result<(), StoreError> {
        let partition = rows::partition(new.id());
        let operations = self.projection.insert(new, enqueued_at)?;
        let unknown = match self.table.commit(partition, operations.clone()).await {
            Err(CommitError::Unknown(cause)) => cause,
            result => return Ok(result.map(drop)?),
        };
        match self.table.commit(partition, operations).await {
            // The id is fresh: its main row can only exist because the first commit was applied.
            Ok(_) | Err(CommitError::Conflict { operation: Some(0) }) => Ok(()),
            Err(CommitError::Conflict { .. }) => self.is_inserted(new).await,
            // The first commit may have been applied, whatever stopped the second.
            Err(_) => Err(StoreError::Unknown(unknown)),
        }
    }

    /// Tells whether a commit of unknown result was applied, where the conflict of its repetition does not.
    async fn is_inserted(&self, new: &Conversation) -> Result<(), StoreError> {
        match self.get(new.client(), new.id()).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::Conflict),
        }
    }

    /// Reads a conversation of a client.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn get(
        &self,
        client: &ClientId,
        id: ConversationId,
    ) -> Result<Option<Versioned<Conversation>>, StoreError> {
        let Some(row) = self.table.get(rows::partition(id), &rows::conversation_key(client, id)).await? else {
            return Ok(None);
        };
        let (value, projection) = rows::decode_conversation(&row)?;
        if projection > self.projection.version() {
            let reason = format!("its rows were written by a newer version (projection {projection})");
            return Err(StoreError::Corrupt { key: row.key, reason });
        }
        let secondary_rows = self.projection.secondary_rows(&value, projection, None)?;
        Ok(Some(Versioned { value, revision: Revision { etag: row.etag, secondary_rows } }))
    }

    /// Replaces the state of a conversation that was read by the next one, and changes its other rows with it.
    /// `enqueued_at` says when a wake-up for the next state is enqueued, if one is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the conversation has changed since it was read; [`StoreError::Unknown`] if the commit
    /// was not seen to have been applied, and still may be. The same call again is safe then.
    pub async fn replace(
        &self,
        read: Revision,
        next: &Conversation,
        enqueued_at: Option<Timestamp>,
    ) -> Result<Revision, StoreError> {
        let partition = rows::partition(next.id());
        let Revision { etag: read_etag, secondary_rows } = read;
        let (operations, secondary_rows) =
            self.projection.replace(read_etag.clone(), secondary_rows, next, enqueued_at)?;
        let etag = match self.table.commit(partition, operations).await {
            Ok(etags) => etags.into_iter().next().flatten(),
            Err(error @ (CommitError::Unknown(_) | CommitError::Conflict { .. })) => {
                self.applied(partition, next, &read_etag, error.into()).await?
            }
            Err(error) => return Err(error.into()),
        };
        let etag = etag.ok_or_else(|| StoreError::Refused("a replaced row got no etag".to_owned()))?;
        Ok(Revision { etag, secondary_rows })
    }

    /// The etag of the main row if it shows that the next state was written, by this commit or by an earlier one whose
    /// result was lost. A claim carries its own token and a cancel is the same whoever writes it, so an equal row is
    /// proof. An unchanged row proves nothing: the commit may still arrive.
    async fn applied(
        &self,
        partition: Partition,
        next: &Conversation,
        read: &Etag,
        error: StoreError,
    ) -> Result<Option<Etag>, StoreError> {
        let written = rows::encode_conversation(next, self.projection.version())?;
        match self.table.get(partition, &rows::conversation_key(next.client(), next.id())).await {
            Ok(Some(row)) if row.value == written => Ok(Some(row.etag)),
            Ok(Some(row)) if row.etag == *read => Err(error),
            Ok(_) => Err(StoreError::Conflict),
            Err(_) => Err(error),
        }
    }

    /// A page of a client's conversations, newest first, from behind `cursor` on; with `status`,
    /// only those. A page may hold fewer than `limit` and still not be the last one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list(
        &self,
        client: &ClientId,
        status: Option<Status>,
        limit: usize,
        cursor: Option<ConversationId>,
    ) -> Result<Listing, StoreError> {
        let scan = if status.is_some() { limit.max(Self::LIST_SCAN) } else { limit };
        let range = rows::conversations_of(client);
        let range = match cursor {
            Some(id) => range.after(&rows::conversation_key(client, id)),
            None => range,
        };
        let scans = rows::partitions().map(|partition| self.table.scan(partition, &range, scan));
        let mut found = Vec::new();
        // Beyond the oldest id that a cut-off partition has shown, pages would have holes.
        let mut seen_to: Option<ConversationId> = None;
        for rows in try_join_all(scans).await? {
            if let (Some(last), true) = (rows.last(), rows.len() == scan) {
                seen_to = seen_to.max(Some(rows::id_of(last)?));
            }
            for row in &rows {
                let (conversation, _) = rows::decode_conversation(row)?;
                if status.is_none_or(|wanted| conversation.status() == wanted) {
                    found.push(conversation);
                }
            }
        }
        found.retain(|c| seen_to.is_none_or(|seen| c.id() >= seen));
        found.sort_unstable_by_key(|c| std::cmp::Reverse(c.id()));
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(Conversation::id)
        } else {
            seen_to
        };
        Ok(Listing { conversations: found, next })
    }

    /// Up to `limit` due rows of a partition whose wake-up lies before `end`, earliest first, from
    /// behind `after` on. A row that cannot be read is left to the newer code that wrote it, and does
    /// not hide those behind it.
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
                    Err(error) => tracing::warn!(%error, "due row left alone"),
                }
            }
            match last {
                Some(last) if read == wanted && found.len() < limit => range = range.after(&last),
                _ => return Ok(found),
            }
        }
    }

    /// Notes on due rows of one partition that wake-ups were put for them.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one of up to a hundred has changed or gone since it was read; then
    /// none of that hundred is noted.
    pub async fn note_wake_ups(&self, partition: Partition, noted: &[(DueRow, DueNote)]) -> Result<(), StoreError> {
        let mut conflict = None;
        for chunk in noted.chunks(MAX_COMMIT_OPERATIONS) {
            let operations: Result<Vec<_>, StoreError> = chunk
                .iter()
                .map(|(row, note)| {
                    // Never an insert: that would bring back the row of a conversation that is final.
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

    /// All partitions that conversations live in.
    pub fn partitions() -> impl Iterator<Item = Partition> {
        rows::partitions()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn check(&self) -> Result<(), StoreError> {
        let Some(partition) = rows::partitions().next() else { return Ok(()) };
        self.table.get(partition, "m").await.map(drop)
    }
}
