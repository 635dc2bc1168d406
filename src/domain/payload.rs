//! The payload of a conversation.

use std::fmt;

use super::words::words;
use super::{Callbacks, Headers, SuccessWhen};

/// The part of a conversation that only its delivery and a look-up need: the text and everything else of the caller's
/// that may be large. Only the client changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The conversation text.
    pub text: String,
    /// The caller's own JSON, delivered with the text.
    pub info: Option<AdditionalInfo>,
    /// The caller's headers.
    pub headers: Headers,
    /// The caller's body, which is sent instead of the format's.
    pub body: Option<BodyTemplate>,
    /// The caller's check on the response.
    pub success_when: Option<SuccessWhen>,
    /// Who is told how the delivery ended.
    pub callbacks: Callbacks,
}

impl Payload {
    /// The size in memory during a delivery: [`Payload::stored_bytes`] and the rendered body.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.stored_bytes() + self.body.as_ref().map_or(0, |body| body.rendered_bytes)
    }

    /// The size of what the caller gave: the text, the JSON, the headers, the body, the check on the response and the
    /// callbacks.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        let info = self.info.as_ref().map_or(0, |info| info.as_str().len());
        let body = self.body.as_ref().map_or(0, |body| body.json.len());
        let check = self.success_when.as_ref().map_or(0, SuccessWhen::bytes);
        self.text.len() + info + self.headers.bytes() + body + check + self.callbacks.bytes()
    }
}

/// The form of the delivered request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A JSON object with the id, the text, the scheduled time and the additional info.
    #[default]
    Json,
    /// The text alone, as `text/plain`.
    Text,
    /// The JSON object of [`Format::Json`] as the data of a CloudEvent.
    CloudEvents,
}

impl Format {
    /// All formats, for parsing.
    pub const ALL: [Self; 3] = [Self::Json, Self::Text, Self::CloudEvents];

    /// The name in the API and in stored rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::CloudEvents => "cloudevents",
        }
    }
}

words!(Format);

/// The caller's body: JSON whose strings may have placeholders.
#[derive(Clone, PartialEq, Eq)]
pub struct BodyTemplate {
    /// The JSON, exactly as the caller wrote it.
    pub json: String,
    /// The most bytes of the body with all placeholders replaced. A delivery needs this much memory.
    pub rendered_bytes: usize,
}

impl fmt::Debug for BodyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (up to {} bytes)", self.json, self.rendered_bytes)
    }
}

/// The caller's own JSON as text, exactly as the caller wrote it. Number formats and the order of keys are preserved,
/// because receivers may hash or compare the text.
#[derive(Clone, PartialEq, Eq)]
pub struct AdditionalInfo(String);

impl AdditionalInfo {
    /// Wraps a text. The caller has checked that it is JSON.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Callback, Endpoint, Expected, Secret};

    /// The permits of a delivery are counted by this size, so it must have the memory that the body takes.
    #[test]
    fn the_size_counts_the_template_the_rendered_body_the_check_and_the_callbacks() {
        let payload = Payload {
            text: "text".to_owned(),
            info: Some(AdditionalInfo::from_json("{}".to_owned())),
            headers: Headers::default(),
            body: Some(BodyTemplate { json: "[1]".to_owned(), rendered_bytes: 1000 }),
            success_when: Some(SuccessWhen {
                pointer: "/ok".to_owned(),
                expected: Expected::Equals("true".to_owned()),
            }),
            callbacks: Callbacks {
                on_failed: Some(Callback {
                    endpoint: Endpoint::from_stored("https://a.example".to_owned()),
                    headers: Headers::from_stored(vec![("x".to_owned(), Secret::new("yz".to_owned()))]),
                }),
                on_completed: None,
            },
        };
        assert_eq!(payload.bytes(), 4 + 2 + 3 + 1000 + 3 + 4 + 17 + 3);
        assert_eq!(payload.stored_bytes(), payload.bytes() - 1000);
    }
}
