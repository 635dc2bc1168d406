//! The excerpt of an endpoint's response that is kept with the attempt.
//!
//! Endpoints may send back the request, so the caller's credentials and our signature are redacted. They may send any
//! bytes, so characters that steer a terminal, do not show or change the direction of text are written as escapes.

use std::fmt::Write as _;

use super::OutboundRequest;
use super::echo::{echo_len, from_base64, in_base64, unescape};
use crate::domain::AttemptResult;
use crate::text::is_invisible;

/// The secrets of a request, which must not be kept of its response, in the order of their first bytes.
pub struct Redactor(Vec<Vec<u8>>);

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
                secrets.extend(in_base64(secret.as_bytes()).chain([secret.as_bytes().to_vec()]));
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
        secrets.sort_unstable();
        secrets.dedup();
        Self(secrets)
    }

    /// The beginning of a body, with the secrets redacted. If the body ends in the beginning of a secret, that is
    /// redacted too: the rest of the secret may not have been read.
    fn redact(&self, body: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(body.len().min(AttemptResult::MAX_EXCERPT));
        let mut rest = body;
        // One byte more than is kept, so that `excerpt` can recognise a character that was cut in half.
        while let ([first, after @ ..], true) = (rest, kept.len() <= AttemptResult::MAX_EXCERPT) {
            if let Some(len) = self.secret_len(rest) {
                kept.extend(Self::REDACTED.bytes());
                rest = rest.get(len..).unwrap_or_default();
            } else {
                kept.push(*first);
                rest = after;
            }
        }
        kept
    }

    /// The length of the longest secret at the beginning of a text, as the text writes it.
    fn secret_len(&self, text: &[u8]) -> Option<usize> {
        let first = [text.first().copied(), unescape(text).map(|(byte, _)| byte)];
        let candidates = first.into_iter().flatten().flat_map(|byte| self.beginning_with(byte));
        candidates.filter_map(|secret| echo_len(text, secret, Self::MIN_VALUE)).max()
    }

    fn beginning_with(&self, byte: u8) -> &[Vec<u8>] {
        let from = self.0.partition_point(|secret| secret.first() < Some(&byte));
        let to = self.0.partition_point(|secret| secret.first() <= Some(&byte));
        self.0.get(from..to).unwrap_or_default()
    }
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
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(kept("a\u{1b}[31mb\r\nc\td\u{7f}\u{9b}", &[]), "a\\u{1b}[31mb\\r\\nc\\td\\u{7f}\\u{9b}");
        assert_eq!(kept("\u{202e}evil\u{200b}\u{feff}\u{e0041}", &[]), "\\u{202e}evil\\u{200b}\\u{feff}\\u{e0041}");
        assert_eq!(kept("日本 <b>\"\\", &[]), "日本 <b>\"\\");
        // An escape is kept whole or not at all.
        assert_eq!(kept(&format!("{}\u{1b}", "x".repeat(1020)), &[]), "x".repeat(1020));
    }

    #[test]
    fn secrets_of_the_request_are_redacted() {
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
    fn secrets_are_redacted_in_the_form_in_which_an_endpoint_sends_them_back() {
        let key = [("authorization", "Bearer canary/token+1="), ("cookie", "s=canary&<0123>")];
        for (body, text) in [
            (r#"{"a":"Bearer canary\/token+1="}"#, r#"{"a":"[redacted]"}"#),
            ("a=Bearer+canary%2Ftoken%2B1%3D&b", "a=[redacted]&b"),
            ("a=Bearer%20canary%2ftoken%2b1%3d&b", "a=[redacted]&b"),
            (r"canary\u002ftoken\u002b1 is wrong", "[redacted] is wrong"),
            ("<p>canary&amp;&lt;0123&gt;</p>", "<p>[redacted]</p>"),
            ("<p>canary&#x2F;token+1</p>", "<p>[redacted]</p>"),
            // Only at the ends of a secret can a character of base64 also contain bits of others.
            ("YToiQmVhcmVyIGNhbmFyeS90b2tlbisxPSI=", "YToi[redacted]SI="),
            ("data:;base64,QmVhcmVyIGNhbmFyeS90b2tlbisxPQ==", "data:;base64,[redacted]Q=="),
            ("eyJ0IjoiY2FuYXJ5L3Rva2VuKzEifQ", "eyJ0Ijoi[redacted]EifQ"),
        ] {
            assert_eq!(kept(body, &key), text);
        }
    }

    #[test]
    fn the_password_in_a_basic_header_is_redacted_too() {
        let basic = [("authorization", "Basic dXNlcjpwYXNzMQ==")];
        for body in ["no user:pass1 here", "no pass1 here", "no Basic dXNlcjpwYXNzMQ== here", "no dXNlcjpwYXNzMQ here"]
        {
            assert_eq!(kept(body, &basic), "no [redacted] here", "{body}");
        }
        assert_eq!(kept("the user is unknown", &basic), "the user is unknown");
    }

    #[test]
    fn public_headers_and_short_values_are_kept() {
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
    fn the_beginning_of_a_secret_at_the_end_is_redacted() {
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
        fn an_excerpt_is_limited_and_shows_no_secret(
            pieces in proptest::collection::vec(prop_oneof![
                Just(b"canary-canary".to_vec()),
                Just(b"Bearer canary-canary".to_vec()),
                Just(b"Bearer+canary%2Dcanary".to_vec()),
                Just(b"canary\\u002dcanary".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..300),
            ], 0..20),
        ) {
            let text = excerpt(&pieces.concat(), &secrets(&[("authorization", "Bearer canary-canary")]));
            prop_assert!(text.len() <= AttemptResult::MAX_EXCERPT);
            prop_assert!(!["canary-canary", "canary%2Dcanary", "u002dcanary"].iter().any(|echo| text.contains(echo)));
            prop_assert!(!text.chars().any(is_invisible));
        }
    }
}
