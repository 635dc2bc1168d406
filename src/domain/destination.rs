//! The destination of a conversation.

use super::Target;

/// The destination of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The conversation is sent to an endpoint by an HTTP request.
    Endpoint(Target),
    /// The conversation waits in the inbox of its client, which receives and acknowledges it.
    Inbox,
    /// The conversation is sent to the subscriptions of its client to [`EventName::Due`](super::EventName::Due).
    Events,
}

impl Destination {
    /// The endpoint and the method, if the conversation is sent to an endpoint.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        match self {
            Self::Endpoint(target) => Some(target),
            Self::Inbox | Self::Events => None,
        }
    }
}
