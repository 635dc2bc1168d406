//! Reads rows for tests that look below the storage protocol.

use crate::domain::Conversation;
use crate::store::{Row, StoreError, read_conversation};

/// The conversation in a main row.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is not a main row.
pub fn conversation_in(row: &Row) -> Result<Conversation, StoreError> {
    read_conversation(row)
}
