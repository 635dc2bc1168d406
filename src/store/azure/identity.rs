//! Tokens of the identity that App Service and Functions give a program.
//!
//! The platform's own protocol (`IDENTITY_ENDPOINT`, api-version 2019-08-01); the crates' credential
//! for it knows the system's identity only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::auth::{AccessToken, Secret as AzureSecret, TokenCredential};
use azure_core::error::{Error, ErrorKind, HttpError};
use azure_core::{Context, Policy, PolicyResult, Request, StatusCode};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::pass_on;
use super::settings::IdentitySource;
use crate::domain::{Secret, Timestamp};
use crate::json::secret;
use crate::time::Clock;

pub(super) struct ManagedIdentity {
    source: IdentitySource,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<CachedToken>>,
}

#[derive(Clone)]
struct CachedToken {
    token: Secret<String>,
    expires: Timestamp,
    renew: Timestamp,
}

/// What the platform answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(deserialize_with = "secret::deserialize")]
    access_token: Secret<String>,
    /// Seconds since 1970: as text in App Service, as a number elsewhere.
    #[serde(deserialize_with = "number_or_text")]
    expires_on: i64,
}

impl ManagedIdentity {
    const RESOURCE: &str = "https://storage.azure.com/";
    const TIMEOUT: Duration = Duration::from_secs(5);
    /// How long before its end a token is renewed.
    const RENEW_BEFORE: Duration = Duration::from_mins(5);
    /// After a renewal that failed while the old token is still good.
    const RETRY: Duration = Duration::from_secs(30);

    pub(super) fn new(source: IdentitySource, http: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self { source, http, clock, held: Mutex::new(None) }
    }

    /// The token that is held, or a new one. Whoever comes while one is fetched waits for it.
    async fn token(&self) -> Result<CachedToken, &'static str> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(good) = held.as_ref().filter(|held| now < held.renew) {
            return Ok(good.clone());
        }
        let next = match (self.fetch().await, held.take().filter(|held| now < held.expires)) {
            (Ok(new), _) => new,
            (Err(reason), Some(old)) => {
                tracing::warn!(reason, "the access token for storage was not renewed; the old one is still good");
                CachedToken { renew: now + Self::RETRY, ..old }
            }
            (Err(reason), None) => {
                tracing::warn!(reason, "no access token for storage");
                return Err(reason);
            }
        };
        *held = Some(next.clone());
        Ok(next)
    }

    async fn fetch(&self) -> Result<CachedToken, &'static str> {
        let mut query = vec![("api-version", "2019-08-01"), ("resource", Self::RESOURCE)];
        query.extend(self.source.client_id.as_deref().map(|id| ("client_id", id)));
        let request = self.http.get(&self.source.endpoint).query(&query).timeout(Self::TIMEOUT);
        let request = request.header("X-IDENTITY-HEADER", self.source.header.expose());
        let answer = request.send().await.map_err(|_| "the identity endpoint does not answer")?;
        if !answer.status().is_success() {
            return Err("the identity endpoint refuses");
        }
        let body = answer.bytes().await.map_err(|_| "the identity endpoint does not answer")?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|_| "the identity endpoint answers something else")?;
        let expires = Timestamp::from_millis(answer.expires_on.saturating_mul(1000));
        // One that comes with little life left is not asked for again with every request.
        let renew = (expires - Self::RENEW_BEFORE).max(self.clock.now() + Self::RETRY).min(expires);
        Ok(CachedToken { token: answer.access_token, expires, renew })
    }
}

#[async_trait]
impl TokenCredential for ManagedIdentity {
    /// The scopes are storage's own, always.
    async fn get_token(&self, _: &[&str]) -> azure_core::Result<AccessToken> {
        let failed = |reason| Error::message(ErrorKind::Credential, reason);
        let held = self.token().await.map_err(failed)?;
        let expires = OffsetDateTime::from_unix_timestamp(held.expires.as_millis() / 1000)
            .map_err(|_| failed("the identity endpoint answers something else"))?;
        Ok(AccessToken::new(AzureSecret::new(held.token.expose().clone()), expires))
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        *self.held.lock().await = None;
        Ok(())
    }
}

/// Drops a token that storage refuses: it may have been withdrawn long before its end.
#[derive(Debug)]
pub(super) struct InvalidateOn401(pub(super) Arc<ManagedIdentity>);

#[async_trait]
impl Policy for InvalidateOn401 {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let result = pass_on(context, request, next).await;
        let status = match &result {
            Ok(answer) => Some(answer.status()),
            Err(error) => error.as_http_error().map(HttpError::status),
        };
        if status == Some(StatusCode::Unauthorized) {
            self.0.clear_cache().await?;
        }
        result
    }
}

impl fmt::Debug for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedIdentity").field("source", &self.source).finish_non_exhaustive()
    }
}

fn number_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}
