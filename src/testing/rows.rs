//! Rows as tests read them.

use crate::domain::Conversation;
use crate::store::{Row, StoreError, read_conversation};

/// The conversation in a main row.
///
/// # Errors
/// [`StoreError::Corrupt`] if the row is none.
pub fn conversation_in(row: &Row) -> Result<Conversation, StoreError> {
    read_conversation(row)
}
