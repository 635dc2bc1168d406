//! A kind of row that exists only in these tests.

use std::collections::BTreeMap;

use mcp_scheduler::domain::{Conversation, ConversationId};
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

/// The rows of a run.
#[derive(Default)]
pub struct ExtraRows {
    /// Whether the run writes them.
    pub are_written: bool,
    rows: BTreeMap<String, String>,
}

impl ExtraRows {
    pub fn saw(&mut self, key: &str, value: Option<&String>) {
        match value {
            Some(value) => self.rows.insert(key.to_owned(), value.clone()),
            None => self.rows.remove(key),
        };
    }

    /// The row is kept, moved and removed with its conversation.
    pub fn check(&self, id: ConversationId, conversation: Option<&Conversation>) -> Option<String> {
        let suffix = format!("~{id}");
        let found: Vec<_> = self.rows.iter().filter(|(key, _)| key.ends_with(&suffix)).collect();
        let wanted = conversation.and_then(expected);
        let is_right = found.iter().copied().eq(wanted.iter().map(|(key, value)| (key, value)));
        (self.are_written && !is_right).then(|| format!("{id} has the extra rows {found:?} and should have {wanted:?}"))
    }
}
