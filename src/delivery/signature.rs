//! Signatures with which a receiver checks that a request is from this service: Standard Webhooks, version `v1`.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::domain::{Secret, Timestamp};
use crate::time::{Entropy, random};

/// The secrets of `WEBHOOK_SIGNING_SECRETS`. Every delivery is signed with all of them, in their order, so that receivers
/// can change to a new secret before the old one is removed.
#[derive(Clone)]
pub struct SigningSecrets(Vec<hmac::Key>);

impl SigningSecrets {
    /// The prefix of every secret.
    const PREFIX: &str = "whsec_";
    /// The length of a secret in bytes, by the standard.
    const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

    /// Generates a secret, in the form of the setting.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Secret<String> {
        Secret::new(format!("{}{}", Self::PREFIX, STANDARD.encode(random::<32>(entropy))))
    }

    /// The value of the header `webhook-signature`: one signature for each secret, separated by spaces. A request
    /// without content is signed with an empty body.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let signed = format!("{id}.{}.", timestamp.as_secs());
        let signatures = self.0.iter().map(|key| {
            let mut hmac = hmac::Context::with_key(key);
            hmac.update(signed.as_bytes());
            hmac.update(body);
            format!("v1,{}", STANDARD.encode(hmac.sign()))
        });
        signatures.collect::<Vec<_>>().join(" ")
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
        let mut keys = Vec::new();
        for (number, secret) in (1..).zip(text.split_whitespace()) {
            let encoded = secret.strip_prefix(Self::PREFIX).ok_or(InvalidSigningSecrets::Prefix(number))?;
            // The libraries of the receivers accept only this base64 alphabet, with padding.
            let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSigningSecrets::Encoding(number))?;
            if !Self::BYTES.contains(&bytes.len()) {
                return Err(InvalidSigningSecrets::Length(number));
            }
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        }
        if keys.is_empty() { Err(InvalidSigningSecrets::None) } else { Ok(Self(keys)) }
    }
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

    fn sign(secrets: &SigningSecrets) -> String {
        let at = Timestamp::from_millis(1_614_265_330_999);
        secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#)
    }

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        assert_eq!(sign(&secrets(SECRET)), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_secret_signs_in_its_order() {
        let (one, two) = (sign(&secrets(SECRET)), sign(&secrets(OTHER)));
        assert_eq!(sign(&secrets(&format!("{SECRET} {OTHER}"))), format!("{one} {two}"));
        assert_eq!(sign(&secrets(&format!(" {OTHER}\n\t{SECRET} "))), format!("{two} {one}"));
    }

    #[test]
    fn a_signature_depends_on_id_time_and_body() {
        let at = Timestamp::from_millis(1000);
        let sign = |id: &str, body: &[u8]| secrets(SECRET).sign(id, at, body);
        assert_ne!(sign("a", b"b"), sign("a", b""));
        assert_ne!(sign("a", b"b"), sign("b", b"b"));
        assert_ne!(sign("a", b""), secrets(SECRET).sign("a", Timestamp::from_millis(2000), b""));
    }

    #[test]
    fn a_generated_secret_is_valid_and_no_two_are_the_same() {
        let make = || SigningSecrets::generate(&SystemEntropy::new());
        assert_ne!(sign(&secrets(make().expose())), sign(&secrets(make().expose())));
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
