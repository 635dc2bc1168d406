//! Enums whose variants have a name in the API and in stored rows.

/// The text is not the name of a variant. It carries the names, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {0}")]
pub struct UnknownWord(pub String);

/// Implements `Display` and `FromStr` for an enum that has a constant `ALL` with its variants and a method `as_str`. Names
/// are read in any case.
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
                let found = Self::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text));
                found.ok_or_else(|| $crate::domain::UnknownWord(Self::ALL.map(Self::as_str).join(", ")))
            }
        }
    };
}

pub(super) use words;
