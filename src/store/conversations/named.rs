//! Conversations that are found by a name.
//!
//! The name row and the rows of the conversation are in one partition and change in one commit, so a name never leads to a
//! conversation that was not accepted.

use super::ConversationStore;
use crate::domain::{ClientId, ConversationId, ConversationName, WholeConversation};
use crate::store::rows;
use crate::store::{Etag, Operation, StoreError, Table as _};

/// A name row that was read.
#[derive(Clone, Debug)]
pub struct NameHolder {
    /// The conversation that has the name.
    pub id: ConversationId,
    pub(super) etag: Etag,
}

impl ConversationStore {
    /// The number of the partition of a name, 0 to 15. The conversations with this name are in it.
    #[must_use]
    pub fn name_partition(name: &ConversationName) -> u8 {
        rows::name_partition(name)
    }

    /// The conversation to which a name of a client leads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn name_holder(
        &self,
        client: &ClientId,
        name: &ConversationName,
    ) -> Result<Option<NameHolder>, StoreError> {
        let partition = rows::numbered(rows::name_partition(name));
        let row = self.table.get(partition, &rows::name_key(client, name)).await?;
        row.map(|row| Ok(NameHolder { id: rows::decode_name_row(&row)?, etag: row.etag })).transpose()
    }

    /// Adds a new conversation and gives it a name, which `before` had. Its id is in the partition of the name.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another conversation got the name meanwhile. [`StoreError::Unknown`] if the result is
    /// still unknown after a second commit.
    pub async fn insert_named(
        &self,
        new: &WholeConversation,
        name: &ConversationName,
        before: Option<NameHolder>,
    ) -> Result<(), StoreError> {
        let conversation = &new.conversation;
        let (key, value) = (rows::name_key(conversation.client(), name), rows::encode_name_row(conversation.id())?);
        let name_row = match before {
            Some(before) => Operation::Replace { key, value, if_match: Some(before.etag) },
            None => Operation::Insert { key, value },
        };
        self.insert_with(new, Some(name_row)).await
    }
}
