//! The managed identity as a credential of the crates for storage.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::auth::{AccessToken, Secret as AzureSecret, TokenCredential};
use azure_core::error::{Error, ErrorKind, HttpError};
use azure_core::{Context, Policy, PolicyResult, Request, StatusCode};
use time::OffsetDateTime;

use super::pass_on;
use crate::azure::ManagedIdentity;

/// The name of storage at the identity endpoint.
pub(super) const STORAGE: &str = "https://storage.azure.com/";

/// The identity of the app, for storage.
#[derive(Debug)]
pub(super) struct StorageIdentity(pub(super) ManagedIdentity);

#[async_trait]
impl TokenCredential for StorageIdentity {
    /// The requested scopes are ignored, because this credential is used only for storage.
    async fn get_token(&self, _: &[&str]) -> azure_core::Result<AccessToken> {
        let failed = |reason| Error::message(ErrorKind::Credential, reason);
        let cached = self.0.token().await.map_err(failed)?;
        let expires = OffsetDateTime::from_unix_timestamp(cached.expires.as_millis() / 1000)
            .map_err(|_| failed("the response of the identity endpoint cannot be read"))?;
        Ok(AccessToken::new(AzureSecret::new(cached.token.expose().clone()), expires))
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        self.0.forget().await;
        Ok(())
    }
}

/// Removes the cached token when storage responds with 401, because the token may have been revoked before it expired.
#[derive(Debug)]
pub(super) struct InvalidateOn401(pub(super) Arc<StorageIdentity>);

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
