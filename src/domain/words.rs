//! Enums that have one word for each variant, in the API and in stored rows.

/// A text that is none of an enum's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not one of the known words")]
pub struct UnknownWord;

/// Reads and writes an enum by its words: `ALL` has its variants, and `as_str` the word of each.
macro_rules! words {
    ($enum:ty) => {
        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $enum {
            type Err = $crate::domain::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or($crate::domain::UnknownWord)
            }
        }
    };
}

pub(super) use words;
