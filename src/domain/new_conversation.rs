//! The input for a new conversation.

use super::{DeliveryPolicy, Destination, DueTime, Format, Payload};

/// A schedule request that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConversation {
    /// The due time, with the zone that the caller named.
    pub due: DueTime,
    /// The payload that is delivered.
    pub payload: Payload,
    /// The form of the delivered request's body.
    pub format: Format,
    /// The receiver of the content.
    pub destination: Destination,
    /// The number of attempts and the time limit of each.
    pub policy: DeliveryPolicy,
}
