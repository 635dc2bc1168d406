//! The keys that tokens are signed with.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use ring::hmac;

use super::crypto;
use crate::domain::Secret;
use crate::key_list::{InvalidKeys, KeyLength, ListedKey, parse_keys};
use crate::time::{Entropy, random};

/// The keys of `JWT_SIGNING_KEYS`: the first signs, all verify.
#[derive(Clone)]
pub struct SigningKeys(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    kid: String,
    sign: EncodingKey,
    verify: DecodingKey,
}

impl SigningKeys {
    const LENGTH: KeyLength = KeyLength::AtLeast(32);

    /// Generates a key, in the form of the setting.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Secret<String> {
        Secret::new(format!("local:{}", URL_SAFE_NO_PAD.encode(random::<32>(entropy))))
    }

    /// The key that signs, and its id.
    pub(super) fn signing(&self) -> Option<(&str, &EncodingKey)> {
        self.0.first().map(|k| (k.kid.as_str(), &k.sign))
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
        self.0.iter().map(derive).collect()
    }

    /// Whether two values are clones of one, so that a token which one of them has verified is good for the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The key that verifies tokens with this key id.
    pub(super) fn verifying(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.iter().find(|k| k.kid == kid).map(|k| &k.verify)
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|k| &k.kid)).finish()
    }
}

impl FromStr for SigningKeys {
    type Err = InvalidKeys;

    /// Reads `kid:secret` pairs separated by commas; a secret is hex or base64url of 32 bytes or more.
    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        crypto::install();
        let key = |ListedKey { kid, secret }| Key {
            kid,
            sign: EncodingKey::from_secret(&secret),
            verify: DecodingKey::from_secret(&secret),
        };
        Ok(Self(parse_keys(text, Self::LENGTH)?.into_iter().map(key).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let keys: SigningKeys = format!("k1:{},k0:{}", "ab".repeat(32), "cd".repeat(33)).parse().unwrap();
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
    fn a_short_secret_is_refused() {
        let error = format!("k1:{}", "ab".repeat(31)).parse::<SigningKeys>().unwrap_err();
        assert_eq!(error, InvalidKeys::Short(1, 32));
    }
}
