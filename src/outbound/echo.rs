//! The forms in which an endpoint may send back a secret: as it was sent, escaped for JSON, HTML, a URL or source code
//! (also several times), and inside a text in base64, also one with line breaks.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The longest escape sequence in bytes, such as `\u002f`.
const MAX_ESCAPE: usize = 6;

/// A text as a reader understands it who resolves its escape sequences some number of times.
///
/// A sequence that begins with a character before a secret and ends inside it hides the secret. No program writes such a
/// text by mistake, and an endpoint that wants to show a secret can encode it in any way.
///
/// Line breaks and the indentation after them are left out, because a text in base64 is broken into lines anywhere.
pub(super) struct Reading {
    pub(super) bytes: Vec<u8>,
    /// The place in the text of each byte.
    pub(super) places: Vec<Place>,
}

/// The first byte and the end of a part of the text.
pub(super) type Place = (usize, usize);

impl Reading {
    /// The number of times that escape sequences are resolved. JSON in a string of JSON in a log line needs three.
    const MAX_RESOLVED: usize = 4;

    /// All readings of a text: of the text itself, and each one that has fewer escape sequences than the one before.
    pub(super) fn all(text: &[u8]) -> impl Iterator<Item = Self> {
        let raw = Self::without_line_breaks(text.iter().enumerate().map(|(at, byte)| (*byte, (at, at + 1))));
        std::iter::successors(Some(raw), Self::resolved).take(1 + Self::MAX_RESOLVED)
    }

    /// The reading after all escape sequences are resolved once. `None` if there is none.
    fn resolved(&self) -> Option<Self> {
        let mut rest = (&*self.bytes, &*self.places);
        let resolved = std::iter::from_fn(|| {
            let (byte, len) = unescape(rest.0).or_else(|| Some((*rest.0.first()?, 1)))?;
            let ((_, bytes), (escaped, places)) = (rest.0.split_at_checked(len)?, rest.1.split_at_checked(len)?);
            rest = (bytes, places);
            Some((byte, (escaped.first()?.0, escaped.last()?.1)))
        });
        let resolved = Self::without_line_breaks(resolved);
        (resolved.bytes.len() < self.bytes.len()).then_some(resolved)
    }

    fn without_line_breaks(bytes: impl Iterator<Item = (u8, Place)>) -> Self {
        let mut is_indentation = false;
        let kept = bytes.filter(|(byte, _)| {
            let is_break = matches!(byte, b'\r' | b'\n');
            is_indentation = is_break || is_indentation && matches!(byte, b' ' | b'\t');
            !is_indentation
        });
        let (bytes, places) = kept.unzip();
        Self { bytes, places }
    }

    /// The bytes without an escape sequence at the end whose rest is missing.
    pub(super) fn without_cut_escape(&self) -> &[u8] {
        let from = self.bytes.len().saturating_sub(MAX_ESCAPE - 1);
        let cut = (from..self.bytes.len()).find(|at| {
            let rest = self.bytes.get(*at..).unwrap_or_default();
            matches!(rest.first(), Some(b'\\' | b'%' | b'&')) && unescape(rest).is_none()
        });
        self.bytes.get(..cut.unwrap_or(self.bytes.len())).unwrap_or_default()
    }
}

/// The byte for which an escape sequence at the beginning of a text stands, and the length of the sequence.
fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', high, low, ..] => Some((hex(&[*high, *low])?, 3)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((hex(&[*high, *low])?, 6)),
        [b'\\', b'x', high, low, ..] => Some((hex(&[*high, *low])?, 4)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        [b'\\', b'n', ..] => Some((b'\n', 2)),
        [b'\\', b'r', ..] => Some((b'\r', 2)),
        [b'\\', escaped, ..] if !escaped.is_ascii_alphanumeric() => Some((*escaped, 2)),
        [b'&', rest @ ..] => {
            let end = rest.iter().take(MAX_ESCAPE).position(|byte| *byte == b';')?;
            Some((entity(rest.get(..end)?)?, end + 2))
        }
        _ => None,
    }
}

/// The character of an entity of HTML, without `&` and `;`.
fn entity(name: &[u8]) -> Option<u8> {
    Some(match name {
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"quot" => b'"',
        b"apos" => b'\'',
        b"sol" => b'/',
        [b'#', b'x' | b'X', digits @ ..] => hex(digits)?,
        [b'#', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    })
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The parts of a text in base64 that show that the text contains this secret: one for each position that the secret
/// can have in a group of three bytes. The characters at both ends also depend on the bytes beside it and are left out.
pub(super) fn in_base64(secret: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD].into_iter().flat_map(move |alphabet| {
        (0..3).filter_map(move |before: usize| {
            let mut text = vec![0; before];
            text.extend_from_slice(secret);
            let encoded = alphabet.encode(text);
            let (first, end) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
            encoded.as_bytes().get(first..end).map(<[u8]>::to_vec)
        })
    })
}

/// The text that a value in base64 contains, such as the user and the password of `Basic` authentication.
pub(super) fn from_base64(value: &str) -> Option<String> {
    let value = value.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(value).or_else(|_| URL_SAFE_NO_PAD.decode(value)).ok()?;
    String::from_utf8(bytes).ok().filter(|text| text.chars().all(|c| !c.is_control()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_of_a_byte_is_the_byte() {
        for (escaped, byte) in [
            ("%2F", b'/'),
            ("%2f", b'/'),
            ("%20", b' '),
            (r"\/", b'/'),
            (r"\\", b'\\'),
            (r#"\""#, b'"'),
            (r"\t", b'\t'),
            (r"\n", b'\n'),
            (r"\r", b'\r'),
            (r"\u003d", b'='),
            (r"\u002F", b'/'),
            (r"\x2f", b'/'),
            ("&amp;", b'&'),
            ("&#39;", b'\''),
            ("&#x2F;", b'/'),
        ] {
            assert_eq!(unescape(format!("{escaped}x").as_bytes()), Some((byte, escaped.len())), "{escaped}");
        }
        for plain in
            ["", "a", "%", "%2", "%zz", r"\", r"\a", r"\u00", r"\u0100", "&", "&amp", "&nbsp;", "&#300;", "&#;"]
        {
            assert_eq!(unescape(plain.as_bytes()), None, "{plain}");
        }
    }

    fn readings(text: &str) -> Vec<String> {
        Reading::all(text.as_bytes()).map(|reading| String::from_utf8(reading.bytes).unwrap()).collect()
    }

    #[test]
    fn escapes_are_resolved_until_none_is_left_but_not_without_end() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a+b", &["a+b"]),
            (r"a\\\/b", &[r"a\\\/b", r"a\/b", "a/b"]),
            (r#"\\\"a\\u002fb"#, &[r#"\\\"a\\u002fb"#, r#"\"a\u002fb"#, "\"a/b"]),
            ("%2525&amp;lt;", &["%2525&amp;lt;", "%25&lt;", "%<"]),
            ("%252525252541", &["%252525252541", "%2525252541", "%25252541", "%252541", "%2541"]),
            ("ab\r\n  cd\n+e\r\r f", &["abcd+ef"]),
            (r"ab\\r\\ncd", &[r"ab\\r\\ncd", r"ab\r\ncd", "abcd"]),
        ] {
            assert_eq!(readings(text), expected, "{text}");
        }
    }

    #[test]
    fn each_byte_of_a_reading_knows_its_place_in_the_text() {
        let last = Reading::all(br"x\\\/\\n\u0025\n 41y").last().unwrap();
        assert_eq!((&*last.bytes, &*last.places), (&b"x/Ay"[..], &[(0, 1), (1, 5), (8, 19), (19, 20)][..]));
    }

    #[test]
    fn an_escape_that_is_cut_off_is_recognised() {
        for (text, whole) in [
            ("abcd", "abcd"),
            (r"abcd\", "abcd"),
            ("abcd%", "abcd"),
            ("abcd%2", "abcd"),
            (r"abcd\u00", "abcd"),
            ("abcd&#x", "abcd"),
            ("abcd%2F", "abcd%2F"),
            ("ab%cdefg", "ab%cdefg"),
        ] {
            let reading = Reading::all(text.as_bytes()).next().unwrap();
            assert_eq!(reading.without_cut_escape(), whole.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_text_in_base64_contains_one_of_the_parts_wherever_the_secret_is() {
        for secret in ["abcd", "canary-token-1", "ÿþýüûúùø????>>>>"] {
            let parts: Vec<String> =
                in_base64(secret.as_bytes()).map(|part| String::from_utf8(part).unwrap()).collect();
            assert!(parts.iter().all(|part| part.len() >= 4), "{parts:?}");
            for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                for text in ["", "x", "xy", "xyz", "Bearer ", "{\"a\":\"ü"] {
                    let encoded = alphabet.encode(format!("{text}{secret}{text}"));
                    assert!(parts.iter().any(|part| encoded.contains(part)), "{secret} in {encoded}");
                }
            }
        }
    }

    #[test]
    fn a_value_in_base64_is_read_if_it_is_text() {
        assert_eq!(from_base64("dXNlcjpwYXNzd29yZA==").as_deref(), Some("user:password"));
        assert_eq!(from_base64("Pz8_").as_deref(), Some("???"));
        for other in ["canary-token-1!", "AAAA", "/////w"] {
            assert_eq!(from_base64(other), None, "{other}");
        }
    }
}
