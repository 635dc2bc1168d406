//! Encryption of the secrets in rows: AES-256-GCM with the keys of `DATA_ENCRYPTION_KEYS` (docs/encryption.md).

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::current::{Current, Refresh};
use crate::domain::Secret;
use crate::key_list::{InvalidKeys, KeyLength, ListedKey, parse_keys};
use crate::time::{Entropy, random};

/// The keys of `DATA_ENCRYPTION_KEYS`: the first encrypts, all decrypt.
#[derive(Clone, Default)]
pub struct EncryptionKeys(Arc<[Key]>);

#[derive(Clone)]
struct Key {
    kid: String,
    key: LessSafeKey,
}

impl EncryptionKeys {
    const BYTES: usize = 32;

    /// Generates a key, in the form of the setting. Its id is new, too, so that an error about a lost key does not name
    /// the key that replaced it.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Secret<String> {
        let [kid, key] =
            [&random::<6>(entropy)[..], &random::<{ Self::BYTES }>(entropy)].map(|b| URL_SAFE_NO_PAD.encode(b));
        Secret::new(format!("local-{kid}:{key}"))
    }
}

impl std::fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.kid)).finish()
    }
}

impl FromStr for EncryptionKeys {
    type Err = InvalidKeys;

    /// Reads `kid:key` pairs separated by commas; a key is hex or base64url of exactly 32 bytes.
    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        let key = |(number, ListedKey { kid, secret })| {
            let key = UnboundKey::new(&AES_256_GCM, &secret).map_err(|_| InvalidKeys::Length(number, Self::BYTES))?;
            Ok(Key { kid, key: LessSafeKey::new(key) })
        };
        let listed = parse_keys(text, KeyLength::Exactly(Self::BYTES))?;
        (1..).zip(listed).map(key).collect::<Result<_, _>>().map(Self)
    }
}

/// Encrypts and decrypts parts of rows. The keys can change while the service runs.
pub struct Sealer {
    keys: Current<EncryptionKeys>,
    refresh: Refresh,
    entropy: Arc<dyn Entropy>,
}

impl Sealer {
    /// A sealer with these keys, which takes its nonces from `entropy`.
    #[must_use]
    pub fn new(keys: impl Into<Current<EncryptionKeys>>, entropy: Arc<dyn Entropy>) -> Self {
        Self { keys: keys.into(), refresh: Refresh::default(), entropy }
    }

    /// Asks for the keys to be read again when one is missing.
    #[must_use]
    pub fn refreshing(self, refresh: Refresh) -> Self {
        Self { refresh, ..self }
    }

    /// Encrypts a value as JSON for one row. In another row it cannot be decrypted. The result is
    /// `kid.base64url(nonce ‖ ciphertext ‖ tag)`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if there is no key, or the value cannot be written as JSON.
    pub fn seal<T: Serialize>(&self, value: &T, row_key: &str) -> Result<String, StoreError> {
        let keys = self.keys.get();
        let Some(Key { kid, key }) = keys.0.first() else {
            return Err(StoreError::Refused("there is no key to encrypt with".to_owned()));
        };
        let nonce: [u8; NONCE_LEN] = random(&*self.entropy);
        let mut bytes = nonce.to_vec();
        serde_json::to_writer(&mut bytes, value).map_err(|error| StoreError::Refused(error.to_string()))?;
        let (_, plain) = bytes.split_at_mut(NONCE_LEN);
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(row_key), plain)
            .map_err(|_| StoreError::Refused("the value is too long to be encrypted".to_owned()))?;
        bytes.extend_from_slice(tag.as_ref());
        let mut sealed = String::with_capacity(kid.len() + 1 + bytes.len().div_ceil(3) * 4);
        sealed.push_str(kid);
        sealed.push('.');
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut sealed);
        Ok(sealed)
    }

    /// Decrypts what [`Sealer::seal`] has encrypted for the same row.
    ///
    /// # Errors
    /// [`StoreError::Undecryptable`] if the key is missing or another one, or the row is. [`StoreError::Corrupt`] if it does
    /// not have the form, or the value is not of this type.
    pub fn open<T: DeserializeOwned>(&self, sealed: &str, row_key: &str) -> Result<T, StoreError> {
        let corrupt = |reason: &str| StoreError::Corrupt { key: row_key.to_owned(), reason: reason.to_owned() };
        let undecryptable = |reason: String| StoreError::Undecryptable { key: row_key.to_owned(), reason };
        let no_form = || corrupt("its encrypted part does not have the form kid.base64url");
        let (kid, encoded) = sealed.rsplit_once('.').ok_or_else(no_form)?;
        let keys = self.keys.get();
        let key = keys.0.iter().find(|key| key.kid == kid).ok_or_else(|| {
            // Another process may have the newer list already. The keys are there when the row is read again.
            self.refresh.ask();
            undecryptable(format!("it was encrypted with the key {kid}, which DATA_ENCRYPTION_KEYS does not have"))
        })?;
        let mut bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| no_form())?;
        let (nonce, cipher) = bytes.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(no_form)?;
        let opened = key.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(row_key), cipher);
        let plain = opened.map_err(|_| {
            undecryptable(format!("the key {kid} is not the one it was encrypted with, or it was changed or moved"))
        })?;
        // The error of serde is not used, because it may quote the secrets.
        serde_json::from_slice(plain).map_err(|_| corrupt("its encrypted part does not have the form of this version"))
    }

    /// Whether a part was encrypted with the key that encrypts now.
    pub(super) fn is_current(&self, sealed: &str) -> bool {
        let keys = self.keys.get();
        sealed.rsplit_once('.').is_some_and(|(kid, _)| keys.0.first().is_some_and(|key| key.kid == kid))
    }
}

#[cfg(test)]
#[path = "sealer_tests.rs"]
mod tests;
