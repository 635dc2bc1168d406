//! I15: each end of a delivery whose client wants it has exactly one callback, in the commit of the end.

use mcp_scheduler::domain::{Conversation, ConversationId, Status};

use super::occurrences;

/// The label of the conversations with both callbacks. Their callbacks have it, too.
const LABEL: (&str, &str) = ("calls", "both");

pub fn label() -> (String, String) {
    (LABEL.0.to_owned(), LABEL.1.to_owned())
}

/// The states of conversations in one commit.
#[derive(Default)]
pub struct Commit {
    ended: Vec<ConversationId>,
    pub callbacks: Vec<ConversationId>,
}

impl Commit {
    pub fn saw(&mut self, before: Option<&Conversation>, next: &Conversation) {
        let has_ended = match before {
            Some(before) if next.series().is_some() => {
                occurrences::ended(before, next).is_some() && next.status() != Status::Cancelled
            }
            _ => matches!(next.status(), Status::Completed | Status::Failed),
        };
        match (before, next.callback_of()) {
            (None, Some(id)) => self.callbacks.push(id),
            (Some(_), None) if has_ended && next.labels().iter().any(|label| label == LABEL) => {
                self.ended.push(next.id());
            }
            _ => {}
        }
    }

    /// What is wrong with the commit.
    pub fn check(mut self) -> Option<String> {
        self.ended.sort_unstable();
        self.callbacks.sort_unstable();
        let Self { ended, callbacks } = self;
        (ended != callbacks).then(|| format!("I15 a commit ends {ended:?} and has callbacks of {callbacks:?}"))
    }
}
