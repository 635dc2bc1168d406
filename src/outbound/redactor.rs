//! The excerpt of an endpoint's response that is kept with the attempt.
//!
//! Endpoints may send back the request, so the caller's credentials and our signature are redacted. They may send any
//! bytes, so characters that steer a terminal, do not show or change the direction of text are written as escapes.

use std::fmt::Write as _;

use super::OutboundRequest;
use super::echo::{Place, Reading, from_base64, in_base64};
use crate::domain::AttemptResult;
use crate::text::is_invisible;

/// The secrets of a request, which must not be kept of its response: sorted, and `+` as a space.
pub struct Redactor(Vec<Secret>);

/// One form of a secret.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Secret {
    bytes: Vec<u8>,
    /// The position of the longest other secret with which this one begins.
    beginning: Option<usize>,
}

impl Redactor {
    /// Shorter values are no secrets, and redacting them would make the text unreadable.
    const MIN_VALUE: usize = 4;
    /// Shorter parts of a value are not redacted, so that words such as `Bearer` stay readable.
    const MIN_PART: usize = 8;
    const REDACTED: &str = "[redacted]";

    /// The values of all headers that may be secret: each whole value, each of its parts, and the text that a part in
    /// base64 contains. All of them also as a part of a text in base64.
    pub fn of(request: &OutboundRequest) -> Self {
        let mut secrets = Vec::new();
        let mut add = |secret: &str| {
            if secret.len() >= Self::MIN_VALUE {
                // A secret can contain an escape sequence, which is resolved together with those of the text.
                secrets.extend(Reading::all(secret.as_bytes()).map(|reading| reading.bytes));
                secrets.extend(in_base64(secret.as_bytes()));
            }
        };
        for (_, value) in request.headers.iter().filter(|(name, _)| !is_public(name)) {
            let value = value.expose().trim();
            add(value);
            for part in value.split([' ', '\t', ',', ';', '=', ':', '"']).filter(|part| part.len() >= Self::MIN_PART) {
                add(part);
                if let Some(text) = from_base64(part) {
                    add(&text);
                    add(text.split_once(':').map_or("", |(_, password)| password));
                }
            }
        }
        Self::sorted(&secrets)
    }

    fn sorted(secrets: &[Vec<u8>]) -> Self {
        let long_enough = secrets.iter().filter(|secret| secret.trim_ascii().len() >= Self::MIN_VALUE);
        let mut folded: Vec<_> = long_enough.map(|secret| fold(secret)).collect();
        folded.sort_unstable();
        folded.dedup();
        let mut sorted = Self(Vec::with_capacity(folded.len()));
        for bytes in folded {
            let beginning = sorted.beginning_of(&bytes, sorted.0.len().checked_sub(1));
            sorted.0.push(Secret { bytes, beginning });
        }
        sorted
    }

    /// The beginning of a body, with the secrets redacted.
    fn redact(&self, body: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(body.len());
        let mut end = 0;
        for (from, to) in self.places(body) {
            if from >= end {
                kept.extend_from_slice(body.get(end..from).unwrap_or_default());
                kept.extend_from_slice(Self::REDACTED.as_bytes());
            }
            end = end.max(to);
        }
        kept.extend_from_slice(body.get(end..).unwrap_or_default());
        // One byte more than is kept, so that `excerpt` can recognise a character that was cut in half.
        kept.truncate(AttemptResult::MAX_EXCERPT + 1);
        kept
    }

    /// The places of all secrets in a body, by their first bytes.
    fn places(&self, body: &[u8]) -> Vec<Place> {
        let mut places = Vec::new();
        for reading in Reading::all(body) {
            let (text, whole) = (fold(&reading.bytes), reading.without_cut_escape().len());
            let mut at = 0;
            while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
                let first = reading.places.get(at).map(|place| place.0);
                if let Some(len) = self.secret_len(rest) {
                    let last = reading.places.get(at + len - 1).map(|place| place.1);
                    places.extend(first.zip(last));
                    at += len;
                } else if self.is_cut_off(rest) || text.get(at..whole).is_some_and(|rest| self.is_cut_off(rest)) {
                    places.extend(first.map(|first| (first, body.len())));
                    break;
                } else {
                    at += 1;
                }
            }
        }
        places.sort_unstable();
        places
    }

    /// The length of the longest secret at the beginning of a text.
    fn secret_len(&self, text: &[u8]) -> Option<usize> {
        let last = self.0.partition_point(|secret| *secret.bytes <= *text).checked_sub(1);
        let found = self.0.get(self.beginning_of(text, last)?)?;
        Some(found.bytes.len())
    }

    /// The position of the longest secret with which a text begins. `last` is the last secret that sorts before the text.
    /// What sorts between a text and its beginning has that beginning too, so no other secrets need be compared.
    fn beginning_of(&self, text: &[u8], last: Option<usize>) -> Option<usize> {
        let candidate = |at: &usize| self.0.get(*at);
        let mut candidates = std::iter::successors(last, |at| candidate(at)?.beginning);
        candidates.find(|at| candidate(at).is_some_and(|secret| text.starts_with(&secret.bytes)))
    }

    /// Whether a text is the beginning of a secret: the rest of the secret may not have been read.
    fn is_cut_off(&self, text: &[u8]) -> bool {
        let next = self.0.get(self.0.partition_point(|secret| *secret.bytes <= *text));
        text.len() >= Self::MIN_VALUE && next.is_some_and(|secret| secret.bytes.starts_with(text))
    }
}

/// A text in which a space and `+`, which stands for a space in a URL, are the same.
fn fold(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect()
}

/// Headers that hold no secret: our own about the delivery, and those about the type and language of the content.
fn is_public(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "accept",
        "content-type",
        "idempotency-key",
        "traceparent",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "accept-language",
    ];
    NAMES.contains(&name) || name.starts_with("scheduler-")
}

/// The excerpt of a body: at most [`AttemptResult::MAX_EXCERPT`] bytes.
pub fn excerpt(body: &[u8], secrets: &Redactor) -> String {
    let redacted = secrets.redact(body);
    let mut text = String::new();
    for character in String::from_utf8_lossy(&redacted).chars() {
        let before = text.len();
        if is_invisible(character) {
            let _ = write!(text, "{}", character.escape_default());
        } else {
            text.push(character);
        }
        if text.len() > AttemptResult::MAX_EXCERPT {
            text.truncate(before);
            break;
        }
    }
    if redacted.len() > AttemptResult::MAX_EXCERPT {
        text.truncate(text.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
    }
    text
}

#[cfg(test)]
#[path = "redactor_tests.rs"]
mod tests;
