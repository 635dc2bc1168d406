//! The storage protocol: how a conversation is inserted, read and replaced.
//!
//! The rows of a conversation are a projection of it. They change in one commit, on the condition that the main row is
//! unchanged. The due row has exactly the time [`Conversation::next_wake_at`], so the sweep finds all outstanding
//! conversations by time.

mod counting;
mod due;
mod expiry;
mod export;
mod idempotent;
mod import;
mod inbox;
mod index;
mod list_filter;
mod listing;
mod named;
mod read_together;
mod removal;
mod restore;
mod retention;
mod single_row;
mod verify;
mod watermark;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ring::digest::{SHA256, digest};
use tokio::sync::broadcast;

pub use self::export::Exported;
pub use self::idempotent::Repetition;
pub use self::import::{ImportLine, LineKind};
pub use self::inbox::{InboxChange, InboxPage};
pub use self::list_filter::{ListFilter, ListOwner, Listed};
pub use self::listing::{ListPlace, ListRows, Listing};
pub use self::named::NameHolder;
pub use self::restore::Restored;
pub use self::verify::{Flaw, RowCounts, Verified};
use super::monitored::MonitoredTable;
use super::rows::{self, Projection, Replacement, SecondaryRows, StoredPayload, StoredRows};
use super::{CommitError, Etag, Operation, Partition, Row, Sealer, StoreError, Table};
use crate::domain::{ClientId, Conversation, ConversationId, Payload, WholeConversation};
use crate::time::Clock;

/// Reads and changes conversations in a [`Table`].
#[derive(Clone)]
pub struct ConversationStore {
    table: Arc<MonitoredTable>,
    projection: Arc<Projection>,
    sealer: Arc<Sealer>,
    /// Whether the mark of the index was found to be complete. It stays complete.
    is_indexed: Arc<AtomicBool>,
    inbox_changes: broadcast::Sender<InboxChange>,
}

/// A value that was read, with the revision that is needed to replace it.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The revision that the value had when it was read.
    pub revision: Revision,
}

/// A revision of a stored conversation. A change needs the newest revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    etag: Etag,
    rows: StoredRows,
}

impl Revision {
    /// A text that identifies the revision and does not tell how the store counts.
    #[must_use]
    pub fn entity_tag(&self) -> String {
        let hash = digest(&SHA256, self.etag.as_str().as_bytes());
        let first = hash.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        format!("{first:016x}")
    }
}

impl ConversationStore {
    /// The conversations in this table, with the projection of this release. `sealer` encrypts their secrets.
    #[must_use]
    pub fn new(table: Arc<dyn Table>, sealer: Arc<Sealer>) -> Self {
        let table = Arc::new(MonitoredTable::new(table));
        let inbox_changes = broadcast::Sender::new(Self::INBOX_CHANGES);
        Self { table, projection: Arc::default(), sealer, is_indexed: Arc::default(), inbox_changes }
    }

    /// The same with another projection. Tests use it to add kinds of rows.
    #[must_use]
    pub fn with_projection(self, projection: Projection) -> Self {
        Self { projection: Arc::new(projection), ..self }
    }

    /// Adds a new conversation.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if the result is still unknown after a second commit. After any other error nothing was
    /// added.
    pub async fn insert(&self, new: &WholeConversation) -> Result<(), StoreError> {
        self.insert_with(new, None).await
    }

    /// Adds a new conversation, and changes another row of its partition in the same commit.
    async fn insert_with(&self, new: &WholeConversation, other: Option<Operation>) -> Result<(), StoreError> {
        self.commit_new(new, other).await?;
        self.note_inbox_change(&new.conversation);
        Ok(())
    }

    async fn commit_new(&self, new: &WholeConversation, other: Option<Operation>) -> Result<(), StoreError> {
        let partition = rows::partition(new.conversation.id());
        let mut operations = self.projection.insert(new, &self.sealer)?;
        operations.extend(other);
        let unknown = match self.table.commit(partition, operations.clone()).await {
            Err(CommitError::Unknown(cause)) => cause,
            result => return Ok(result.map(drop)?),
        };
        match self.table.commit(partition, operations).await {
            // The id is new, so the main row can exist only because the first commit was applied.
            Ok(_) | Err(CommitError::Conflict { operation: Some(0) }) => Ok(()),
            Err(CommitError::Conflict { .. }) => self.is_inserted(&new.conversation).await,
            // The second commit failed, but the first one may have been applied.
            Err(_) => Err(StoreError::Unknown(unknown)),
        }
    }

    /// Finds out whether a commit with an unknown result was applied. It is needed if the repetition of the commit has
    /// a conflict that does not tell this, because it is not about the main row.
    async fn is_inserted(&self, new: &Conversation) -> Result<(), StoreError> {
        match self.get(new.client(), new.id()).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::Conflict),
        }
    }

    /// Reads a conversation of a client, without its payload.
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
        self.versioned(row).map(Some)
    }

    fn versioned(&self, row: Row) -> Result<Versioned<Conversation>, StoreError> {
        let rows::MainRow { conversation: value, payload, secrets, projection } =
            rows::decode_conversation(&row, &self.sealer)?;
        let secondary_rows = self.secondary_rows(&row.key, &value, projection)?;
        Ok(Versioned {
            value,
            revision: Revision { etag: row.etag, rows: StoredRows { secondary_rows, payload, secrets } },
        })
    }

    /// The secondary rows of a conversation whose main row has this key and records this version of the projection.
    fn secondary_rows(&self, key: &str, of: &Conversation, version: u32) -> Result<SecondaryRows, StoreError> {
        if version > self.projection.version() {
            let reason = format!("its rows were written by a newer version (projection {version})");
            return Err(StoreError::Corrupt { key: key.to_owned(), reason });
        }
        self.projection.secondary_rows(of, version)
    }

    /// The payload of a conversation that was read: [`ConversationStore::payload_at`] its revision.
    ///
    /// # Errors
    /// As [`ConversationStore::payload_at`].
    pub async fn payload(&self, read: &Versioned<Conversation>) -> Result<Payload, StoreError> {
        self.payload_at(&read.value, &read.revision).await
    }

    /// The payload of a conversation at a revision. A change of it changes the main row, too, so a later commit on this
    /// revision shows that it was the right one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] if the payload's row is missing or cannot be read;
    /// [`StoreError::Undecryptable`].
    pub async fn payload_at(&self, of: &Conversation, revision: &Revision) -> Result<Payload, StoreError> {
        match revision.rows.payload.in_main_row() {
            Some(payload) => Ok(payload.clone()),
            None => self.payload_row(of).await,
        }
    }

    async fn payload_row(&self, of: &Conversation) -> Result<Payload, StoreError> {
        let key = rows::payload_key(of.client(), of.id());
        match self.table.get(rows::partition(of.id()), &key).await? {
            Some(row) => rows::decode_payload(&row, &self.sealer),
            None => Err(StoreError::Corrupt { key, reason: "it is missing, and its main row exists".to_owned() }),
        }
    }

    /// The payload that a change has to write again: its row is not encrypted with the key of today. The main row shows it,
    /// because both are always encrypted together.
    async fn payload_to_seal(&self, rows: &StoredRows, of: &Conversation) -> Result<Option<Payload>, StoreError> {
        let is_current = rows.secrets.as_ref().is_some_and(|secrets| secrets.is_current(&self.sealer));
        if is_current || rows.payload.in_main_row().is_some() {
            return Ok(None);
        }
        match self.payload_row(of).await {
            // It is lost, and the change does not need it.
            Err(StoreError::Corrupt { .. }) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Replaces a conversation that was read with its next state, and changes the secondary rows in the same commit.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the conversation has changed since it was read. [`StoreError::Unknown`] if the
    /// commit may have been applied or may still be applied; the caller may then repeat the call.
    pub async fn replace(&self, read: Revision, next: &Conversation) -> Result<Revision, StoreError> {
        self.replace_with(read, next, None, &[]).await
    }

    /// The same, and adds new conversations in the same commit. Their ids are in the same partition. Because the commit
    /// depends on the revision, a repetition of it never adds them twice.
    ///
    /// # Errors
    /// As [`ConversationStore::replace`].
    pub async fn replace_and_insert(
        &self,
        read: Revision,
        next: &Conversation,
        new: &[WholeConversation],
    ) -> Result<Revision, StoreError> {
        self.replace_with(read, next, None, new).await
    }

    /// The same with another payload.
    ///
    /// # Errors
    /// As [`ConversationStore::replace`].
    pub async fn replace_whole(&self, read: Revision, next: &WholeConversation) -> Result<Revision, StoreError> {
        self.replace_with(read, &next.conversation, Some(&next.payload), &[]).await
    }

    async fn replace_with(
        &self,
        read: Revision,
        next: &Conversation,
        new_payload: Option<&Payload>,
        new: &[WholeConversation],
    ) -> Result<Revision, StoreError> {
        let partition = rows::partition(next.id());
        let Revision { etag: read_etag, rows } = read;
        let old_payload = match new_payload {
            Some(_) => None,
            None => self.payload_to_seal(&rows, next).await?,
        };
        let new_payload = new_payload.or(old_payload.as_ref());
        let Replacement { mut operations, rows } =
            self.projection.replace(read_etag.clone(), rows, new_payload, next, &self.sealer)?;
        for new in new {
            operations.extend(self.projection.insert(new, &self.sealer)?);
        }
        let etag = match self.table.commit(partition, operations).await {
            Ok(etags) => etags.into_iter().next().flatten(),
            Err(error @ (CommitError::Unknown(_) | CommitError::Conflict { .. })) => {
                self.applied(partition, next, &rows.payload, &read_etag, error.into()).await?
            }
            Err(error) => return Err(error.into()),
        };
        let etag =
            etag.ok_or_else(|| StoreError::Refused("the backend returned no etag for a replaced row".to_owned()))?;
        self.note_inbox_change(next);
        Ok(Revision { etag, rows })
    }

    /// The etag of the main row, if the row shows that the next state was written by this commit or by an earlier one
    /// with a lost result. An equal conversation is a proof: a claim contains a random token, and equal cancels have the
    /// same effect. An unchanged row is not a proof, because the commit may still be applied.
    async fn applied(
        &self,
        partition: Partition,
        next: &Conversation,
        payload: &StoredPayload,
        read: &Etag,
        error: StoreError,
    ) -> Result<Option<Etag>, StoreError> {
        let is_next = |main: rows::MainRow| {
            let written = (&main.conversation, &main.payload, main.projection);
            written == (next, payload, self.projection.version())
        };
        match self.table.get(partition, &rows::conversation_key(next.client(), next.id())).await {
            Ok(Some(row)) if row.etag == *read => Err(error),
            Ok(Some(row)) if rows::decode_conversation(&row, &self.sealer).is_ok_and(is_next) => Ok(Some(row.etag)),
            Ok(_) => Err(StoreError::Conflict),
            Err(_) => Err(error),
        }
    }

    /// The partition of a conversation.
    #[must_use]
    pub fn partition(id: ConversationId) -> Partition {
        rows::partition(id)
    }

    /// All partitions that contain conversations.
    pub fn partitions() -> impl Iterator<Item = Partition> {
        rows::partitions()
    }

    /// Whether all commits of the last minute or longer have failed. It needs no I/O.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.table.is_failing()
    }

    /// Makes sure that the clock knows the time: a clock that follows the storage learns it from any response.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there was no response, or one without a date.
    pub async fn tell_time(&self, clock: &dyn Clock) -> Result<(), StoreError> {
        if clock.is_known() {
            return Ok(());
        }
        let checked = self.check().await;
        if clock.is_known() {
            Ok(())
        } else {
            checked.and(Err(StoreError::Unavailable("it does not tell the time".into())))
        }
    }

    /// Checks that the store responds.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn check(&self) -> Result<(), StoreError> {
        let Some(partition) = rows::partitions().next() else { return Ok(()) };
        self.table.get(partition, "m").await.map(drop)
    }
}
