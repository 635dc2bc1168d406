//! Signatures by which a receiver knows that a request is ours: Standard Webhooks, version `v1`.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::domain::{Secret, Timestamp};
use crate::time::{Entropy, random};

/// The secrets of `WEBHOOK_SIGNING_SECRETS`. Every delivery is signed with all of them, the first
/// first, so that receivers can be given a new one before the old one goes.
#[derive(Clone)]
pub struct SigningSecrets(Vec<hmac::Key>);

impl SigningSecrets {
    /// What every secret begins with.
    const PREFIX: &str = "whsec_";
    /// The shortest and the longest secret of the standard, in bytes.
    const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

    /// One new secret, as it is written in the setting.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Secret<String> {
        Secret::new(format!("{}{}", Self::PREFIX, STANDARD.encode(random::<32>(entropy))))
    }

    /// The header `webhook-signature` of a message: one signature for each secret, separated by
    /// spaces. A request without content is signed with an empty body.
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
            // What the libraries of all receivers read, and nothing else.
            let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSigningSecrets::Encoding(number))?;
            if !Self::BYTES.contains(&bytes.len()) {
                return Err(InvalidSigningSecrets::Length(number));
            }
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        }
        if keys.is_empty() { Err(InvalidSigningSecrets::None) } else { Ok(Self(keys)) }
    }
}

/// What is wrong with `WEBHOOK_SIGNING_SECRETS`. Counts from 1; never shows a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningSecrets {
    /// Nothing but spaces.
    #[error("has no secret; write one as whsec_ followed by base64")]
    None,
    /// Something else in front.
    #[error("secret {0} does not begin with whsec_; secrets are separated by spaces")]
    Prefix(usize),
    /// Not base64.
    #[error("secret {0} is not whsec_ followed by standard base64 (letters, digits, + and /, padded with =)")]
    Encoding(usize),
    /// Too short to be safe, or longer than the standard allows.
    #[error("secret {0} is not 24 to 64 bytes long (make one: echo whsec_$(openssl rand -base64 32))")]
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
    fn what_is_signed_cannot_be_read_in_two_ways() {
        let at = Timestamp::from_millis(1000);
        let sign = |id: &str, body: &[u8]| secrets(SECRET).sign(id, at, body);
        assert_ne!(sign("a", b"b"), sign("a", b""));
        assert_ne!(sign("a", b"b"), sign("b", b"b"));
        assert_ne!(sign("a", b""), secrets(SECRET).sign("a", Timestamp::from_millis(2000), b""));
    }

    #[test]
    fn a_new_secret_is_one_that_is_accepted_and_no_two_are_the_same() {
        let make = || SigningSecrets::generate(&SystemEntropy::new());
        assert_ne!(sign(&secrets(make().expose())), sign(&secrets(make().expose())));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
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
