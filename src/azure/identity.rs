//! Access tokens of the managed identity that App Service and Functions provide.
//!
//! This file implements the platform's protocol (`IDENTITY_ENDPOINT`, api-version 2019-08-01), because the credential
//! of the crates supports only the system-assigned identity.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tokio::sync::Mutex;

use super::settings::IdentitySource;
use crate::domain::{Secret, Timestamp};
use crate::json::secret;
use crate::time::Clock;

/// Gives tokens for one service. It keeps a token as long as it is valid.
pub struct ManagedIdentity {
    source: IdentitySource,
    /// The service, as the identity endpoint names it.
    resource: String,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    cached: Mutex<Option<AccessToken>>,
}

/// A token for one service.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token.
    pub token: Secret<String>,
    /// The time at which it expires.
    pub expires: Timestamp,
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
    const TIMEOUT: Duration = Duration::from_secs(5);
    /// A token is renewed this long before it expires.
    const RENEW_BEFORE: Duration = Duration::from_mins(5);
    /// The pause after a failed renewal while the old token is still valid.
    const RETRY: Duration = Duration::from_secs(30);

    /// The identity of a source, for the service `resource`. No request is sent.
    pub fn new(source: IdentitySource, resource: &str, http: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self { source, resource: resource.to_owned(), http, clock, cached: Mutex::new(None) }
    }

    /// The cached token, or a new one. The mutex is held during the request, so concurrent callers wait for one request
    /// and do not send more.
    ///
    /// # Errors
    /// A sentence, if there is no token.
    pub async fn token(&self) -> Result<AccessToken, &'static str> {
        let mut cached = self.cached.lock().await;
        let now = self.clock.now();
        if let Some(token) = cached.as_ref().filter(|token| now < token.renew) {
            return Ok(token.clone());
        }
        let next = match (self.fetch().await, cached.take().filter(|token| now < token.expires)) {
            (Ok(new), _) => new,
            (Err(reason), Some(old)) => {
                tracing::warn!(
                    reason,
                    resource = self.resource,
                    "the access token was not renewed; the old one is still valid"
                );
                AccessToken { renew: now + Self::RETRY, ..old }
            }
            (Err(reason), None) => {
                tracing::warn!(reason, resource = self.resource, "no access token was received");
                return Err(reason);
            }
        };
        *cached = Some(next.clone());
        Ok(next)
    }

    /// Removes the cached token, because its service has refused it: it may have been revoked before it expired.
    pub async fn forget(&self) {
        *self.cached.lock().await = None;
    }

    async fn fetch(&self) -> Result<AccessToken, &'static str> {
        let mut query = vec![("api-version", "2019-08-01"), ("resource", &self.resource)];
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
        Ok(AccessToken { token: response.access_token, expires, renew })
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
