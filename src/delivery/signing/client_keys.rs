//! The keys that sign the deliveries of one client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hkdf::{HKDF_SHA256, Prk};
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::PublicKey;
use crate::domain::{ClientId, Secret, Signatures, Timestamp};

/// The keys of one client: a secret and an ed25519 key pair for each master secret, in the order of the masters.
pub struct ClientKeys(Vec<Pair>);

/// What one master gives to a client.
struct Pair {
    secret: Secret<[u8; 32]>,
    hmac: hmac::Key,
    ed25519: Ed25519KeyPair,
}

impl ClientKeys {
    /// The prefix of every secret, by the standard.
    pub(super) const SECRET_PREFIX: &str = "whsec_";
    /// What a secret is derived with, before the id of the client. A number at its end leaves room for another derivation.
    const SECRET_LABEL: &str = "mcp-scheduler webhook secret 1 ";
    /// The same for a key pair.
    const ED25519_LABEL: &str = "mcp-scheduler webhook ed25519 1 ";

    /// Derives the keys of a client (RFC 5869). Nothing about a master, or about the keys of another client, follows from
    /// them.
    pub(super) fn derive(masters: &[Prk], client: &ClientId) -> Self {
        // No master is left out: HKDF-SHA256 gives up to 8160 bytes, and every 32 bytes are an ed25519 seed.
        Self(masters.iter().filter_map(|master| Pair::derive(master, client)).collect())
    }

    /// The value of the header `webhook-signature`: the signatures, separated by spaces. First those with the secrets and
    /// then those with the key pairs, each in the order of the masters: a library for .NET ignores the last signature
    /// of several. A request without content is signed with an empty body.
    #[must_use]
    pub fn sign(&self, signatures: Signatures, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let signed = [format!("{id}.{}.", timestamp.as_secs()).as_bytes(), body].concat();
        let symmetric = self.0.iter().map(|pair| format!("v1,{}", STANDARD.encode(hmac::sign(&pair.hmac, &signed))));
        let with_v1a = if signatures == Signatures::V1 { &[][..] } else { &self.0 };
        let asymmetric = with_v1a.iter().map(|pair| format!("v1a,{}", STANDARD.encode(pair.ed25519.sign(&signed))));
        symmetric.chain(asymmetric).collect::<Vec<_>>().join(" ")
    }

    /// The secrets as receivers need them: `whsec_` and base64.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret<String>> {
        let secret = |pair: &Pair| format!("{}{}", Self::SECRET_PREFIX, STANDARD.encode(pair.secret.expose()));
        self.0.iter().map(secret).map(Secret::new).collect()
    }

    pub(super) fn hmac_keys(&self) -> Vec<hmac::Key> {
        self.0.iter().map(|pair| pair.hmac.clone()).collect()
    }

    pub(super) fn ed25519_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|pair| pair.ed25519.public_key().as_ref())
    }

    /// The public keys.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.ed25519_keys().map(PublicKey::new).collect()
    }
}

impl Pair {
    fn derive(master: &Prk, client: &ClientId) -> Option<Self> {
        let secret = expand(master, ClientKeys::SECRET_LABEL, client)?;
        let seed = expand(master, ClientKeys::ED25519_LABEL, client)?;
        Some(Self {
            secret: Secret::new(secret),
            hmac: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            ed25519: Ed25519KeyPair::from_seed_unchecked(&seed).ok()?,
        })
    }
}

/// 32 bytes for one purpose and one client. An id has no space, so no label and id are the same text as two others.
fn expand(master: &Prk, label: &str, client: &ClientId) -> Option<[u8; 32]> {
    let info = [label.as_bytes(), client.as_str().as_bytes()];
    let mut bytes = [0; 32];
    master.expand(&info, HKDF_SHA256).and_then(|derived| derived.fill(&mut bytes)).ok()?;
    Some(bytes)
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[keys of {} masters]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::delivery::SigningSecrets;

    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const TWO: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn keys(masters: &str, client: &str) -> ClientKeys {
        masters.parse::<SigningSecrets>().unwrap().derive(&client.parse().unwrap())
    }

    fn texts(keys: &ClientKeys) -> Vec<String> {
        keys.secrets().iter().map(|secret| secret.expose().clone()).collect()
    }

    fn sign(keys: &ClientKeys) -> Vec<String> {
        let at = Timestamp::from_millis(1_614_265_330_999);
        keys.sign(Signatures::default(), "msg_1", at, br#"{"test": 1}"#).split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn without_v1a_the_signatures_with_the_secrets_stay_as_they_are() {
        let keys = keys(&format!("{ONE} {TWO}"), "anna");
        let at = Timestamp::from_millis(1_614_265_330_999);
        let v1 = keys.sign(Signatures::V1, "msg_1", at, br#"{"test": 1}"#);
        assert_eq!(v1.split(' ').collect::<Vec<_>>(), sign(&keys)[..2]);
    }

    /// Another implementation of the standards has computed these values: cryptography 50 for Python.
    #[test]
    fn the_keys_and_signatures_are_those_that_another_implementation_derives() {
        let keys = keys(TWO, "anna");
        assert_eq!(texts(&keys), ["whsec_AyM0Xq+HLHEEnovdPDFYxxjGhWh8YSDqe86dZVvaa7k="]);
        let public = serde_json::to_value(&keys.public_keys()[0]).unwrap();
        let expected = serde_json::json!({
            "kid": "NBpAik9gFex-NJfKdgSW2xbMeL_QOagvRPmcbNzZg20", "kty": "OKP", "crv": "Ed25519",
            "x": "iVrYE8YaYQIElJRLbqpod1G_2Tm03oOgB2hO10ci6Vk", "use": "sig", "alg": "EdDSA",
            "whpk": "whpk_iVrYE8YaYQIElJRLbqpod1G/2Tm03oOgB2hO10ci6Vk=",
        });
        assert_eq!(public, expected);
        assert_eq!(
            sign(&keys),
            [
                "v1,y2pJl803IdzOwZzjltNi4iqxZKL7eaZLxPJ7w5rokKU=",
                "v1a,3ZY7kHqAW38dPOBnJQlvDYfbWHL5VEA4wNjSDAZiZW1L2X1DVywEPi3z5hPbebE0J21quyaqMvvE7+uwQRx6BQ==",
            ]
        );
    }

    #[test]
    fn each_client_and_each_master_has_secrets_and_keys_of_its_own() {
        let all = [keys(ONE, "anna"), keys(ONE, "Anna"), keys(ONE, "anna1"), keys(TWO, "anna")];
        let secrets: std::collections::HashSet<_> = all.iter().flat_map(texts).collect();
        let public: std::collections::HashSet<_> =
            all.iter().flat_map(ClientKeys::public_keys).map(|key| format!("{key:?}")).collect();
        assert_eq!((secrets.len(), public.len()), (4, 4));
        assert!(!secrets.contains(ONE) && !secrets.contains(TWO), "a master is no secret of a client");
    }

    #[test]
    fn all_masters_sign_in_their_order_first_with_the_secrets_and_then_with_the_key_pairs() {
        let (one, two) = (sign(&keys(ONE, "anna")), sign(&keys(TWO, "anna")));
        let both = keys(&format!("{ONE} {TWO}"), "anna");
        assert_eq!(sign(&both), [&*one[0], &*two[0], &*one[1], &*two[1]]);
        assert!(one[0].starts_with("v1,") && one[1].starts_with("v1a,"), "{one:?}");
        let of_each = [texts(&keys(ONE, "anna")), texts(&keys(TWO, "anna"))].concat();
        assert_eq!(texts(&both), of_each);
        let public = |keys: &ClientKeys| keys.public_keys();
        assert_eq!(public(&both), [public(&keys(ONE, "anna")), public(&keys(TWO, "anna"))].concat());
    }

    #[test]
    fn a_signature_depends_on_id_time_and_body_and_verifies_with_the_public_key() {
        let keys = keys(ONE, "anna");
        let at = Timestamp::from_millis(1000);
        let signatures = [
            keys.sign(Signatures::default(), "a", at, b"b"),
            keys.sign(Signatures::default(), "a", at, b""),
            keys.sign(Signatures::default(), "b", at, b"b"),
            keys.sign(Signatures::default(), "a", Timestamp::from_millis(2000), b"b"),
        ];
        let distinct: std::collections::HashSet<_> = signatures.iter().flat_map(|text| text.split(' ')).collect();
        assert_eq!(distinct.len(), 8);
        let signature = STANDARD.decode(signatures[0].rsplit("v1a,").next().unwrap()).unwrap();
        let public = keys.0[0].ed25519.public_key().as_ref().to_vec();
        assert!(UnparsedPublicKey::new(&ED25519, public).verify(b"a.1.b", &signature).is_ok());
    }

    #[test]
    fn debug_output_hides_the_keys() {
        assert_eq!(format!("{:?}", keys(ONE, "anna")), "[keys of 1 masters]");
    }
}
