//! The destination of a conversation.

use super::Target;

/// The destination of a conversation. Inboxes and events will be further variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The conversation is sent to an endpoint by an HTTP request.
    Endpoint(Target),
}
