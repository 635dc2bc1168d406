//! What is kept of an answer: its beginning, as text that cannot do harm.
//!
//! Endpoints send back what they were sent, so the caller's credentials and our signature are taken out; and they
//! send anything else, so what could steer a terminal or turn text around is written as an escape.

use std::fmt::Write as _;

use super::OutboundRequest;
use crate::domain::AttemptResult;

/// What must not be kept of an answer, because it was a secret in the request.
pub struct Redactor(Vec<Vec<u8>>);

impl Redactor {
    /// Shorter ones are no secrets, and taking them out would spoil the text.
    const MIN_VALUE: usize = 4;
    /// The same for a part of a value, so that words such as `Bearer` stay readable.
    const MIN_PART: usize = 8;
    const REDACTED: &str = "[redacted]";

    /// The values of all headers but those that say nothing in confidence; each as a whole and in its parts, as
    /// it was sent and as JSON writes it.
    pub fn of(request: &OutboundRequest) -> Self {
        let mut secrets = Vec::new();
        for (_, value) in request.headers.iter().filter(|(name, _)| !is_public(name)) {
            let value = value.expose().trim();
            let parts = value.split([' ', '\t', ',', ';', '=', ':', '"']).filter(|part| part.len() >= Self::MIN_PART);
            for secret in parts.chain([value]).filter(|secret| secret.len() >= Self::MIN_VALUE) {
                let in_json = secret.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
                secrets.extend([secret.as_bytes().to_vec(), in_json.into_bytes()]);
            }
        }
        // The whole before its parts.
        secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self(secrets)
    }

    /// Enough of a body to keep, without the secrets. A piece of one at the end counts as one, because the rest
    /// may only not have been read.
    fn redact(&self, body: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(body.len().min(AttemptResult::MAX_EXCERPT));
        let mut rest = body;
        // One more than is kept, so that a character cut in half is seen to be one.
        while let ([first, after @ ..], true) = (rest, kept.len() <= AttemptResult::MAX_EXCERPT) {
            let found = self
                .0
                .iter()
                .find(|secret| rest.starts_with(secret) || rest.len() >= Self::MIN_VALUE && secret.starts_with(rest));
            if let Some(secret) = found {
                kept.extend(Self::REDACTED.bytes());
                rest = rest.get(secret.len()..).unwrap_or_default();
            } else {
                kept.push(*first);
                rest = after;
            }
        }
        kept
    }
}

/// Headers that hold no secret: what we say about the delivery, and what kind of text it is.
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

/// The text that is kept of a body: at most [`AttemptResult::MAX_EXCERPT`] bytes.
pub fn excerpt(body: &[u8], secrets: &Redactor) -> String {
    let redacted = secrets.redact(body);
    let mut text = String::new();
    for character in String::from_utf8_lossy(&redacted).chars() {
        let before = text.len();
        if is_harmful(character) {
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

/// Control characters, and those that turn the direction of text around or cannot be seen.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Method, Secret};

    fn secrets(headers: &[(&str, &str)]) -> Redactor {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), Secret::new((*v).to_owned()))).collect();
        Redactor::of(&OutboundRequest {
            method: Method::Post,
            endpoint: String::new(),
            headers,
            body: None,
            timeout: std::time::Duration::ZERO,
        })
    }

    fn kept(body: &str, headers: &[(&str, &str)]) -> String {
        excerpt(body.as_bytes(), &secrets(headers))
    }

    #[test]
    fn the_beginning_is_kept_in_whole_characters() {
        for (body, text) in [
            ("", String::new()),
            ("short", "short".to_owned()),
            (&"x".repeat(2000), "x".repeat(1024)),
            // 1,024 falls between the two bytes of a character.
            (&format!("a{}", "ü".repeat(1000)), format!("a{}", "ü".repeat(511))),
        ] {
            assert_eq!(kept(body, &[]), text);
        }
        assert_eq!(excerpt(&[0xff, b'a', 0], &secrets(&[])), "\u{fffd}a\\u{0}");
    }

    #[test]
    fn what_could_steer_a_terminal_or_turn_text_around_is_escaped() {
        assert_eq!(kept("a\u{1b}[31mb\r\nc\td\u{7f}\u{9b}", &[]), "a\\u{1b}[31mb\\r\\nc\\td\\u{7f}\\u{9b}");
        assert_eq!(kept("\u{202e}evil\u{200b}\u{feff}\u{e0041}", &[]), "\\u{202e}evil\\u{200b}\\u{feff}\\u{e0041}");
        assert_eq!(kept("日本 <b>\"\\", &[]), "日本 <b>\"\\");
        // An escape is kept whole or not at all.
        assert_eq!(kept(&format!("{}\u{1b}", "x".repeat(1020)), &[]), "x".repeat(1020));
    }

    #[test]
    fn what_was_secret_in_the_request_is_not_kept() {
        let bearer = [("authorization", "Bearer canary-token-1")];
        assert_eq!(kept("got Bearer canary-token-1!", &bearer), "got [redacted]!");
        assert_eq!(kept("the token canary-token-1 is wrong", &bearer), "the token [redacted] is wrong");
        assert_eq!(kept("Bearer is missing", &bearer), "Bearer is missing");
        let cookie = [("cookie", "theme=dark; session=canary0123; last=1")];
        assert_eq!(kept("session canary0123 of theme dark", &cookie), "session [redacted] of theme dark");
        let signature = [("webhook-signature", "v1,Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2E= v1,c2Vjb25kc2Vjb25k")];
        assert_eq!(kept("no match for c2Vjb25kc2Vjb25k", &signature), "no match for [redacted]");
        assert_eq!(kept("Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2E=", &signature), "[redacted]=");
        let quoted = [("x-key", r#"a"b\c canary"#)];
        assert_eq!(kept(r#"{"key":"a\"b\\c canary"}"#, &quoted), r#"{"key":"[redacted]"}"#);
    }

    #[test]
    fn what_is_not_secret_stays() {
        let public = [
            ("webhook-id", "01a202ac-6038-7cd8-a9cd-d4fd3c4ba038"),
            ("content-type", "application/json"),
            ("scheduler-attempt", "1"),
            ("x-short", "abc"),
        ];
        let body = "01a202ac-6038-7cd8-a9cd-d4fd3c4ba038 application/json 1 abc";
        assert_eq!(kept(body, &public), body);
    }

    #[test]
    fn a_secret_that_is_cut_off_is_not_kept_either() {
        let secret = format!("canary{}", "x".repeat(3000));
        let headers = [("x-secret", secret.as_str())];
        let cut = format!("it was {}", &secret[..2000]);
        assert_eq!(kept(&cut, &headers), "it was [redacted]");
        // It begins where the excerpt ends.
        let late = format!("{}{secret}", "y".repeat(1020));
        assert_eq!(kept(&late, &headers), format!("{}[red", "y".repeat(1020)));
        // Many of them, so that more than an excerpt goes by unkept.
        assert!(!kept(&secret.repeat(20)[..8 * 1024], &headers).contains("canary"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_an_excerpt_that_is_too_long_or_shows_a_secret(
            pieces in proptest::collection::vec(prop_oneof![
                Just(b"canary-canary".to_vec()),
                Just(b"Bearer canary-canary".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..300),
            ], 0..20),
        ) {
            let text = excerpt(&pieces.concat(), &secrets(&[("authorization", "Bearer canary-canary")]));
            prop_assert!(text.len() <= AttemptResult::MAX_EXCERPT);
            prop_assert!(!text.contains("canary-canary"));
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
