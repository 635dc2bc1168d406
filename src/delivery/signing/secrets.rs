//! The master secrets.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::hmac;

use super::ClientKeys;
use crate::domain::{ClientId, Secret, Timestamp};
use crate::time::{Entropy, random};

/// The master secrets of `WEBHOOK_SIGNING_SECRETS`. The keys of each client are derived from them, and no receiver knows
/// them. Every delivery is signed with the keys from all masters, in their order, so that receivers can change to
/// new keys before the old master is removed.
#[derive(Clone)]
pub struct SigningSecrets(Arc<[Prk]>);

impl SigningSecrets {
    /// Generates a secret, in the form of the setting.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Secret<String> {
        Secret::new(format!("{}{}", ClientKeys::SECRET_PREFIX, STANDARD.encode(random::<32>(entropy))))
    }

    /// The keys of a client.
    #[must_use]
    pub fn derive(&self, client: &ClientId) -> ClientKeys {
        ClientKeys::derive(&self.0, client)
    }

    /// Whether two values are clones of one, so that the keys that were derived from one are those of the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} secrets]", self.0.len())
    }
}

impl FromStr for SigningSecrets {
    type Err = InvalidSigningSecrets;

    /// Reads `whsec_…` secrets separated by spaces.
    fn from_str(text: &str) -> Result<Self, InvalidSigningSecrets> {
        let (salt, mut masters) = (Salt::new(HKDF_SHA256, &[]), Vec::new());
        for (number, secret) in (1..).zip(text.split_whitespace()) {
            masters.push(salt.extract(&decode(number, secret)?));
        }
        if masters.is_empty() { Err(InvalidSigningSecrets::None) } else { Ok(Self(masters.into())) }
    }
}

/// The length of a secret in bytes, by the standard.
const BYTES: RangeInclusive<usize> = 24..=64;

/// The bytes of a `whsec_…` secret.
pub(super) fn decode(number: usize, secret: &str) -> Result<Vec<u8>, InvalidSigningSecrets> {
    let encoded = secret.strip_prefix(ClientKeys::SECRET_PREFIX).ok_or(InvalidSigningSecrets::Prefix(number))?;
    // The libraries of the receivers accept only this base64 alphabet, with padding.
    let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSigningSecrets::Encoding(number))?;
    if BYTES.contains(&bytes.len()) { Ok(bytes) } else { Err(InvalidSigningSecrets::Length(number)) }
}

/// The secret of a subscriber, which it has chosen itself.
///
/// # Errors
/// [`InvalidSigningSecrets`] if it does not have the form of the standard.
pub fn subscriber_secret(text: &str) -> Result<Secret<Vec<u8>>, InvalidSigningSecrets> {
    decode(1, text).map(Secret::new)
}

/// The value of the header `webhook-signature` with these secrets, in their order.
pub(in crate::delivery) fn sign_with<'a>(
    secrets: impl Iterator<Item = &'a [u8]>,
    id: &str,
    timestamp: Timestamp,
    body: &[u8],
) -> String {
    let signed = [format!("{id}.{}.", timestamp.as_secs()).as_bytes(), body].concat();
    let sign = |secret: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &signed);
    secrets.map(|secret| format!("v1,{}", STANDARD.encode(sign(secret)))).collect::<Vec<_>>().join(" ")
}

/// A problem of `WEBHOOK_SIGNING_SECRETS`. It names a secret by its number, from 1, and never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningSecrets {
    /// The setting contains only spaces.
    #[error("has no secret; write one as whsec_ followed by base64")]
    None,
    /// The secret does not begin with `whsec_`.
    #[error("secret {0} does not begin with whsec_; secrets are separated by spaces")]
    Prefix(usize),
    /// The rest of the secret is not standard base64.
    #[error("secret {0} is not whsec_ followed by standard base64 (letters, digits, + and /, padded with =)")]
    Encoding(usize),
    /// The secret is too short to be safe, or longer than the standard allows.
    #[error("secret {0} is not 24 to 64 bytes long (generate one: echo whsec_$(openssl rand -base64 32))")]
    Length(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemEntropy;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn secrets(text: &str) -> SigningSecrets {
        text.parse().unwrap()
    }

    /// The secrets of a client.
    fn derived(secrets: &SigningSecrets) -> Vec<String> {
        secrets.derive(&ClientId::local()).secrets().iter().map(|secret| secret.expose().clone()).collect()
    }

    #[test]
    fn secrets_are_read_in_their_order() {
        let (one, two) = (derived(&secrets(SECRET)), derived(&secrets(OTHER)));
        assert_eq!(derived(&secrets(&format!("{SECRET} {OTHER}"))), [one.clone(), two.clone()].concat());
        assert_eq!(derived(&secrets(&format!(" {OTHER}\n\t{SECRET} "))), [two, one].concat());
    }

    #[test]
    fn a_generated_secret_is_valid_and_no_two_are_the_same() {
        let make = || SigningSecrets::generate(&SystemEntropy::new());
        assert_ne!(derived(&secrets(make().expose())), derived(&secrets(make().expose())));
    }

    #[test]
    fn an_error_names_the_problem_without_the_secret() {
        use InvalidSigningSecrets::*;
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![0xca; bytes]));
        for (text, why) in [
            (" ".to_owned(), None),
            ("canary".to_owned(), Prefix(1)),
            (format!("{SECRET} canary"), Prefix(2)),
            (format!("{SECRET},{SECRET}"), Encoding(1)),
            (format!("{SECRET} whsec_canary!"), Encoding(2)),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_".to_owned(), Encoding(1)),
            (OTHER.trim_end_matches('=').to_owned(), Encoding(1)),
            ("whsec_".to_owned(), Length(1)),
            (of(23), Length(1)),
            (of(65), Length(1)),
        ] {
            let error = text.parse::<SigningSecrets>().unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("canary") && !error.to_string().contains("MfKQ"), "{error}");
        }
        for bytes in [24, 64] {
            let secrets: SigningSecrets = of(bytes).parse().unwrap();
            assert_eq!(format!("{secrets:?}"), "[1 secrets]");
        }
    }
}
