//! The keys that tokens are signed with.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use ring::hmac;

use super::crypto;

/// The keys of `JWT_SIGNING_KEYS`: the first signs, all verify.
#[derive(Clone)]
pub struct SigningKeys {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    kid: String,
    sign: EncodingKey,
    verify: DecodingKey,
}

impl SigningKeys {
    const MIN_BYTES: usize = 32;

    /// The key that signs, and its id.
    pub(super) fn signing(&self) -> Option<(&str, &EncodingKey)> {
        self.keys.first().map(|k| (k.kid.as_str(), &k.sign))
    }

    /// Secrets for another purpose than tokens, one of each key in their order. Nothing about the keys follows from them.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Vec<[u8; 32]> {
        let derive = |key: &Key| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.sign.as_bytes());
            // No token begins so: it has no space.
            let derived = hmac::sign(&key, format!("derived for {purpose}").as_bytes());
            derived.as_ref().try_into().unwrap_or_default()
        };
        self.keys.iter().map(derive).collect()
    }

    /// The key that verifies tokens with this key id.
    pub(super) fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.keys.iter().find(|k| k.kid == kid).map(|k| &k.verify)
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|k| &k.kid)).finish()
    }
}

impl FromStr for SigningKeys {
    type Err = InvalidSigningKeys;

    /// Reads `kid:secret` pairs separated by commas; a secret is hex or base64url of 32 bytes or more.
    fn from_str(text: &str) -> Result<Self, InvalidSigningKeys> {
        crypto::install();
        let mut keys: Vec<Key> = Vec::new();
        for (i, pair) in text.split(',').map(str::trim).enumerate() {
            let (kid, secret) = pair.split_once(':').ok_or(InvalidSigningKeys::NotAPair(i + 1))?;
            let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            if kid.is_empty() || kid.len() > 64 || !kid.bytes().all(good) || keys.iter().any(|k| k.kid == kid) {
                return Err(InvalidSigningKeys::Kid(i + 1));
            }
            let secret = decode(secret).ok_or(InvalidSigningKeys::Encoding(i + 1))?;
            if secret.len() < Self::MIN_BYTES {
                return Err(InvalidSigningKeys::Short(i + 1));
            }
            keys.push(Key {
                kid: kid.to_owned(),
                sign: EncodingKey::from_secret(&secret),
                verify: DecodingKey::from_secret(&secret),
            });
        }
        Ok(Self { keys })
    }
}

fn decode(secret: &str) -> Option<Vec<u8>> {
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if secret.len().is_multiple_of(2) && secret.bytes().all(|b| b.is_ascii_hexdigit()) {
        return secret.as_bytes().chunks(2).map(digit).collect();
    }
    URL_SAFE_NO_PAD.decode(secret.trim_end_matches('=')).ok()
}

/// The error in `JWT_SIGNING_KEYS`. It names the key by its position, counted from 1, and never shows a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningKeys {
    /// The entry has no colon.
    #[error("key {0} is not of the form kid:secret")]
    NotAPair(usize),
    /// The key id has other characters, is empty or too long, or an earlier key has it.
    #[error("key {0} needs a kid of 1 to 64 letters, digits, '.', '_' or '-' that no other key has")]
    Kid(usize),
    /// The secret is neither hex nor base64url.
    #[error("the secret of key {0} is neither hex nor base64url")]
    Encoding(usize),
    /// The secret has fewer than 32 bytes.
    #[error("the secret of key {0} is shorter than 32 bytes")]
    Short(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64url_are_read_and_the_first_signs() {
        let hex = "ab".repeat(32);
        let base64 = URL_SAFE_NO_PAD.encode([7_u8; 32]);
        let keys: SigningKeys = format!("k1:{hex}, k0:{base64}").parse().unwrap();
        assert_eq!(keys.signing().unwrap().0, "k1");
        assert!(keys.verifying("k0").is_some() && keys.verifying("kx").is_none());
        assert_eq!(format!("{keys:?}"), r#"["k1", "k0"]"#);
    }

    #[test]
    fn each_key_gives_another_secret_for_each_purpose() {
        let keys: SigningKeys = format!("k1:{},k0:{}", "ab".repeat(32), "cd".repeat(32)).parse().unwrap();
        let secrets = [keys.derive("lists"), keys.derive("names")].concat();
        let distinct: std::collections::HashSet<_> = secrets.iter().collect();
        assert_eq!((secrets.len(), distinct.len()), (4, 4));
        assert_eq!(keys.derive("lists"), secrets[..2]);
        assert!(!distinct.contains(&[0; 32]));
    }

    #[test]
    fn an_error_names_the_key_and_never_shows_its_secret() {
        let good = "ab".repeat(32);
        for (text, why) in [
            (String::new(), InvalidSigningKeys::NotAPair(1)),
            (format!("k1:{good},"), InvalidSigningKeys::NotAPair(2)),
            (format!(":{good}"), InvalidSigningKeys::Kid(1)),
            (format!("k1:{good},k1:{good}"), InvalidSigningKeys::Kid(2)),
            (format!("k1:{}", "ab".repeat(31)), InvalidSigningKeys::Short(1)),
            ("k1:not+base64!".to_owned(), InvalidSigningKeys::Encoding(1)),
        ] {
            let error = text.parse::<SigningKeys>().unwrap_err();
            assert_eq!(error, why);
            assert!(!error.to_string().contains(&good));
        }
    }
}
