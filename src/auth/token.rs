//! JSON Web Tokens (RFC 7519), HS256 only, by the rules of RFC 8725.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Deserializer, Serialize};

use super::{IssuedToken, SigningKeys, TokenGrant};
use crate::current::Current;
use crate::domain::{ClientId, Scopes, Secret, Timestamp};
use crate::json::text;
use crate::public_url::{PublicUrl, Resource};
use crate::time::{Entropy, random};

/// The issuer, audience and lifetime of the tokens that this service makes.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// `iss`.
    pub issuer: String,
    /// `aud` of tokens that name no resource.
    pub audience: String,
    /// The time from `iat` to `exp`, in seconds; at most 3600.
    pub ttl_seconds: u32,
}

/// Makes tokens and verifies them.
pub(super) struct TokenIssuer {
    keys: Current<SigningKeys>,
    settings: TokenSettings,
    validation: Validation,
    /// The audiences of tokens for the whole service. The others are for `/mcp` alone.
    whole_service: Vec<String>,
    verified: RwLock<VerifiedTokens>,
}

/// Tokens whose signature and claims were verified. Clients send one token thousands of times, and for a token in here
/// only the time has to be checked again.
struct VerifiedTokens {
    /// The keys that verified them. With other keys all are forgotten, because the key of one may be retired.
    keys: SigningKeys,
    claims: HashMap<String, Arc<Claims>>,
}

/// The reason why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// No key has its id. Another process may have a newer key.
    UnknownKey,
    /// It cannot be read, is forged, or is not valid here or now.
    Invalid,
}

/// The claims that this service reads. A token may have more.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    aud: Audience,
    /// A string. The library alone would also accept a list that contains our name.
    iss: String,
    #[serde(with = "text")]
    pub(super) sub: ClientId,
    pub(super) iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    jti: String,
    /// The scopes of the token (RFC 9068 §2.2.3). A token without this claim was made before scopes existed.
    #[serde(
        default = "Scopes::on_conversations",
        serialize_with = "text::serialize",
        deserialize_with = "known_scopes"
    )]
    pub(super) scope: Scopes,
    /// The program that acts for the client (RFC 9068 §2.2). A token that the client itself asked for has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<String>,
}

/// The scopes of a token that newer code may have issued.
fn known_scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scopes, D::Error> {
    Ok(Scopes::known_in(&String::deserialize(deserializer)?))
}

/// The audience of a token, in one of the two forms of RFC 7519 §4.1.3.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// The members that the header of a token may have. Every other member (`jwk`, `jku`, `crit`, `zip` …) requires the
/// verifier to do something that this one does not support.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    kid: String,
    #[serde(default)]
    typ: Option<String>,
}

impl TokenSettings {
    /// The longest lifetime that a token may have.
    pub const MAX_TTL_SECONDS: u32 = 3600;
}

impl TokenIssuer {
    /// The longest token, in bytes.
    pub(super) const MAX_BYTES: usize = 8 * 1024;
    /// The most tokens in `verified`. At the limit all are dropped.
    const MAX_VERIFIED: usize = 1000;
    const LEEWAY_SECONDS: i64 = 30;

    /// An issuer with these keys, for the service at this URL.
    pub(super) fn new(keys: Current<SigningKeys>, settings: TokenSettings, public_url: &PublicUrl) -> Self {
        let identifiers = |resource| public_url.origins().map(move |origin| origin.resource(resource));
        let whole_service: Vec<_> = identifiers(Resource::Api).chain([settings.audience.clone()]).collect();
        let audiences: Vec<_> = identifiers(Resource::Mcp).chain(whole_service.iter().cloned()).collect();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // For these two the library reads the machine's clock. `in_time` checks them against the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let verified = RwLock::new(VerifiedTokens { keys: keys.get(), claims: HashMap::new() });
        Self { keys, settings, validation, whole_service, verified }
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
        let aud = match grant.audience.as_slice() {
            [] => Audience::One(self.settings.audience.clone()),
            [one] => Audience::One(one.clone()),
            several => Audience::Several(several.to_vec()),
        };
        let claims = Claims {
            aud,
            iss: self.settings.issuer.clone(),
            sub: client.clone(),
            iat,
            exp: iat + i64::from(expires_in),
            nbf: Some(iat),
            jti,
            scope: grant.scopes,
            client_id: grant.program.clone(),
        };
        let token = self.keys.get().signing().and_then(|(kid, key)| {
            let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
            jsonwebtoken::encode(&header, &claims, key).ok()
        });
        // `SigningKeys` is never empty, and an HMAC cannot fail, so there always is a token.
        IssuedToken { token: Secret::new(token.unwrap_or_default()), expires_in, scopes: grant.scopes }
    }

    /// The claims of a token, if it is genuine, valid now, and for this part of the service. A token for `/mcp` may be
    /// in the hands of a language model's client, and is not accepted anywhere else. A token for the whole service is
    /// accepted at `/mcp` too.
    ///
    /// # Errors
    /// [`Rejected`].
    pub(super) fn verify(&self, token: &str, resource: Resource, now: Timestamp) -> Result<Arc<Claims>, Rejected> {
        let keys = self.keys.get();
        let claims = match self.verified(token, &keys) {
            Some(claims) => claims,
            None => self.remember(token, &keys, self.read(token, &keys)?),
        };
        let fits = resource == Resource::Mcp || claims.aud.names().iter().any(|name| self.whole_service.contains(name));
        if fits && in_time(&claims, now.as_secs()) { Ok(claims) } else { Err(Rejected::Invalid) }
    }

    /// The claims of a token that these keys have verified before.
    fn verified(&self, token: &str, keys: &SigningKeys) -> Option<Arc<Claims>> {
        let verified = self.verified.read().unwrap_or_else(PoisonError::into_inner);
        if verified.keys.is_same(keys) { verified.claims.get(token).cloned() } else { None }
    }

    fn remember(&self, token: &str, keys: &SigningKeys, claims: Claims) -> Arc<Claims> {
        let claims = Arc::new(claims);
        let mut verified = self.verified.write().unwrap_or_else(PoisonError::into_inner);
        if verified.claims.len() == Self::MAX_VERIFIED || !verified.keys.is_same(keys) {
            *verified = VerifiedTokens { keys: keys.clone(), claims: HashMap::new() };
        }
        verified.claims.insert(token.to_owned(), Arc::clone(&claims));
        claims
    }

    /// The claims of a token, if its header, signature, issuer and audience are right.
    fn read(&self, token: &str, keys: &SigningKeys) -> Result<Claims, Rejected> {
        let header = header(token).ok_or(Rejected::Invalid)?;
        let key = keys.verifying(&header.kid).ok_or(Rejected::UnknownKey)?;
        let decoded = jsonwebtoken::decode(token, key, &self.validation).map_err(|_| Rejected::Invalid)?;
        Ok(decoded.claims)
    }
}

/// The header of a token, if the token has the form of one that this service makes.
fn header(token: &str) -> Option<StrictHeader> {
    if token.len() > TokenIssuer::MAX_BYTES {
        return None;
    }
    let (header, rest) = token.split_once('.')?;
    if rest.split('.').count() != 2 {
        return None;
    }
    let header: StrictHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let is_ours = header.alg == "HS256" && header.typ.as_deref().is_none_or(|typ| typ == "JWT");
    is_ours.then_some(header)
}

fn in_time(claims: &Claims, now: i64) -> bool {
    let Claims { iat, exp, nbf, .. } = *claims;
    let life = exp.checked_sub(iat).is_some_and(|life| (0..=i64::from(TokenSettings::MAX_TTL_SECONDS)).contains(&life));
    life && is_current(iat, exp, nbf, now)
}

/// Whether a token with these times is valid now, by clocks that differ by some seconds.
pub(super) fn is_current(iat: i64, exp: i64, nbf: Option<i64>, now: i64) -> bool {
    let leeway = TokenIssuer::LEEWAY_SECONDS;
    now - leeway <= exp && nbf.is_none_or(|nbf| nbf <= now + leeway) && iat <= now + leeway
}
