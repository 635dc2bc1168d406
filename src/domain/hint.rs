//! Wake-ups.

use super::{ClientId, ConversationId};

/// "Look at this conversation now."
///
/// A hint carries no state and is not trusted: whoever gets one reads the row before acting, so a
/// lost, late, early, doubled or forged hint can cost time or a read, never correctness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The owner.
    pub client: ClientId,
    /// The conversation to look at.
    pub id: ConversationId,
    /// The generation that the hint was made for.
    pub generation: u32,
}
