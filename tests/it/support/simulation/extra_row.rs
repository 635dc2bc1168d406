//! A kind of row that exists only in these tests.

use mcp_scheduler::domain::Conversation;
use mcp_scheduler::store::{Projection, StoreError};

/// How the keys of the rows begin.
pub const PREFIX: &str = "t~";

/// The projection of the service with this kind of row.
pub fn projection() -> Projection {
    Projection::default().with(|conversation: &Conversation| -> Result<_, StoreError> { Ok(expected(conversation)) })
}

/// The row exists while the conversation is not final. Its key changes with the status and its value with the number
/// of attempts, so that it is moved by some changes, replaced by others and removed at the end.
pub fn expected(conversation: &Conversation) -> Option<(String, String)> {
    let status = conversation.status();
    let key = format!("{PREFIX}{}~{}~{}", conversation.client(), status.as_str(), conversation.id());
    (!status.is_final()).then(|| (key, format!("{} attempts", conversation.attempts_begun())))
}
