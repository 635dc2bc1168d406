//! A public key as receivers get it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::Serialize;

/// An ed25519 public key, with which a receiver verifies the signatures v1a of one client.
// A JSON Web Key (RFC 8037), and the form of Standard Webhooks beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PublicKey {
    /// The thumbprint of the key (RFC 7638).
    kid: String,
    #[schemars(extend("const" = "OKP"))]
    kty: &'static str,
    #[schemars(extend("const" = "Ed25519"))]
    crv: &'static str,
    /// The 32 bytes of the key in base64url.
    x: String,
    #[serde(rename = "use")]
    #[schemars(extend("const" = "sig"))]
    usage: &'static str,
    #[schemars(extend("const" = "EdDSA"))]
    alg: &'static str,
    /// The same key in the form of Standard Webhooks: whpk_ and base64.
    whpk: String,
}

impl PublicKey {
    const KEY_TYPE: &str = "OKP";
    const CURVE: &str = "Ed25519";

    pub(super) fn new(bytes: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(bytes);
        // The required members in the order of their names, without spaces (RFC 7638 §3).
        let members = format!(r#"{{"crv":"{}","kty":"{}","x":"{x}"}}"#, Self::CURVE, Self::KEY_TYPE);
        Self {
            kid: URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes())),
            kty: Self::KEY_TYPE,
            crv: Self::CURVE,
            x,
            usage: "sig",
            alg: "EdDSA",
            whpk: format!("whpk_{}", STANDARD.encode(bytes)),
        }
    }

    /// The key in the form of Standard Webhooks: `whpk_` and base64.
    #[must_use]
    pub fn whpk(&self) -> &str {
        &self.whpk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the thumbprint of RFC 8037, appendix A.
    #[test]
    fn the_thumbprint_is_that_of_the_standards_own_example() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = PublicKey::new(&URL_SAFE_NO_PAD.decode(x).unwrap());
        assert_eq!((&*key.x, &*key.kid), (x, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    }
}
