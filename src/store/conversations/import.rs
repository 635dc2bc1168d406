//! Importing the lines of an export. What exists already is left alone, so that an import can run again.

use super::{ConversationStore, NameHolder};
use crate::domain::{ClientId, Sha256, Timestamp, WholeConversation};
use crate::store::rows::{self, Imported, KeyRow};
use crate::store::{Client, CommitError, Operation, Partition, StoreError, Table as _};

/// A line of an export that was read and can be imported.
pub struct ImportLine(Imported);

/// The kind of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A client.
    Client,
    /// A conversation.
    Conversation,
    /// An idempotency key. Its conversation must be imported before it.
    IdempotencyKey,
}

impl ImportLine {
    /// What the line contains.
    #[must_use]
    pub const fn kind(&self) -> LineKind {
        match self.0 {
            Imported::Client(_) => LineKind::Client,
            Imported::Conversation { .. } => LineKind::Conversation,
            Imported::Key { .. } => LineKind::IdempotencyKey,
        }
    }

    /// The client, if the line contains one.
    #[must_use]
    pub const fn client(&self) -> Option<&Client> {
        match &self.0 {
            Imported::Client(client) => Some(client),
            Imported::Conversation { .. } | Imported::Key { .. } => None,
        }
    }

    /// The time at which the conversation of the line needs a worker, if it does, and its partition.
    #[must_use]
    pub fn next_wake_at(&self) -> Option<(Partition, Timestamp)> {
        match &self.0 {
            Imported::Conversation { whole, .. } => {
                Some((rows::partition(whole.conversation.id()), whole.conversation.next_wake_at()?))
            }
            Imported::Client(_) | Imported::Key { .. } => None,
        }
    }
}

impl ConversationStore {
    /// How many times a conversation is inserted while its name goes to others.
    const IMPORT_TRIES: u32 = 5;

    /// Reads a line of an export.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is none, or a newer version has written it. [`StoreError::Undecryptable`] if this store
    /// does not have the key of its secrets.
    pub fn read_line(&self, line: &str) -> Result<ImportLine, StoreError> {
        rows::decode_line(line, &self.sealer).map(ImportLine)
    }

    /// Inserts the conversation or the idempotency key of a line. Returns whether it was inserted: not if it exists, nor if
    /// the conversation of a key does not. A client is never inserted here.
    ///
    /// # Errors
    /// [`StoreError`] if it was not inserted, or this is not known. The import can be repeated in every case.
    pub async fn import(&self, line: &ImportLine) -> Result<bool, StoreError> {
        match &line.0 {
            Imported::Client(_) => Ok(false),
            Imported::Conversation { whole, holds_name } => self.import_conversation(whole, *holds_name).await,
            Imported::Key { client, key, row } => self.import_key(client, *key, row).await,
        }
    }

    async fn import_conversation(&self, whole: &WholeConversation, holds_name: bool) -> Result<bool, StoreError> {
        let conversation = &whole.conversation;
        let (client, id) = (conversation.client(), conversation.id());
        let (partition, key) = (rows::partition(id), rows::conversation_key(client, id));
        for _ in 0..Self::IMPORT_TRIES {
            if self.table.get(partition, &key).await?.is_some() {
                return Ok(false);
            }
            let name_row = if holds_name { self.name_row_for(whole).await? } else { None };
            match self.insert_with(whole, name_row).await {
                Err(StoreError::Conflict) => {}
                result => return result.map(|()| true),
            }
        }
        Err(StoreError::Conflict)
    }

    /// The operation that gives a conversation its name, unless a newer one has it.
    async fn name_row_for(&self, whole: &WholeConversation) -> Result<Option<Operation>, StoreError> {
        let (client, id) = (whole.conversation.client(), whole.conversation.id());
        let Some(name) = whole.conversation.name() else { return Ok(None) };
        let (key, value) = (rows::name_key(client, name), rows::encode_name_row(id)?);
        Ok(match self.name_holder(client, name).await? {
            None => Some(Operation::Insert { key, value }),
            Some(NameHolder { id: other, etag }) if other < id => {
                Some(Operation::Replace { key, value, if_match: Some(etag) })
            }
            Some(_) => None,
        })
    }

    async fn import_key(&self, client: &ClientId, key: Sha256, row: &KeyRow) -> Result<bool, StoreError> {
        let (partition, key) = (rows::key_partition(key), rows::key_row_key(client, key));
        // Without its conversation, the key would refuse the request that it belongs to.
        if self.table.get(partition, &rows::conversation_key(client, row.id)).await?.is_none() {
            return Ok(false);
        }
        let expiry = rows::expiry_key(row.expires(), &key);
        let insert = vec![
            Operation::Insert { key, value: rows::encode_key_row(row)? },
            Operation::Insert { key: expiry, value: rows::encode_expiry_row()? },
        ];
        match self.table.commit(partition, insert).await {
            Err(CommitError::Conflict { .. }) => Ok(false),
            result => Ok(result.map(|_| true)?),
        }
    }
}
