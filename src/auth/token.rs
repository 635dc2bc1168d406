//! JSON Web Tokens (RFC 7519), HS256 only, by the rules of RFC 8725.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use super::{IssuedToken, SigningKeys, TokenGrant};
use crate::domain::{ClientId, Scopes, Secret, Timestamp};
use crate::json::text;
use crate::public_url::{PublicUrl, Resource};
use crate::time::{Entropy, random};

/// What tokens say about where they come from and how long they last.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `iss`.
    pub issuer: String,
    /// `aud` of tokens that are for no resource in particular.
    pub audience: String,
    /// From `iat` to `exp`, in seconds; at most 3600.
    pub ttl_seconds: u32,
}

/// Makes tokens and checks them.
pub(super) struct TokenIssuer {
    keys: SigningKeys,
    settings: TokenSettings,
    validation: Validation,
    /// Tokens that were found to be ours and whole: the same text need not be looked at again, only
    /// the time. Clients send one token thousands of times.
    verified: RwLock<HashMap<String, Arc<Claims>>>,
}

/// The claims that this service relies on. Others may be there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    /// One name; the library would also take a list that has ours in it.
    iss: String,
    #[serde(with = "text")]
    pub(super) sub: ClientId,
    pub(super) iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    jti: String,
    /// What the token allows (RFC 9068 §2.2.3). One without the claim allows whatever its client may do.
    #[serde(default = "Scopes::all", serialize_with = "text::serialize", deserialize_with = "known_scopes")]
    pub(super) scope: Scopes,
}

/// The scopes of a token that newer code may have issued.
fn known_scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scopes, D::Error> {
    Ok(Scopes::known_in(&String::deserialize(deserializer)?))
}

#[derive(Serialize)]
struct IssuedClaims<'a> {
    aud: Audience<'a>,
    #[serde(flatten)]
    claims: Claims,
}

/// Who a token is for, in the two forms that RFC 7519 §4.1.3 has.
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

/// All that a header may hold: anything else (`jwk`, `jku`, `crit`, `zip` …) asks the verifier to do
/// something that this one does not do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    kid: String,
    #[serde(default)]
    typ: Option<String>,
}

impl TokenSettings {
    /// The longest life a token may have, whoever made it.
    pub const MAX_TTL_SECONDS: u32 = 3600;
}

impl TokenIssuer {
    const MAX_BYTES: usize = 8 * 1024;
    /// How many tokens are remembered at the most; then all are forgotten.
    const MAX_KNOWN: usize = 1000;
    const LEEWAY_SECONDS: i64 = 30;

    /// An issuer with these keys, for the service of this name. A token for any resource of the service is
    /// good for all of it: what it allows, its scopes say.
    pub(super) fn new(keys: SigningKeys, settings: TokenSettings, public_url: &PublicUrl) -> Self {
        let resources = public_url.origins().flat_map(|origin| Resource::ALL.map(|r| origin.resource(r)));
        let audiences: Vec<_> = resources.chain([settings.audience.clone()]).collect();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library reads the machine's clock for these two; `in_time` goes by ours.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { keys, settings, validation, verified: RwLock::default() }
    }

    pub(super) fn issue(
        &self,
        client: &ClientId,
        grant: &TokenGrant,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> IssuedToken {
        let (iat, expires_in) = (now.as_secs(), self.settings.ttl_seconds);
        let jti = URL_SAFE_NO_PAD.encode(random::<16>(entropy));
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            sub: client.clone(),
            iat,
            exp: iat + i64::from(expires_in),
            nbf: Some(iat),
            jti,
            scope: grant.scopes,
        };
        let aud = match grant.audience.as_slice() {
            [] => Audience::One(&self.settings.audience),
            [one] => Audience::One(one),
            several => Audience::Several(several),
        };
        let claims = IssuedClaims { aud, claims };
        let token = self.keys.signing().and_then(|(kid, key)| {
            let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
            jsonwebtoken::encode(&header, &claims, key).ok()
        });
        // There is always a key, and HMAC over text cannot fail.
        IssuedToken { token: Secret::new(token.unwrap_or_default()), expires_in, scopes: grant.scopes }
    }

    /// The claims of a token that is ours, whole, and in its time.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Option<Arc<Claims>> {
        let verified = self.verified.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        let claims = match verified {
            Some(claims) => claims,
            None => self.remember(token, self.read(token)?),
        };
        in_time(&claims, now.as_secs()).then_some(claims)
    }

    fn remember(&self, token: &str, claims: Claims) -> Arc<Claims> {
        let claims = Arc::new(claims);
        let mut verified = self.verified.write().unwrap_or_else(PoisonError::into_inner);
        if verified.len() == Self::MAX_KNOWN {
            verified.clear();
        }
        verified.insert(token.to_owned(), Arc::clone(&claims));
        claims
    }

    /// The claims of a token that is ours and whole.
    fn read(&self, token: &str) -> Option<Claims> {
        if token.len() > Self::MAX_BYTES {
            return None;
        }
        let (header, rest) = token.split_once('.')?;
        if rest.split('.').count() != 2 {
            return None;
        }
        let header: StrictHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != "HS256" || header.typ.is_some_and(|typ| typ != "JWT") {
            return None;
        }
        let key = self.keys.verifying(&header.kid)?;
        jsonwebtoken::decode(token, key, &self.validation).ok().map(|decoded| decoded.claims)
    }
}

fn in_time(claims: &Claims, now: i64) -> bool {
    let Claims { iat, exp, nbf, .. } = claims;
    let leeway = TokenIssuer::LEEWAY_SECONDS;
    let life =
        exp.checked_sub(*iat).is_some_and(|life| (0..=i64::from(TokenSettings::MAX_TTL_SECONDS)).contains(&life));
    life && now - leeway <= *exp && nbf.is_none_or(|nbf| nbf <= now + leeway) && *iat <= now + leeway
}
