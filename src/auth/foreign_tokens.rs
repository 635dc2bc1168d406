//! Tokens of other issuers: RS256, with keys that the issuer publishes (`OpenID` Connect Discovery).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::DocumentFetcher;
use super::token::{Audience, TokenIssuer, is_current};
use super::trusted_issuers::{TrustedIssuer, TrustedIssuers};
use crate::domain::{ClientId, Timestamp};
use crate::sync::lock;

/// Verifies tokens of other issuers.
pub(super) struct ForeignTokens {
    issuers: TrustedIssuers,
    fetcher: Arc<dyn DocumentFetcher>,
    /// What each issuer publishes, and the time at which it was read.
    published: Mutex<HashMap<String, (Instant, Arc<Published>)>>,
}

#[derive(Default)]
struct Published {
    keys: HashMap<String, RsaKey>,
    /// None if the issuer has none, or calls itself by another name.
    endpoints: Option<Endpoints>,
}

/// Where users sign in at an issuer, and where the code of a sign-in is exchanged.
#[derive(Clone, Deserialize)]
pub(super) struct Endpoints {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
}

/// The client that a token stands for, and the time at which the token was issued, in seconds.
pub(super) struct ForeignCaller {
    pub(super) client: ClientId,
    pub(super) issued: i64,
}

struct RsaKey {
    n: Vec<u8>,
    e: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    /// Members that the verifier would have to understand. There is none.
    #[serde(default)]
    crit: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
struct Discovery {
    jwks_uri: String,
    #[serde(flatten)]
    endpoints: Option<Endpoints>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    n: String,
    e: String,
}

impl Claims {
    /// The text of a claim that not every token has.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.others.get(name)?.as_str()
    }

    /// Whether the token is for one audience alone.
    pub(super) fn has_one_audience(&self) -> bool {
        self.aud.names().len() == 1
    }
}

impl ForeignTokens {
    /// The time after which the keys of an issuer are read again.
    const CACHED_FOR: Duration = Duration::from_hours(1);
    /// A token that names an unknown key has the keys read again, but not within this time.
    const REFRESHED_AFTER: Duration = Duration::from_mins(1);

    pub(super) fn new(issuers: TrustedIssuers, fetcher: Arc<dyn DocumentFetcher>) -> Self {
        Self { issuers, fetcher, published: Mutex::default() }
    }

    /// The client of a token that is valid now. `None` if it is not valid, or its claim is that of no client.
    pub(super) async fn caller(&self, token: &str, now: Timestamp) -> Option<ForeignCaller> {
        let (issuer, claims) = self.verify(token, now).await?;
        let client = issuer.clients.get(claims.text(&issuer.claim)?)?.clone();
        Some(ForeignCaller { client, issued: claims.iat })
    }

    /// The issuer and the claims of a token that is valid now.
    pub(super) async fn verify(&self, token: &str, now: Timestamp) -> Option<(&TrustedIssuer, Claims)> {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= TokenIssuer::MAX_BYTES)?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = decode(header).filter(|header: &Header| header.alg == "RS256" && header.crit.is_none())?;
        let claims: Claims = decode(payload)?;
        let issuer = self.issuers.find(&claims.iss)?;
        let is_for_us = claims.aud.names().contains(&issuer.audience);
        if !is_for_us || !is_current(claims.iat, claims.exp, claims.nbf, now.as_secs()) {
            return None;
        }
        let published = self.published(issuer, |published| published.keys.contains_key(&header.kid)).await;
        let RsaKey { n, e } = published.keys.get(&header.kid)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = RsaPublicKeyComponents { n, e };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).ok()?;
        Some((issuer, claims))
    }

    /// The endpoints of an issuer.
    pub(super) async fn endpoints(&self, issuer: &TrustedIssuer) -> Option<Endpoints> {
        self.published(issuer, |published| published.endpoints.is_some()).await.endpoints.clone()
    }

    /// What an issuer publishes. If it does not have what is needed, it may have changed.
    async fn published(&self, issuer: &TrustedIssuer, has_it: impl Fn(&Published) -> bool + Send) -> Arc<Published> {
        let known = lock(&self.published).get(&issuer.issuer).cloned();
        if let Some((read_at, published)) = &known {
            let age = read_at.elapsed();
            if age < Self::REFRESHED_AFTER || age < Self::CACHED_FOR && has_it(published) {
                return Arc::clone(published);
            }
        }
        // An issuer that cannot be reached keeps the keys that it had, and is not asked for each token.
        let read = self.read(issuer).await.map(Arc::new).or_else(|| known.map(|(_, published)| published));
        let read = read.unwrap_or_default();
        lock(&self.published).insert(issuer.issuer.clone(), (Instant::now(), Arc::clone(&read)));
        read
    }

    async fn read(&self, issuer: &TrustedIssuer) -> Option<Published> {
        let discovery = format!("{}/.well-known/openid-configuration", issuer.issuer.trim_end_matches('/'));
        let Discovery { jwks_uri, endpoints } = serde_json::from_slice(&self.fetcher.fetch(&discovery).await?).ok()?;
        let endpoints = endpoints.filter(|endpoints| endpoints.issuer == issuer.issuer);
        let KeySet { keys } = serde_json::from_slice(&self.fetcher.fetch(&jwks_uri).await?).ok()?;
        let key = |jwk: Value| {
            let Jwk { kty, kid, n, e } = serde_json::from_value(jwk).ok()?;
            let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
            (kty == "RSA").then_some((kid, RsaKey { n: decoded(&n)?, e: decoded(&e)? }))
        };
        Some(Published { keys: keys.into_iter().filter_map(key).collect(), endpoints })
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;

    const ISSUER: &str = "https://a.example";

    /// An issuer that has another key each time it is asked, until it is asked for the third time.
    #[derive(Default)]
    struct Rotating(AtomicUsize);

    #[async_trait]
    impl DocumentFetcher for Rotating {
        async fn fetch(&self, url: &str) -> Option<Bytes> {
            if url == "https://a.example/.well-known/openid-configuration" {
                return Some(r#"{"jwks_uri":"https://a.example/keys"}"#.into());
            }
            let number = self.0.fetch_add(1, SeqCst) + 1;
            let keys =
                format!(r#"{{"keys":[{{"kty":"RSA","kid":"k{number}","n":"AQAB","e":"AQAB"}},{{"kty":"EC"}}]}}"#);
            (url == "https://a.example/keys" && number < 3).then(|| keys.into())
        }

        async fn send_form(&self, _: &str, _: Bytes) -> Option<Bytes> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_keys_of_an_issuer_follow_its_rotation_and_survive_its_outage() {
        let setting = format!(r#"[{{"issuer":"{ISSUER}","audience":"a","claim":"azp","clients":{{}}}}]"#);
        let issuers: TrustedIssuers = setting.parse().unwrap();
        let issuer = issuers.find(ISSUER).unwrap().clone();
        let fetcher = Arc::new(Rotating::default());
        let tokens = ForeignTokens::new(issuers, Arc::clone(&fetcher) as _);
        for (wait, asked, reads, found) in [
            (0, "k1", 1, "k1"),
            (59, "k2", 1, "k1"),
            (1, "k1", 1, "k1"),
            (0, "k2", 2, "k2"),
            (3599, "k2", 2, "k2"),
            (1, "k2", 3, "k2"),
        ] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            let published = tokens.published(&issuer, |published| published.keys.contains_key(asked)).await;
            let kids: Vec<_> = published.keys.keys().map(String::as_str).collect();
            assert_eq!((kids, fetcher.0.load(SeqCst)), (vec![found], reads), "{asked} after {wait} s");
        }
    }
}
