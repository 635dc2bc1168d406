//! What the quotas of a client limit.

/// Conversations that are pending: their number and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The number of conversations.
    pub conversations: usize,
    /// The bytes that the client gave with them: [`Payload::stored_bytes`](super::Payload::stored_bytes).
    pub bytes: usize,
}

impl Pending {
    /// One conversation with this many bytes.
    #[must_use]
    pub const fn one(bytes: usize) -> Self {
        Self { conversations: 1, bytes }
    }

    /// What a conversation that stays pending needs in addition to what it has.
    #[must_use]
    pub const fn growth(before: usize, after: usize) -> Self {
        Self { conversations: 0, bytes: after.saturating_sub(before) }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            conversations: self.conversations.saturating_add(other.conversations),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What is left without the other, at least nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            conversations: self.conversations.saturating_sub(other.conversations),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}
