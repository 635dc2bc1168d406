//! Lists of keys with ids, as settings have them: `kid:secret` pairs separated by commas.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A key of a list. It has no `Debug`, because nothing may show its secret.
pub struct ListedKey {
    /// The id: 1 to 64 letters, digits, `.`, `_` or `-`. No other key of the list has it.
    pub kid: String,
    /// The bytes of the secret.
    pub secret: Vec<u8>,
}

/// Reads a list of at least one key. A secret is hex or base64url, and has a length that is accepted.
///
/// # Errors
/// The first error of the list.
pub fn parse_keys(text: &str, accepted: KeyLength) -> Result<Vec<ListedKey>, InvalidKeys> {
    let mut keys: Vec<ListedKey> = Vec::new();
    for (i, pair) in text.split(',').map(str::trim).enumerate() {
        let (kid, secret) = pair.split_once(':').ok_or(InvalidKeys::NotAPair(i + 1))?;
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if kid.is_empty() || kid.len() > 64 || !kid.bytes().all(good) || keys.iter().any(|k| k.kid == kid) {
            return Err(InvalidKeys::Kid(i + 1));
        }
        let secret = decode(secret).ok_or(InvalidKeys::Encoding(i + 1))?;
        match accepted {
            KeyLength::AtLeast(bytes) if secret.len() < bytes => return Err(InvalidKeys::Short(i + 1, bytes)),
            KeyLength::Exactly(bytes) if secret.len() != bytes => return Err(InvalidKeys::Length(i + 1, bytes)),
            _ => keys.push(ListedKey { kid: kid.to_owned(), secret }),
        }
    }
    Ok(keys)
}

/// The lengths of a secret, in bytes.
#[derive(Clone, Copy, Debug)]
pub enum KeyLength {
    /// This many bytes or more.
    AtLeast(usize),
    /// This many bytes.
    Exactly(usize),
}

fn decode(secret: &str) -> Option<Vec<u8>> {
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if secret.len().is_multiple_of(2) && secret.bytes().all(|b| b.is_ascii_hexdigit()) {
        return secret.as_bytes().chunks(2).map(digit).collect();
    }
    URL_SAFE_NO_PAD.decode(secret.trim_end_matches('=')).ok()
}

/// The error in a list of keys. It names the key by its position, counted from 1, and never shows a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// The entry has no colon.
    #[error("key {0} is not of the form kid:secret")]
    NotAPair(usize),
    /// The key id has other characters, is empty or too long, or an earlier key has it.
    #[error("key {0} needs a kid of 1 to 64 letters, digits, '.', '_' or '-' that no other key has")]
    Kid(usize),
    /// The secret is neither hex nor base64url.
    #[error("the secret of key {0} is neither hex nor base64url")]
    Encoding(usize),
    /// The secret has fewer bytes than the second number.
    #[error("the secret of key {0} is shorter than {1} bytes")]
    Short(usize, usize),
    /// The secret does not have the second number of bytes.
    #[error("the secret of key {0} is not {1} bytes long (generate one: openssl rand -hex {1})")]
    Length(usize, usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: KeyLength = KeyLength::AtLeast(32);

    #[test]
    fn hex_and_base64url_are_read() {
        let text = format!("k1:{}, k0:{}", "ab".repeat(32), URL_SAFE_NO_PAD.encode([7_u8; 32]));
        let keys = parse_keys(&text, KeyLength::Exactly(32)).unwrap();
        let read: Vec<_> = keys.iter().map(|key| (key.kid.as_str(), key.secret.as_slice())).collect();
        assert_eq!(read, [("k1", [0xab; 32].as_slice()), ("k0", [7; 32].as_slice())]);
    }

    #[test]
    fn an_error_names_the_key_and_never_shows_its_secret() {
        let good = "ab".repeat(32);
        for (text, accepted, why) in [
            (String::new(), LONG, InvalidKeys::NotAPair(1)),
            (format!("k1:{good},"), LONG, InvalidKeys::NotAPair(2)),
            (format!(":{good}"), LONG, InvalidKeys::Kid(1)),
            (format!("k1:{good},k1:{good}"), LONG, InvalidKeys::Kid(2)),
            (format!("k1:{}", "ab".repeat(31)), LONG, InvalidKeys::Short(1, 32)),
            (format!("k1:{good},k2:{good}ab"), KeyLength::Exactly(32), InvalidKeys::Length(2, 32)),
            (format!("k1:{}", "ab".repeat(31)), KeyLength::Exactly(32), InvalidKeys::Length(1, 32)),
            ("k1:not+base64!".to_owned(), LONG, InvalidKeys::Encoding(1)),
        ] {
            let error = parse_keys(&text, accepted).err().unwrap();
            assert_eq!(error, why);
            assert!(!error.to_string().contains(&"ab".repeat(31)));
        }
    }
}
