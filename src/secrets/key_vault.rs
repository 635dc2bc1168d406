//! Reads secrets from an Azure Key Vault with a managed identity.
//!
//! Why this is a client of our own is in docs/decisions/0016-key-vault.md.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use url::Url;

use crate::azure::{ManagedIdentity, http_client};
use crate::config::KeyVaultConfig;
use crate::domain::Secret;
use crate::json::secret;
use crate::time::Clock;

/// A store of secrets with names.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The current text of a secret.
    ///
    /// # Errors
    /// [`VaultError`], after some tries if a later one could succeed.
    async fn get(&self, name: &str) -> Result<Secret<String>, VaultError>;
}

/// The reason why a secret was not read. It never contains one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The platform gives no token for the vault.
    #[error("there is no token of the managed identity: {0}")]
    Identity(&'static str),
    /// 401.
    #[error("the vault does not accept the token of the app's identity (401)")]
    Unauthorized,
    /// 403, with the vault's own word for the cause.
    #[error(
        "the vault refuses (403{0}): give the app's identity the role Key Vault Secrets User, check that the secret is enabled, \
         and check the network rules of the vault"
    )]
    Forbidden(String),
    /// 404.
    #[error("the vault has no secret of this name (404)")]
    NotFound,
    /// 429.
    #[error("the vault throttles (429)")]
    Throttled,
    /// Any other status.
    #[error("the vault responded with {0}")]
    Status(u16),
    /// No response in time.
    #[error("the vault does not respond")]
    NoResponse,
    /// 200 with another body than a secret.
    #[error("the response of the vault cannot be read")]
    Garbage,
}

impl VaultError {
    /// Whether a try soon after this one can succeed. What an operator has to change is looked at again later.
    const fn is_transient(&self) -> bool {
        !matches!(self, Self::Forbidden(_) | Self::NotFound)
    }
}

/// The client of a Key Vault.
pub struct KeyVault {
    uri: String,
    identity: ManagedIdentity,
    http: reqwest::Client,
}

/// The HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("the client for the Key Vault cannot be created: the TLS library cannot be initialised")]
pub struct VaultSetupError;

/// The response to a request for a secret. Other members are not used.
#[derive(Deserialize)]
struct SecretBundle {
    #[serde(deserialize_with = "secret::deserialize")]
    value: Secret<String>,
}

/// The error body of the vault.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorCode,
}

#[derive(Deserialize)]
struct ErrorCode {
    code: String,
    #[serde(default)]
    innererror: Option<Box<ErrorCode>>,
}

/// A failed try, and the time that the vault asks us to wait.
type Failed = (VaultError, Duration);

impl KeyVault {
    const API_VERSION: &str = "7.4";
    /// The time limit of one request.
    const TIMEOUT: Duration = Duration::from_secs(5);
    /// The pauses before the second and the third try.
    const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
    /// The longest pause that the vault can ask for.
    const MAX_PAUSE: Duration = Duration::from_secs(10);
    /// A secret has at most 25 KiB.
    const MAX_BODY: usize = 128 * 1024;

    /// The client of this vault. No request is sent.
    ///
    /// # Errors
    /// [`VaultSetupError`].
    pub fn new(config: &KeyVaultConfig, clock: Arc<dyn Clock>) -> Result<Self, VaultSetupError> {
        let builder = http_client().timeout(Self::TIMEOUT);
        let builder = config.authority.iter().cloned().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        let http = builder.build().map_err(|_| VaultSetupError)?;
        let identity = ManagedIdentity::new(config.identity.clone(), &resource(&config.uri), http.clone(), clock);
        Ok(Self { uri: config.uri.clone(), identity, http })
    }

    async fn try_get(&self, name: &str) -> Result<Secret<String>, Failed> {
        let at_once = |error| (error, Duration::ZERO);
        let token = self.identity.token().await.map_err(|reason| at_once(VaultError::Identity(reason)))?;
        let request =
            self.http.get(format!("{}/secrets/{name}", self.uri)).query(&[("api-version", Self::API_VERSION)]);
        let response = request.bearer_auth(token.token.expose()).send().await;
        let mut response = response.map_err(|_| at_once(VaultError::NoResponse))?;
        let (status, wait) = (response.status(), asked_pause(response.headers()));
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|_| at_once(VaultError::NoResponse))? {
            body.extend_from_slice(&part);
            if body.len() > Self::MAX_BODY {
                return Err(at_once(VaultError::Garbage));
            }
        }
        let error = match status {
            StatusCode::OK => {
                let bundle: Result<SecretBundle, _> = serde_json::from_slice(&body);
                return bundle.map(|bundle| bundle.value).map_err(|_| at_once(VaultError::Garbage));
            }
            StatusCode::UNAUTHORIZED => {
                self.identity.forget().await;
                VaultError::Unauthorized
            }
            StatusCode::FORBIDDEN => VaultError::Forbidden(cause(&body)),
            StatusCode::NOT_FOUND => VaultError::NotFound,
            StatusCode::TOO_MANY_REQUESTS => VaultError::Throttled,
            other => VaultError::Status(other.as_u16()),
        };
        Err((error, wait))
    }
}

#[async_trait]
impl SecretStore for KeyVault {
    async fn get(&self, name: &str) -> Result<Secret<String>, VaultError> {
        for pause in Self::PAUSES {
            match self.try_get(name).await {
                Err((error, wait)) if error.is_transient() => {
                    tracing::debug!(secret = name, %error, "a secret was not read; trying again");
                    tokio::time::sleep(pause.max(wait.min(Self::MAX_PAUSE))).await;
                }
                result => return result.map_err(|(error, _)| error),
            }
        }
        self.try_get(name).await.map_err(|(error, _)| error)
    }
}

/// The name of Key Vault at the identity endpoint. It depends on the cloud: the vaults of the public one are below
/// `vault.azure.net`.
fn resource(uri: &str) -> String {
    let url = Url::parse(uri).ok();
    let domain = url.as_ref().and_then(Url::domain).and_then(|host| host.split_once('.')).map(|(_, domain)| domain);
    format!("https://{}", domain.filter(|domain| domain.starts_with("vault.")).unwrap_or("vault.azure.net"))
}

fn asked_pause(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// The most exact word of an error body, such as `ForbiddenByRbac`, with a space before it. Empty if it is not a word.
fn cause(body: &[u8]) -> String {
    let body: Option<ErrorBody> = serde_json::from_slice(body).ok();
    let code = body.map(|ErrorBody { error }| error.innererror.map_or(error.code, |inner| inner.code));
    let is_word = |code: &String| (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    code.filter(is_word).map(|code| format!(" {code}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_for_the_vaults_of_the_same_cloud() {
        for (uri, expected) in [
            ("https://kv.vault.azure.net", "https://vault.azure.net"),
            ("https://kv.vault.azure.cn", "https://vault.azure.cn"),
            ("https://kv.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net"),
            ("https://localhost:1", "https://vault.azure.net"),
            ("https://127.0.0.1:1", "https://vault.azure.net"),
        ] {
            assert_eq!(resource(uri), expected);
        }
    }

    #[test]
    fn the_cause_of_a_refusal_is_one_word_of_the_vault() {
        let inner = br#"{"error":{"code":"Forbidden","message":"m","innererror":{"code":"ForbiddenByRbac"}}}"#;
        assert_eq!(cause(inner), " ForbiddenByRbac");
        assert_eq!(cause(br#"{"error":{"code":"Forbidden"}}"#), " Forbidden");
        for garbage in [&b""[..], b"{", br#"{"error":{"code":"two words"}}"#, br#"{"error":{"code":""}}"#] {
            assert_eq!(cause(garbage), "");
        }
    }
}
