//! The index, retention and inbox rows of a run, and those that its conversations should have. The form is written down here a second time, so
//! that a mistake in the projection shows.

use std::collections::BTreeSet;

use mcp_scheduler::domain::{Conversation, ConversationId, Destination, State, Status};
use mcp_scheduler::store::Operation;

/// The first parts of the keys of these rows.
pub const PREFIXES: [&str; 3] = ["i~", "x~", "r~"];

/// Whether this is the key of one of these rows.
pub fn is_one(key: &str) -> bool {
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// The keys of these rows.
#[derive(Default)]
pub struct IndexRows(BTreeSet<String>);

impl IndexRows {
    /// Applies an operation to one of these rows. Returns the conversation of the row.
    pub fn saw(&mut self, operation: &Operation) -> ConversationId {
        let key = operation.key();
        match operation {
            Operation::Insert { .. } => assert!(self.0.insert(key.to_owned()), "{key} is inserted twice"),
            Operation::Delete { .. } => assert!(self.0.remove(key), "{key} is not there"),
            Operation::Replace { .. } => panic!("{key} never changes"),
        }
        key.rsplit('~').next().unwrap().parse().unwrap()
    }

    /// Checks I14.
    pub fn check(&self, id: ConversationId, conversation: Option<&Conversation>) -> Option<String> {
        let suffix = format!("~{id}");
        let found: Vec<_> = self.0.iter().filter(|key| key.ends_with(&suffix)).collect();
        let wanted = conversation.into_iter().flat_map(|it| [inbox_row(it), retention_row(it), Some(expected(it))]);
        let wanted: Vec<_> = wanted.flatten().collect();
        let is_right = found.iter().copied().eq(wanted.iter());
        (!is_right).then(|| format!("I14 {id} has the index rows {found:?} and should have {wanted:?}"))
    }

    /// Checks I14 when nothing is left to do.
    pub fn check_at_rest<'a>(&self, keys: impl Iterator<Item = &'a String>) -> Option<String> {
        let there: BTreeSet<_> = keys.filter(|key| is_one(key)).cloned().collect();
        (there != self.0).then(|| format!("I14 the index rows are {there:?} and should be {:?}", self.0))
    }
}

/// The key of the index row of a conversation.
pub fn expected(conversation: &Conversation) -> String {
    let (client, id) = (conversation.client(), conversation.id());
    match conversation.status() {
        Status::Scheduled if conversation.is_paused() => format!("x~{client}~live~99999999999999~{id}"),
        Status::Scheduled | Status::InProgress => {
            format!("x~{client}~live~{:014}~{id}", conversation.due().as_millis())
        }
        status @ (Status::Completed | Status::Failed | Status::Cancelled) => {
            let end = 99_999_999_999_999 - conversation.updated().as_millis();
            format!("x~{client}~{}~{end:014}~{id}", status.as_str())
        }
    }
}

/// The key of the inbox row of a conversation.
fn inbox_row(conversation: &Conversation) -> Option<String> {
    let at = match (conversation.destination(), conversation.state()) {
        (Destination::Inbox, State::Scheduled) if !conversation.is_paused() => conversation.due(),
        (Destination::Inbox, State::Waiting { next_attempt }) => *next_attempt,
        (Destination::Inbox, State::Delivering { lease, .. }) => lease.until,
        _ => return None,
    };
    Some(format!("i~{}~{:014}~{}", conversation.client(), at.as_millis(), conversation.id()))
}

/// The key of the retention row of a conversation.
fn retention_row(conversation: &Conversation) -> Option<String> {
    let end = conversation.updated().as_millis();
    let key = format!("r~{end:014}~{}~{}", conversation.client(), conversation.id());
    conversation.status().is_final().then_some(key)
}
