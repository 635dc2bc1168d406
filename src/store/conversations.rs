//! The storage protocol: which rows change together when a conversation changes.
//!
//! One rule holds it all: the conversation and its due row are written in one commit, and the due row
//! stands exactly at [`Conversation::next_wake_at`]. So whatever is outstanding can be found by time, and
//! nothing else can.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::rows::{self, DueNote, DueRow};
use super::{Etag, MAX_COMMIT_OPERATIONS, Operation, Partition, StoreError, Table};
use crate::domain::{ClientId, Conversation, ConversationId, Status, Timestamp};

/// Conversations in a [`Table`].
#[derive(Clone)]
pub struct ConversationStore {
    table: Arc<dyn Table>,
}

/// A value, and the right to replace it.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// The value as it was read or written.
    pub value: T,
    /// Names that state of it.
    pub revision: Revision,
}

/// A state of a conversation in the store. Only the holder of the newest one can change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    etag: Etag,
    due_key: Option<String>,
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
    /// How many rows of each partition one page may read while it looks for a status.
    const LIST_SCAN: usize = 200;

    /// Conversations in this table.
    #[must_use]
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    /// Adds a new conversation. `enqueued_at` says that a wake-up for it is being put.
    ///
    /// The id is fresh, so finding it taken means that an earlier try of this call went through.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if even a second look could not tell; otherwise nothing was added.
    pub async fn insert(&self, new: &Conversation, enqueued_at: Option<Timestamp>) -> Result<(), StoreError> {
        let partition = rows::partition(new.id);
        let mut operations =
            vec![Operation::Insert { key: rows::conversation_key(&new.client, new.id), value: rows::encode(new)? }];
        operations.extend(insert_due(new, enqueued_at)?);
        let again = operations.clone();
        match self.table.commit(partition, operations).await {
            Err(StoreError::Unknown(cause)) => match self.table.commit(partition, again).await {
                Ok(_) | Err(StoreError::Conflict) => Ok(()),
                // Whatever kept this try from it, the first one may have gone through.
                Err(_) => Err(StoreError::Unknown(cause)),
            },
            result => result.map(drop),
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
        let row = self.table.get(rows::partition(id), &rows::conversation_key(client, id)).await?;
        row.map(|row| {
            let value: Conversation = rows::decode(&row)?;
            let revision = Revision { etag: row.etag, due_key: due_key(&value) };
            Ok(Versioned { value, revision })
        })
        .transpose()
    }

    /// Puts the next state of a conversation in the place of the one that was read, and moves,
    /// makes or removes its due row with it. `enqueued_at` says that a wake-up for it is being put.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it has changed since it was read;
    /// [`StoreError::Unknown`] if the commit was not seen to have been applied, and still may be.
    /// The same call again is safe then.
    pub async fn replace(
        &self,
        read: Revision,
        next: &Conversation,
        enqueued_at: Option<Timestamp>,
    ) -> Result<Revision, StoreError> {
        let (partition, key) = (rows::partition(next.id), rows::conversation_key(&next.client, next.id));
        let value = rows::encode(next)?;
        let next_due = due_key(next);
        let mut operations =
            vec![Operation::Replace { key: key.clone(), value: value.clone(), if_match: read.etag.clone() }];
        if read.due_key != next_due {
            // Without an etag: the sweep may have noted a wake-up on the row, which changes nothing.
            operations.extend(read.due_key.map(|key| Operation::Delete { key, if_match: None }));
            operations.extend(insert_due(next, enqueued_at)?);
        }
        let etag = match self.table.commit(partition, operations).await {
            Ok(etags) => etags.into_iter().next().flatten(),
            // Read, do not guess. A claim carries its own token and a cancel is the same whoever
            // writes it, so an equal row means that this is what was asked for: by this try, or by
            // an earlier one whose answer was lost. An unchanged row says nothing: the commit may
            // still arrive.
            Err(error @ (StoreError::Unknown(_) | StoreError::Conflict)) => {
                match self.table.get(partition, &key).await {
                    Ok(Some(row)) if row.value == value => Some(row.etag),
                    Ok(Some(row)) if row.etag == read.etag => return Err(error),
                    Ok(_) => return Err(StoreError::Conflict),
                    Err(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let etag = etag.ok_or_else(|| StoreError::Refused("a replaced row got no etag".to_owned()))?;
        Ok(Revision { etag, due_key: next_due })
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
                let conversation: Conversation = rows::decode(row)?;
                if status.is_none_or(|wanted| conversation.status() == wanted) {
                    found.push(conversation);
                }
            }
        }
        found.retain(|c| seen_to.is_none_or(|seen| c.id >= seen));
        found.sort_unstable_by_key(|c| std::cmp::Reverse(c.id));
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(|c| c.id)
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
            let operations: Result<Vec<_>, _> = chunk
                .iter()
                .map(|(row, note)| {
                    // Never an insert: that would bring back the row of a conversation that is final.
                    Ok(Operation::Replace {
                        key: rows::due_key(row.at, &row.client, row.id),
                        value: rows::encode(note)?,
                        if_match: row.etag.clone(),
                    })
                })
                .collect();
            match self.table.commit(partition, operations?).await {
                Err(error @ StoreError::Conflict) => conflict = Some(error),
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

fn due_key(conversation: &Conversation) -> Option<String> {
    conversation.next_wake_at().map(|at| rows::due_key(at, &conversation.client, conversation.id))
}

fn insert_due(conversation: &Conversation, enqueued_at: Option<Timestamp>) -> Result<Option<Operation>, StoreError> {
    due_key(conversation)
        .map(|key| {
            let leased = conversation.in_flight().is_some();
            let note = DueNote { generation: conversation.generation, enqueued_at, re_enqueued: 0, leased };
            Ok(Operation::Insert { key, value: rows::encode(&note)? })
        })
        .transpose()
}
