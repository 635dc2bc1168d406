//! The forms in which an endpoint may send back a secret: as it was sent, escaped for JSON, HTML, a URL or source code,
//! and inside a text in base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The longest escape sequence in bytes, such as `\u002f`.
const MAX_ESCAPE: usize = 6;

/// The number of bytes at the beginning of a text that are this secret, with or without escapes. If the text ends in the
/// secret, its rest may not have been read, so the beginning counts if it has at least `min` bytes of the secret.
pub(super) fn echo_len(text: &[u8], secret: &[u8], min: usize) -> Option<usize> {
    // A secret can contain text that looks like an escape sequence, so it is compared both ways.
    let raw_first = |rest: &[u8], byte| raw_len(rest, byte).or_else(|| escaped_len(rest, byte));
    let escaped_first = |rest: &[u8], byte| escaped_len(rest, byte).or_else(|| raw_len(rest, byte));
    compare(text, secret, min, raw_first).or_else(|| compare(text, secret, min, escaped_first))
}

fn compare(text: &[u8], secret: &[u8], min: usize, byte_len: impl Fn(&[u8], u8) -> Option<usize>) -> Option<usize> {
    let mut rest = text;
    for (matched, byte) in secret.iter().enumerate() {
        let Some(len) = byte_len(rest, *byte) else {
            let cut_off = rest.is_empty() || rest.len() < MAX_ESCAPE && matches!(rest, [b'\\' | b'%' | b'&', ..]);
            return (cut_off && matched >= min).then_some(text.len());
        };
        rest = rest.get(len..)?;
    }
    Some(text.len() - rest.len())
}

fn raw_len(text: &[u8], byte: u8) -> Option<usize> {
    (text.first() == Some(&byte)).then_some(1)
}

fn escaped_len(text: &[u8], byte: u8) -> Option<usize> {
    unescape(text).filter(|(unescaped, _)| *unescaped == byte).map(|(_, len)| len)
}

/// The byte for which an escape sequence at the beginning of a text stands, and the length of the sequence.
pub(super) fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'+', ..] => Some((b' ', 1)),
        [b'%', high, low, ..] => Some((hex(&[*high, *low])?, 3)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => Some((hex(&[*high, *low])?, 6)),
        [b'\\', b'x', high, low, ..] => Some((hex(&[*high, *low])?, 4)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
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
            ("+", b' '),
            ("%20", b' '),
            (r"\/", b'/'),
            (r"\\", b'\\'),
            (r#"\""#, b'"'),
            (r"\t", b'\t'),
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
            ["", "a", "%", "%2", "%zz", r"\", r"\n", r"\u00", r"\u0100", "&", "&amp", "&nbsp;", "&#300;", "&#;"]
        {
            assert_eq!(unescape(plain.as_bytes()), None, "{plain}");
        }
    }

    #[test]
    fn a_secret_is_found_with_any_mixture_of_escapes_and_a_longer_text_is_not() {
        let secret = r#"a/b+c "d\e%2Fé"#.as_bytes();
        for (echo, rest) in [
            (r#"a/b+c "d\e%2Fé"#, "x"),
            (r#"a\/b+c \"d\\e%2Fé"#, "x"),
            ("a%2Fb%2Bc%20%22d%5Ce%252F%C3%A9", "x"),
            ("a%2fb%2bc+%22d%5ce%252F%c3%a9", "x"),
            (r"a/b+c &quot;d\e%2Fé", "x"),
            (r"a\u002fb\u002bc \u0022d\u005ce%2Fé", "x"),
        ] {
            let text = format!("{echo}{rest}");
            assert_eq!(echo_len(text.as_bytes(), secret, 4), Some(echo.len()), "{echo}");
        }
        for other in ["a/b-c", "b/a", r"a\\/b", "", "a/b+c \"d\\e%2Fe"] {
            assert_eq!(echo_len(other.as_bytes(), secret, 4), None, "{other}");
        }
    }

    #[test]
    fn the_beginning_of_a_secret_counts_at_the_end_of_the_text_only() {
        let secret = b"abcd/efgh";
        for cut in ["abcd", "abcd/", "abcd%2Fef", r"abcd\", "abcd%", "abcd%2", r"abcd\u00", "abcd&#x"] {
            assert_eq!(echo_len(cut.as_bytes(), secret, 4), Some(cut.len()), "{cut}");
        }
        for other in ["abc", "abcdx", "abcd%2Fx", "abcd%2Gxxx", r"abcd\u002fx"] {
            assert_eq!(echo_len(other.as_bytes(), secret, 4), None, "{other}");
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
