//! The name of a conversation.

use std::fmt;
use std::str::FromStr;

use super::Sha256;

/// A name that a client gives to a conversation, so that it finds and replaces it without knowing its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationName(String);

impl ConversationName {
    /// The longest name, in characters.
    pub const MAX: usize = 128;

    /// Restores a name from a stored row.
    #[must_use]
    pub const fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConversationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name, and what the client last defined under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: ConversationName,
    /// The fingerprint of the definition. `None` if the client has changed the conversation since then by its id.
    pub definition: Option<Sha256>,
}

/// The text is not a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} characters of A-Z, a-z, 0-9, '.', '_' and '-', and not only dots", ConversationName::MAX)]
pub struct InvalidName;

impl FromStr for ConversationName {
    type Err = InvalidName;

    /// A name is a segment of a path, so it is neither `.` nor `..`: programs that send requests remove these.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_valid = (1..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && text.bytes().any(|b| b != b'.');
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_safe_segment_of_a_path() {
        let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
        for good in ["a", "0", "Daily-report_v1.2", ".x", "-", &*longest] {
            assert_eq!(good.parse::<ConversationName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "...", "a b", "a/b", "a~b", "a%20b", "é", "a\n", &*too_long] {
            assert_eq!(bad.parse::<ConversationName>(), Err(InvalidName), "{bad}");
        }
    }
}
