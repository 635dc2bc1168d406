//! API keys: their form, the hashes that are stored of them, and the check of a login.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::domain::{ClientId, Scopes, Secret};
use crate::store::Client;
use crate::time::{Entropy, random};

/// The beginning of every key that we make.
pub(super) const PREFIX: &str = "msk_";

/// The characters of a generated key behind its last `_`: the secret and the checksum.
const SECRET: usize = 49;

/// The client and the key in a bearer token that is a key: a key that we made names its client, and before another one
/// the client's id and a colon are written. `None` if it is no key. A JSON Web Token has no colon.
pub(super) fn in_bearer(text: &str) -> Option<(&str, &str)> {
    if let Some(pair) = text.split_once(':') {
        return Some(pair);
    }
    let rest = text.strip_prefix(PREFIX)?;
    let (client, secret) = rest.split_at_checked(rest.len().checked_sub(SECRET + 1)?)?;
    secret.starts_with('_').then_some((client, text))
}

/// The secret that a client logs in with.
#[derive(Clone, Debug)]
pub struct ApiKey(Secret<String>);

/// The text is not an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 16 to 256 visible ASCII characters")]
pub struct InvalidApiKey;

impl ApiKey {
    const MAX_BYTES: usize = 256;

    /// Makes a key: `msk_<client>_<43 characters of base64url><6 characters of checksum>`.
    ///
    /// Secret scanners find leaked keys by the prefix and the CRC-32 at the end, without asking us. Never change
    /// either of them: the scanners are configured for this form.
    #[must_use]
    pub fn generate(client: &ClientId, entropy: &dyn Entropy) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(random::<32>(entropy));
        let checksum = URL_SAFE_NO_PAD.encode(crc32fast::hash(secret.as_bytes()).to_be_bytes());
        Self(Secret::new(format!("{PREFIX}{client}_{secret}{checksum}")))
    }

    /// Accepts a key that an operator chose.
    ///
    /// # Errors
    /// [`InvalidApiKey`] unless it has 16 to 256 visible characters.
    pub fn new(text: Secret<String>) -> Result<Self, InvalidApiKey> {
        let key = text.expose();
        if (16..=Self::MAX_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(InvalidApiKey)
        }
    }

    /// The text of the key. Its owner is shown it once.
    #[must_use]
    pub const fn secret(&self) -> &Secret<String> {
        &self.0
    }
}

/// The hash that is stored of a key: `<salt>.<HMAC-SHA256 of the key under the salt>`, base64url.
///
/// A fast hash is enough for keys that we make (256 random bits), and with a slow one anybody could keep our
/// processor busy by guessing. Because of the salt, two clients with the same key have different hashes.
#[must_use]
pub fn hash_key(key: &ApiKey, entropy: &dyn Entropy) -> String {
    let salt = random::<16>(entropy);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salt), key.0.expose().as_bytes());
    format!("{}.{}", URL_SAFE_NO_PAD.encode(salt), URL_SAFE_NO_PAD.encode(tag))
}

/// A client that logs in with this key and no other.
#[must_use]
pub fn client_with_key(id: ClientId, key: &ApiKey, scopes: Scopes, entropy: &dyn Entropy) -> Client {
    Client { key_hashes: vec![hash_key(key, entropy)], ..Client::without_keys(id, scopes) }
}

/// Whether the key is one of the client's. An unknown client takes as long as a wrong key, so that the time does not
/// tell which clients exist.
pub(super) fn verify(client: Option<&Client>, key: &Secret<String>) -> bool {
    const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    if key.expose().len() > ApiKey::MAX_BYTES {
        return false;
    }
    let Some(client) = client else {
        let _ = matches(NOBODY, key);
        return false;
    };
    // Every hash is compared, so that the time does not tell which one matched.
    let hits = client.key_hashes.iter().filter(|hash| matches(hash, key)).count();
    hits > 0 && !client.disabled
}

fn matches(hash: &str, key: &Secret<String>) -> bool {
    let Some((salt, tag)) = hash.split_once('.') else { return false };
    let (Ok(salt), Ok(tag)) = (URL_SAFE_NO_PAD.decode(salt), URL_SAFE_NO_PAD.decode(tag)) else { return false };
    // `verify` compares in constant time.
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &salt), key.expose().as_bytes(), &tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemEntropy;

    fn client(key: &ApiKey) -> Client {
        client_with_key("c".parse().unwrap(), key, Scopes::all(), &SystemEntropy::new())
    }

    #[test]
    fn a_generated_key_is_scannable_and_accepted() {
        let id: ClientId = "agent-1".parse().unwrap();
        let key = ApiKey::generate(&id, &SystemEntropy::new());
        let text = key.secret().expose().clone();
        let (secret, checksum) = text.strip_prefix("msk_agent-1_").unwrap().split_at(43);
        assert_eq!(URL_SAFE_NO_PAD.decode(checksum).unwrap(), crc32fast::hash(secret.as_bytes()).to_be_bytes());
        assert!(ApiKey::new(Secret::new(text.clone())).is_ok());
        assert!(!format!("{key:?}").contains(secret));
    }

    #[test]
    fn a_bearer_key_names_its_client() {
        for id in ["a", "agent-1", "a_b_", &"x".repeat(64)] {
            let key = ApiKey::generate(&id.parse().unwrap(), &SystemEntropy::new());
            let text = key.secret().expose();
            assert_eq!(in_bearer(text), Some((id, text.as_str())));
            assert_eq!(in_bearer(&format!("{id}:{text}")), Some((id, text.as_str())));
        }
        assert_eq!(in_bearer("anna:a key:of hers"), Some(("anna", "a key:of hers")));
        for bad in ["", "msk_", "msk_a", "eyJh.eyJ.x", &format!("msk_{}", "x".repeat(60)), &"x".repeat(60), "msk_é_é"]
        {
            assert_eq!(in_bearer(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_right_key_of_an_enabled_client_verifies() {
        let key = ApiKey::new(Secret::new("0123456789abcdef".to_owned())).unwrap();
        let known = client(&key);
        assert!(verify(Some(&known), key.secret()));
        for wrong in ["0123456789abcdeF", "", "0123456789abcdef0"] {
            assert!(!verify(Some(&known), &Secret::new(wrong.to_owned())), "{wrong}");
        }
        assert!(!verify(None, key.secret()));
        assert!(!verify(Some(&Client { disabled: true, ..known }), key.secret()));
    }

    #[test]
    fn hashes_are_salted_and_do_not_hold_the_key() {
        let key = ApiKey::new(Secret::new("0123456789abcdef".to_owned())).unwrap();
        let (a, b) = (client(&key).key_hashes.concat(), client(&key).key_hashes.concat());
        assert_ne!(a, b);
        assert!(!a.contains("0123456789abcdef"));
    }

    #[test]
    fn too_short_too_long_and_invisible_keys_are_refused() {
        for bad in ["short", "with a space in it", &"x".repeat(257), "sixteen chars\u{e9}\u{e9}\u{e9}"] {
            assert!(ApiKey::new(Secret::new(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
