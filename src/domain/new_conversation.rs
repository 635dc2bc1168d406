//! The input for a new conversation.

use super::{Content, DeliveryPolicy, Destination, Timestamp};

/// A schedule request that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// The due time.
    pub due: Timestamp,
    /// The content that is delivered.
    pub content: Content,
    /// The receiver of the content.
    pub destination: Destination,
    /// The number of attempts and the time limit of each.
    pub policy: DeliveryPolicy,
}
