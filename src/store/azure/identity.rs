//! Access tokens of the managed identity that App Service and Functions provide.
//!
//! This file implements the platform's protocol (`IDENTITY_ENDPOINT`, api-version 2019-08-01), because the credential
//! of the crates supports only the system-assigned identity.

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
    cached: Mutex<Option<CachedToken>>,
}

#[derive(Clone)]
struct CachedToken {
    token: Secret<String>,
    expires: Timestamp,
    renew: Timestamp,
}

/// The response of the identity endpoint.
#[derive(Deserialize)]
struct TokenResponse {
    #[serde(deserialize_with = "secret::deserialize")]
    access_token: Secret<String>,
    /// Seconds since 1970. App Service sends a text, other platforms send a number.
    #[serde(deserialize_with = "number_or_text")]
    expires_on: i64,
}

impl ManagedIdentity {
    const RESOURCE: &str = "https://storage.azure.com/";
    const TIMEOUT: Duration = Duration::from_secs(5);
    /// A token is renewed this long before it expires.
    const RENEW_BEFORE: Duration = Duration::from_mins(5);
    /// The pause after a failed renewal while the old token is still valid.
    const RETRY: Duration = Duration::from_secs(30);

    pub(super) fn new(source: IdentitySource, http: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self { source, http, clock, cached: Mutex::new(None) }
    }

    /// The cached token, or a new one. The mutex is held during the request, so concurrent callers wait for one request
    /// and do not send more.
    async fn token(&self) -> Result<CachedToken, &'static str> {
        let mut cached = self.cached.lock().await;
        let now = self.clock.now();
        if let Some(token) = cached.as_ref().filter(|token| now < token.renew) {
            return Ok(token.clone());
        }
        let next = match (self.fetch().await, cached.take().filter(|token| now < token.expires)) {
            (Ok(new), _) => new,
            (Err(reason), Some(old)) => {
                tracing::warn!(reason, "the access token for storage was not renewed; the old one is still valid");
                CachedToken { renew: now + Self::RETRY, ..old }
            }
            (Err(reason), None) => {
                tracing::warn!(reason, "no access token for storage was received");
                return Err(reason);
            }
        };
        *cached = Some(next.clone());
        Ok(next)
    }

    async fn fetch(&self) -> Result<CachedToken, &'static str> {
        let mut query = vec![("api-version", "2019-08-01"), ("resource", Self::RESOURCE)];
        query.extend(self.source.client_id.as_deref().map(|id| ("client_id", id)));
        let request = self.http.get(&self.source.endpoint).query(&query).timeout(Self::TIMEOUT);
        let request = request.header("X-IDENTITY-HEADER", self.source.header.expose());
        let response = request.send().await.map_err(|_| "the identity endpoint does not respond")?;
        if !response.status().is_success() {
            return Err("the identity endpoint responded with an error status");
        }
        let body = response.bytes().await.map_err(|_| "the identity endpoint does not respond")?;
        let response: TokenResponse =
            serde_json::from_slice(&body).map_err(|_| "the response of the identity endpoint cannot be read")?;
        let expires = Timestamp::from_millis(response.expires_on.saturating_mul(1000));
        // A token that expires soon is kept for `RETRY`, so that not every call to storage requests a new one.
        let renew = (expires - Self::RENEW_BEFORE).max(self.clock.now() + Self::RETRY).min(expires);
        Ok(CachedToken { token: response.access_token, expires, renew })
    }
}

#[async_trait]
impl TokenCredential for ManagedIdentity {
    /// The requested scopes are ignored, because this credential is used only for storage.
    async fn get_token(&self, _: &[&str]) -> azure_core::Result<AccessToken> {
        let failed = |reason| Error::message(ErrorKind::Credential, reason);
        let cached = self.token().await.map_err(failed)?;
        let expires = OffsetDateTime::from_unix_timestamp(cached.expires.as_millis() / 1000)
            .map_err(|_| failed("the response of the identity endpoint cannot be read"))?;
        Ok(AccessToken::new(AzureSecret::new(cached.token.expose().clone()), expires))
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        *self.cached.lock().await = None;
        Ok(())
    }
}

/// Removes the cached token when storage responds with 401, because the token may have been revoked before it expired.
#[derive(Debug)]
pub(super) struct InvalidateOn401(pub(super) Arc<ManagedIdentity>);

#[async_trait]
impl Policy for InvalidateOn401 {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let result = pass_on(context, request, next).await;
        let status = match &result {
            Ok(response) => Some(response.status()),
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
