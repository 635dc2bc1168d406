//! Inserting a conversation once for each idempotency key.
//!
//! The key row and the rows of the conversation are in one partition and are inserted in one commit, so there is never a
//! key without its conversation, nor a second conversation for a key (docs/decisions/0011-idempotency-keys.md).

use super::ConversationStore;
use crate::domain::{ClientId, Conversation, IdempotentRequest, Timestamp, WholeConversation};
use crate::store::rows::{self, KeyRow};
use crate::store::{CommitError, Etag, Operation, Partition, StoreError, Table as _};

/// What is known of an earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repetition {
    /// It was the same request.
    Same {
        /// The conversation that it scheduled, as it is now.
        conversation: Box<Conversation>,
        /// The due time that was accepted.
        due: Timestamp,
    },
    /// It was another request.
    Other,
    /// It was the same request, and the conversation that it scheduled no longer exists.
    Gone,
}

/// A key row that was read.
struct FoundKey {
    row: KeyRow,
    etag: Etag,
}

/// A key row whose time is over, and which a new request replaces.
struct ExpiredKey {
    etag: Etag,
    /// The key of its expiry row. `None` if a damaged store has lost that row.
    expiry: Option<String>,
}

impl ConversationStore {
    /// How many times the commit is tried while the key row changes.
    const KEY_TRIES: u32 = 5;

    /// Adds a new conversation, unless an earlier request had the same key less than [`IdempotentRequest::KEPT`] ago. The
    /// id of the conversation is in the partition of the key. Returns `None` if the conversation was added.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if it may have been added. The client can repeat the request with the same key in every
    /// case: it finds either the conversation or no key.
    pub async fn insert_once(
        &self,
        new: &WholeConversation,
        request: &IdempotentRequest,
    ) -> Result<Option<Repetition>, StoreError> {
        let repetition = self.commit_once(new, request).await?;
        if repetition.is_none() {
            self.note_inbox_change(&new.conversation);
        }
        Ok(repetition)
    }

    async fn commit_once(
        &self,
        new: &WholeConversation,
        request: &IdempotentRequest,
    ) -> Result<Option<Repetition>, StoreError> {
        let (client, id) = (new.conversation.client(), new.conversation.id());
        let partition = rows::partition(id);
        let (mut unknown, mut expired) = (None, None);
        for _ in 0..Self::KEY_TRIES {
            let operations = self.insert_with_key(new, request, expired.as_ref())?;
            let error = match self.table.commit(partition, operations).await {
                Ok(_) => return Ok(None),
                Err(CommitError::Unknown(cause)) if unknown.is_none() => {
                    // If it was applied, its repetition has a conflict, and the key row shows our id.
                    unknown = Some(cause);
                    continue;
                }
                Err(error) => StoreError::from(error),
            };
            let is_conflict = matches!(error, StoreError::Conflict);
            if !is_conflict && unknown.is_none() {
                return Err(error);
            }
            match self.key_row(partition, client, request).await {
                Ok(Some(found)) if found.row.id == id => return Ok(None),
                // While this row is there, no commit of ours can be applied any more.
                Ok(Some(found)) if found.row.expires() > new.conversation.created() => {
                    return self.repetition_of(client, request, &found.row).await.map(Some);
                }
                Ok(found) if is_conflict => expired = self.expired_key(partition, client, request, found).await?,
                Ok(_) => return Err(unknown.map_or(error, StoreError::Unknown)),
                Err(failed) => return Err(unknown.map_or(failed, StoreError::Unknown)),
            }
        }
        Err(unknown.map_or(StoreError::Conflict, StoreError::Unknown))
    }

    /// Looks for an earlier request with the same key, without adding anything.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_repetition(
        &self,
        client: &ClientId,
        request: &IdempotentRequest,
        now: Timestamp,
    ) -> Result<Option<Repetition>, StoreError> {
        match self.key_row(rows::key_partition(request.key), client, request).await? {
            Some(found) if found.row.expires() > now => self.repetition_of(client, request, &found.row).await.map(Some),
            _ => Ok(None),
        }
    }

    /// The operations that insert a conversation with its key. The first one inserts the main row.
    fn insert_with_key(
        &self,
        new: &WholeConversation,
        request: &IdempotentRequest,
        expired: Option<&ExpiredKey>,
    ) -> Result<Vec<Operation>, StoreError> {
        let conversation = &new.conversation;
        let row = KeyRow::new(conversation.id(), request.fingerprint, conversation.created(), conversation.due());
        let (key, value) = (rows::key_row_key(conversation.client(), request.key), rows::encode_key_row(&row)?);
        let expiry = rows::expiry_key(row.expires(), &key);
        let mut operations = self.projection.insert(new, &self.sealer)?;
        operations.push(match expired {
            Some(expired) => Operation::Replace { key, value, if_match: Some(expired.etag.clone()) },
            None => Operation::Insert { key, value },
        });
        operations.push(Operation::Insert { key: expiry, value: rows::encode_expiry_row()? });
        let old_expiry = expired.and_then(|expired| expired.expiry.clone());
        operations.extend(old_expiry.map(|key| Operation::Delete { key, if_match: None }));
        Ok(operations)
    }

    async fn key_row(
        &self,
        partition: Partition,
        client: &ClientId,
        request: &IdempotentRequest,
    ) -> Result<Option<FoundKey>, StoreError> {
        let row = self.table.get(partition, &rows::key_row_key(client, request.key)).await?;
        row.map(|row| Ok(FoundKey { row: rows::decode_key_row(&row)?, etag: row.etag })).transpose()
    }

    /// What replaces a key row that was found and whose time is over.
    async fn expired_key(
        &self,
        partition: Partition,
        client: &ClientId,
        request: &IdempotentRequest,
        found: Option<FoundKey>,
    ) -> Result<Option<ExpiredKey>, StoreError> {
        let Some(FoundKey { row, etag }) = found else { return Ok(None) };
        let expiry = rows::expiry_key(row.expires(), &rows::key_row_key(client, request.key));
        let expiry = self.table.get(partition, &expiry).await?.map(|row| row.key);
        Ok(Some(ExpiredKey { etag, expiry }))
    }

    async fn repetition_of(
        &self,
        client: &ClientId,
        request: &IdempotentRequest,
        found: &KeyRow,
    ) -> Result<Repetition, StoreError> {
        if found.fingerprint != request.fingerprint {
            return Ok(Repetition::Other);
        }
        let read = self.get(client, found.id).await?;
        let same = |conversation| Repetition::Same { conversation: Box::new(conversation), due: found.due() };
        Ok(read.map_or(Repetition::Gone, |read| same(read.value)))
    }
}
