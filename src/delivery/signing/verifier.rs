//! What a receiver does with a signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::{ClientKeys, InvalidSigningSecrets, secrets};
use crate::domain::{Secret, Timestamp};

/// The keys with which a receiver verifies deliveries, by the rules of Standard Webhooks.
pub struct Verifier {
    secrets: Vec<hmac::Key>,
    public_keys: Vec<UnparsedPublicKey<Vec<u8>>>,
}

/// Why a receiver must refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// A header of the standard is missing, or is not text.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// The timestamp is no number.
    #[error("the header webhook-timestamp is not a number of seconds")]
    InvalidTimestamp,
    /// The request was signed too long ago.
    #[error("webhook-timestamp is {0} s in the past, and at most 300 s are allowed")]
    TooOld(u64),
    /// The request was signed in the future.
    #[error("webhook-timestamp is {0} s in the future, and at most 300 s are allowed")]
    TooNew(u64),
    /// No signature is of a version for which there is a key.
    #[error("webhook-signature has no signature that these keys can verify")]
    NoSignature,
    /// No signature is made with these keys over this id, timestamp and body.
    #[error("no signature fits the keys and the request")]
    WrongSignature,
}

impl Verifier {
    /// How many seconds the timestamp may be from the time of the receiver, by the standard.
    const TOLERANCE: u64 = 300;

    pub(super) const fn new(secrets: Vec<hmac::Key>, public_keys: Vec<UnparsedPublicKey<Vec<u8>>>) -> Self {
        Self { secrets, public_keys }
    }

    /// A verifier with one secret of a client, `whsec_…`.
    ///
    /// # Errors
    /// The text is no secret.
    pub fn with_secret(secret: &Secret<String>) -> Result<Self, InvalidSigningSecrets> {
        let bytes = secrets::decode(1, secret.expose())?;
        Ok(Self::new(vec![hmac::Key::new(hmac::HMAC_SHA256, &bytes)], Vec::new()))
    }

    /// Verifies a request that has arrived at this time. Returns the versions of the signatures that fit: one is enough.
    ///
    /// # Errors
    /// The reason why a receiver must refuse the request.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Vec<&'static str>, Unverified> {
        let id = header(headers, "webhook-id")?;
        let timestamp = header(headers, "webhook-timestamp")?;
        let signatures = header(headers, "webhook-signature")?;
        let signed_at = timestamp.parse::<u32>().map_err(|_| Unverified::InvalidTimestamp)?;
        let age = now.as_secs() - i64::from(signed_at);
        if age.unsigned_abs() > Self::TOLERANCE {
            let away = age.unsigned_abs();
            return Err(if age > 0 { Unverified::TooOld(away) } else { Unverified::TooNew(away) });
        }
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let (mut has_signature, mut fitting) = (false, Vec::new());
        for (version, signature) in signatures.split(' ').filter_map(|entry| entry.split_once(',')) {
            let signature = STANDARD.decode(signature).unwrap_or_default();
            let (version, has_keys, fits) = match version {
                // The comparison takes the same time for every signature.
                "v1" => {
                    let fits = self.secrets.iter().any(|key| hmac::verify(key, &signed, &signature).is_ok());
                    ("v1", !self.secrets.is_empty(), fits)
                }
                "v1a" => {
                    let fits = self.public_keys.iter().any(|key| key.verify(&signed, &signature).is_ok());
                    ("v1a", !self.public_keys.is_empty(), fits)
                }
                _ => continue,
            };
            has_signature |= has_keys;
            if fits && !fitting.contains(&version) {
                fitting.push(version);
            }
        }
        match (has_signature, fitting.is_empty()) {
            (_, false) => Ok(fitting),
            (true, true) => Err(Unverified::WrongSignature),
            (false, true) => Err(Unverified::NoSignature),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Unverified> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Unverified::MissingHeader(name))
}

impl ClientKeys {
    /// What a receiver of this client verifies with: all secrets and all public keys.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        let public = |key: &[u8]| UnparsedPublicKey::new(&ED25519, key.to_vec());
        Verifier::new(self.hmac_keys(), self.ed25519_keys().map(public).collect())
    }

    /// The same with the secrets alone.
    #[must_use]
    pub fn secret_verifier(&self) -> Verifier {
        Verifier::new(self.hmac_keys(), Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::SigningSecrets;
    use crate::domain::Signatures;

    const MASTER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NOW: Timestamp = Timestamp::from_millis(1_614_265_330_999);

    fn keys(client: &str) -> ClientKeys {
        MASTER.parse::<SigningSecrets>().unwrap().derive(&client.parse().unwrap())
    }

    fn headers(signatures: Signatures) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "a".parse().unwrap());
        headers.insert("webhook-timestamp", NOW.as_secs().to_string().parse().unwrap());
        headers.insert("webhook-signature", keys("anna").sign(signatures, "a", NOW, b"hello").parse().unwrap());
        headers
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + seconds * 1000)
    }

    #[test]
    fn the_keys_of_the_client_and_each_of_its_secrets_verify() {
        let both = headers(Signatures::V1AndV1a);
        assert_eq!(keys("anna").verifier().verify(&both, b"hello", NOW), Ok(vec!["v1", "v1a"]));
        let one = headers(Signatures::V1);
        assert_eq!(keys("anna").verifier().verify(&one, b"hello", NOW), Ok(vec!["v1"]));
        let secret = Verifier::with_secret(&keys("anna").secrets()[0]).unwrap();
        assert_eq!(secret.verify(&both, b"hello", NOW), Ok(vec!["v1"]));
    }

    #[test]
    fn other_keys_another_body_and_another_id_do_not_verify() {
        let signed = headers(Signatures::V1AndV1a);
        let (own, other) = (keys("anna").verifier(), keys("bert").verifier());
        assert_eq!(other.verify(&signed, b"hello", NOW), Err(Unverified::WrongSignature));
        assert_eq!(own.verify(&signed, b"hello ", NOW), Err(Unverified::WrongSignature));
        let mut renamed = signed.clone();
        renamed.insert("webhook-id", "b".parse().unwrap());
        assert_eq!(own.verify(&renamed, b"hello", NOW), Err(Unverified::WrongSignature));
        let mut unsigned = signed;
        for (text, why) in [
            ("v2,AAAA nonsense", Unverified::NoSignature),
            ("v1,", Unverified::WrongSignature),
            ("v1,!", Unverified::WrongSignature),
            ("v1a,AAAA", Unverified::WrongSignature),
        ] {
            unsigned.insert("webhook-signature", text.parse().unwrap());
            assert_eq!(own.verify(&unsigned, b"hello", NOW), Err(why), "{text}");
        }
    }

    #[test]
    fn the_timestamp_may_be_five_minutes_away() {
        let (signed, verifier) = (headers(Signatures::V1), keys("anna").verifier());
        for seconds in [-300, 0, 300] {
            assert!(verifier.verify(&signed, b"hello", at(seconds)).is_ok(), "{seconds}");
        }
        assert!(matches!(verifier.verify(&signed, b"hello", at(301)), Err(Unverified::TooOld(_))));
        assert!(matches!(verifier.verify(&signed, b"hello", at(-301)), Err(Unverified::TooNew(_))));
    }

    #[test]
    fn each_header_is_needed() {
        let verifier = keys("anna").verifier();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut without = headers(Signatures::V1);
            without.remove(name);
            assert_eq!(verifier.verify(&without, b"hello", NOW), Err(Unverified::MissingHeader(name)));
        }
        let mut wrong = headers(Signatures::V1);
        wrong.insert("webhook-timestamp", "soon".parse().unwrap());
        assert_eq!(verifier.verify(&wrong, b"hello", NOW), Err(Unverified::InvalidTimestamp));
    }
}
