//! Enums whose variants have a name in the API and in stored rows.

/// The text is not the name of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a known name")]
pub struct UnknownWord;

/// Implements `Display` and `FromStr` for an enum that has a constant `ALL` with its variants and a method `as_str`.
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
