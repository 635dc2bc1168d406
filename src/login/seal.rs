//! Sealed values: encrypted text that a program carries for the service, and can neither read nor change.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::SigningKeys;
use crate::current::Current;
use crate::time::{Entropy, random};

/// A value that can be sealed.
pub(super) trait Sealable: Serialize + DeserializeOwned {
    /// What the value is. Each kind has keys of its own, so a value of one kind cannot be used as one of another.
    const KIND: &'static str;
    /// The beginning of the text.
    const PREFIX: &'static str = "";
}

/// Seals values with AES-256-GCM under keys that are derived from `JWT_SIGNING_KEYS`: the first seals, all open.
pub struct Seals {
    keys: Current<SigningKeys>,
    entropy: Arc<dyn Entropy>,
}

impl Seals {
    /// Seals under these keys, with nonces from `entropy`.
    #[must_use]
    pub fn new(keys: impl Into<Current<SigningKeys>>, entropy: Arc<dyn Entropy>) -> Self {
        Self { keys: keys.into(), entropy }
    }

    /// Seals a value: `<prefix><base64url(nonce ‖ ciphertext ‖ tag)>`.
    pub(super) fn seal<T: Sealable>(&self, value: &T) -> String {
        let nonce: [u8; NONCE_LEN] = random(&*self.entropy);
        let mut bytes = nonce.to_vec();
        // `SigningKeys` is never empty, the values are plain structs, and none is gigabytes long: nothing of this
        // fails.
        let _ = serde_json::to_writer(&mut bytes, value);
        let (_, plain) = bytes.split_at_mut(NONCE_LEN);
        let key = self.opening_keys::<T>().into_iter().next();
        let tag = key.and_then(|key| {
            key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), plain).ok()
        });
        let Some(tag) = tag else { return String::new() };
        bytes.extend_from_slice(tag.as_ref());
        format!("{}{}", T::PREFIX, URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The value in a text, if this service has sealed it.
    pub(super) fn open<T: Sealable>(&self, text: &str) -> Option<T> {
        let sealed = URL_SAFE_NO_PAD.decode(text.strip_prefix(T::PREFIX)?).ok()?;
        let (nonce, cipher) = sealed.split_first_chunk::<NONCE_LEN>()?;
        self.opening_keys::<T>().into_iter().find_map(|key| {
            let mut bytes = cipher.to_vec();
            let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut bytes).ok()?;
            serde_json::from_slice(plain).ok()
        })
    }

    fn opening_keys<T: Sealable>(&self) -> Vec<LessSafeKey> {
        let secrets = self.keys.get().derive(&format!("the seal of {}", T::KIND));
        let keys = secrets.iter().filter_map(|secret| UnboundKey::new(&AES_256_GCM, secret).ok());
        keys.map(LessSafeKey::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::time::SystemEntropy;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Letter(String);

    impl Sealable for Letter {
        const KIND: &'static str = "letters";
        const PREFIX: &'static str = "letter_";
    }

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Parcel(String);

    impl Sealable for Parcel {
        const KIND: &'static str = "parcels";
        const PREFIX: &'static str = "letter_";
    }

    fn seals(keys: &str) -> Seals {
        Seals::new(keys.parse::<SigningKeys>().unwrap(), Arc::new(SystemEntropy::new()))
    }

    fn key(kid: &str, digits: &str) -> String {
        format!("{kid}:{}", digits.repeat(32))
    }

    #[test]
    fn a_value_is_opened_with_every_key_that_the_service_has() {
        let (old, new) = (key("k1", "ab"), key("k2", "cd"));
        let sealed = seals(&old).seal(&Letter("hello".to_owned()));
        assert!(sealed.starts_with("letter_") && !sealed.contains("hello"), "{sealed}");
        let hello = Some(Letter("hello".to_owned()));
        assert_eq!(seals(&old).open(&sealed), hello);
        assert_eq!(seals(&format!("{new},{old}")).open(&sealed), hello, "the key was rotated");
        assert_eq!(seals(&new).open::<Letter>(&sealed), None, "the old key was removed");
    }

    #[test]
    fn a_value_that_was_changed_or_is_of_another_kind_is_not_opened() {
        let seals = seals(&key("k1", "ab"));
        let sealed = seals.seal(&Letter("hello".to_owned()));
        assert_ne!(sealed, seals.seal(&Letter("hello".to_owned())), "the nonces differ");
        assert_eq!(seals.open::<Parcel>(&sealed), None);
        for at in "letter_".len()..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seals.open::<Letter>(std::str::from_utf8(&changed).unwrap()), None, "{at}");
        }
        for bad in ["", "letter_", "letter_AAAA", &sealed[1..], &sealed["letter_".len()..]] {
            assert_eq!(seals.open::<Letter>(bad), None, "{bad}");
        }
    }
}
