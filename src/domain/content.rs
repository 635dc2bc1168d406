//! What a conversation says.

use std::fmt;

use super::words::words;

/// What a conversation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The text.
    pub text: String,
    /// The caller's own data, carried along.
    pub info: Option<AdditionalInfo>,
    /// How it is written into the delivered request.
    pub format: Format,
}

/// The form of the delivered request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A JSON object that also names the conversation.
    #[default]
    Json,
    /// The text alone.
    Text,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 2] = [Self::Json, Self::Text];

    /// The word for it, in the API and in stored rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

words!(Format);

/// The caller's own JSON, as the caller wrote it: number formats and the order of keys survive, because receivers may
/// hash or compare it.
#[derive(Clone, PartialEq, Eq)]
pub struct AdditionalInfo(String);

impl AdditionalInfo {
    /// Takes a text that has been read as JSON.
    #[must_use]
    pub const fn from_json(text: String) -> Self {
        Self(text)
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AdditionalInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
