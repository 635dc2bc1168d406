//! What a new conversation is made of.

use super::{Content, DeliveryPolicy, Target, Timestamp};

/// The parts of a request that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// When it is to be delivered.
    pub due: Timestamp,
    /// What is said.
    pub content: Content,
    /// Where it is sent.
    pub target: Target,
    /// How often and how long an attempt is made.
    pub policy: DeliveryPolicy,
}
