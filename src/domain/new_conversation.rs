//! What a new conversation is made of.

use super::{Content, DeliveryPolicy, Destination, Timestamp};

/// The parts of a request that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// When it is to be delivered.
    pub due: Timestamp,
    /// What is said.
    pub content: Content,
    /// Where it goes.
    pub destination: Destination,
    /// How often and how long an attempt is made.
    pub policy: DeliveryPolicy,
}
