//! The conversation that a request is about, for its log lines.

use tracing::Span;
use tracing::field::display;

use crate::domain::ConversationId;

/// Adds the conversation to the log lines of the current request.
pub(crate) fn log_conversation(id: ConversationId) {
    Span::current().record("conversation.id", display(id));
}
