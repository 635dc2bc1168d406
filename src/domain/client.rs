//! The id of the client that owns a conversation.

use std::fmt;
use std::str::FromStr;

/// The id of a client: 1 to 64 characters of `A–Z a–z 0–9 . _ -`.
///
/// The character `~` separates the parts of a row key and is not allowed here. So the row keys of
/// one client never begin with the prefix of another client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(String);

impl ClientId {
    /// The most characters.
    pub const MAX: usize = 64;
    /// The characters, as a regular expression (ECMA-262).
    pub const PATTERN: &'static str = "^[A-Za-z0-9._-]+$";

    /// The client that the first start on a laptop creates.
    #[must_use]
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The id as it appears in requests, tokens and row keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClientId {
    type Err = InvalidClientId;

    fn from_str(text: &str) -> Result<Self, InvalidClientId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(allowed);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidClientId) }
    }
}

/// The text is not a valid client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")]
pub struct InvalidClientId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_alphabet_without_the_separator_is_accepted() {
        let longest = "x".repeat(64);
        for good in ["a", "client-1", "A.b_c-9", longest.as_str()] {
            assert!(good.parse::<ClientId>().is_ok(), "{good}");
        }
        let too_long = "x".repeat(65);
        for bad in ["", "a b", "a~b", "a/b", "x' or PartitionKey ne '", "ü", "a\0", too_long.as_str()] {
            assert_eq!(bad.parse::<ClientId>(), Err(InvalidClientId), "{bad}");
        }
    }
}
