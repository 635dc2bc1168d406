//! The thread that a conversation belongs to.

use std::str::FromStr;

/// The caller's id of a thread. A receiver resumes the same session by it. It is sent as a header, so it has only
/// characters that a header may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThreadId(String);

impl ThreadId {
    /// The longest id, in characters.
    pub const MAX: usize = 128;

    /// Restores an id from a stored row.
    #[must_use]
    pub const fn from_stored(id: String) -> Self {
        Self(id)
    }

    /// The id as the caller wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not a valid id of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} visible ASCII characters, without spaces", ThreadId::MAX)]
pub struct InvalidThreadId;

impl FromStr for ThreadId {
    type Err = InvalidThreadId;

    fn from_str(text: &str) -> Result<Self, InvalidThreadId> {
        let valid = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidThreadId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_is_accepted() {
        let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
        for good in ["a", "!~", "thread:1/2;a=\"b\"", &*longest] {
            assert_eq!(good.parse::<ThreadId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\r\nx: y", "\t", "é", "\u{7f}", "日本", &*too_long] {
            assert_eq!(bad.parse::<ThreadId>(), Err(InvalidThreadId), "{bad}");
        }
    }
}
