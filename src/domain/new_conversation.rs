//! The input for a new conversation.

use super::{DeliveryPolicy, Destination, Format, Payload, Timestamp};

/// A schedule request that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// The due time.
    pub due: Timestamp,
    /// The payload that is delivered.
    pub payload: Payload,
    /// The form of the delivered request's body.
    pub format: Format,
    /// The receiver of the content.
    pub destination: Destination,
    /// The number of attempts and the time limit of each.
    pub policy: DeliveryPolicy,
}
