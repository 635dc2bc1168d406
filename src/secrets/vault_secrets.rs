//! The secrets of a service whose settings lack some: a Key Vault has those, and they are read again while the service
//! runs.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::key_vault::SecretStore;
use super::vault_secret::{Failure, VaultSecret};
use super::{BootstrapSecrets, Secrets};
use crate::auth::{ApiKey, SigningKeys, client_with_key};
use crate::config::Config;
use crate::current::{Refresh, RefreshRequests};
use crate::delivery::SigningSecrets;
use crate::domain::{ClientId, Scopes, Secret};
use crate::store::{Client, EncryptionKeys};
use crate::time::Entropy;

/// The secrets of the settings, and beside them those of a vault.
pub struct VaultSecrets {
    store: Arc<dyn SecretStore>,
    entropy: Arc<dyn Entropy>,
    client_id: VaultSecret<ClientId>,
    api_key: VaultSecret<ApiKey>,
    signing_keys: VaultSecret<SigningKeys>,
    signing_secrets: VaultSecret<SigningSecrets>,
    encryption_keys: VaultSecret<EncryptionKeys>,
}

/// One reading of the vault.
#[derive(Default)]
struct Reading {
    client_changed: bool,
    failures: Vec<(&'static str, Failure)>,
}

impl VaultSecrets {
    /// The pauses between the first readings, while one fails. The last one is repeated.
    const PAUSES: [Duration; 4] =
        [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(30)];

    /// The secrets of this configuration. No request is sent.
    #[must_use]
    pub fn new(config: &Config, store: Arc<dyn SecretStore>, entropy: Arc<dyn Entropy>) -> Self {
        let (auth, delivery) = (&config.auth, &config.delivery);
        Self {
            store,
            entropy,
            client_id: VaultSecret::new("SCHEDULER-CLIENT-ID", auth.client_id.as_ref(), parsed),
            api_key: VaultSecret::new("SCHEDULER-API-KEY", auth.api_key.as_ref(), parse_api_key),
            signing_keys: VaultSecret::new("JWT-SIGNING-KEYS", auth.signing_keys.as_ref(), parsed),
            signing_secrets: VaultSecret::new("WEBHOOK-SIGNING-SECRETS", delivery.signing_secrets.as_ref(), parsed),
            encryption_keys: VaultSecret::new("DATA-ENCRYPTION-KEYS", config.encryption_keys.as_ref(), parsed),
        }
    }

    /// Reads all secrets, and tries until it has them.
    pub async fn read(mut self) -> (Secrets, Refresher) {
        let mut pauses = Self::PAUSES.into_iter();
        let mut pause = Duration::ZERO;
        loop {
            let read_at = Instant::now();
            for (secret, failure) in self.refresh().await.failures {
                tracing::error!(secret, error = %failure, "the service cannot serve before it has this secret; trying again");
            }
            if let Some(bootstrap) = self.current() {
                return self.watched(bootstrap, read_at);
            }
            pause = pauses.next().unwrap_or(pause);
            sleep(pause).await;
        }
    }

    /// Reads all secrets once, for a command that then ends.
    ///
    /// # Errors
    /// A sentence for each secret that cannot be read.
    pub async fn read_once(mut self) -> Result<BootstrapSecrets, String> {
        let failures = self.refresh().await.failures;
        let sentences: Vec<_> = failures.iter().map(|(secret, failure)| format!("{secret}: {failure}")).collect();
        self.current().ok_or_else(|| format!("the Key Vault does not give all secrets:\n  {}", sentences.join("\n  ")))
    }

    /// Reads the vault's secrets again, all at one time. Each one that fails keeps its value.
    async fn refresh(&mut self) -> Reading {
        let store = &*self.store;
        let (id, key, signing, webhook, encryption) = tokio::join!(
            self.client_id.refresh(store),
            self.api_key.refresh(store),
            self.signing_keys.refresh(store),
            self.signing_secrets.refresh(store),
            self.encryption_keys.refresh(store),
        );
        let client_changed = matches!(id, Ok(true)) || matches!(key, Ok(true));
        let failures = [id, key, signing, webhook, encryption].into_iter().filter_map(Result::err).collect();
        Reading { client_changed, failures }
    }

    fn client(&self) -> Option<Client> {
        let (id, key) = self.client_id.value().zip(self.api_key.value())?;
        Some(client_with_key(id, &key, Scopes::with_operator(), &*self.entropy))
    }

    /// The secrets of this moment, if all were read.
    fn current(&self) -> Option<BootstrapSecrets> {
        Some(BootstrapSecrets {
            client: self.client()?,
            signing_keys: self.signing_keys.value()?,
            signing_secrets: self.signing_secrets.value()?,
            encryption_keys: self.encryption_keys.value()?,
            credentials: None,
        })
    }

    /// The secrets that follow each change, and the task that makes the changes.
    fn watched(self, read: BootstrapSecrets, read_at: Instant) -> (Secrets, Refresher) {
        let (client, current_client) = watch::channel(Arc::new(read.client));
        let (refresh, requests) = Refresh::channel();
        let secrets = Secrets {
            client: current_client.into(),
            signing_keys: self.signing_keys.current().unwrap_or_else(|| read.signing_keys.into()),
            signing_secrets: self.signing_secrets.current().unwrap_or_else(|| read.signing_secrets.into()),
            encryption_keys: self.encryption_keys.current().unwrap_or_else(|| read.encryption_keys.into()),
            refresh,
        };
        let next = read_at + Refresher::EVERY;
        (secrets, Refresher { secrets: self, client, requests, next, asked_at: None })
    }
}

/// Reads the secrets again: at regular times, and when somebody misses a key.
pub struct Refresher {
    secrets: VaultSecrets,
    client: watch::Sender<Arc<Client>>,
    requests: RefreshRequests,
    /// The next regular reading.
    next: Instant,
    /// The beginning of the last reading that was asked for.
    asked_at: Option<Instant>,
}

impl Refresher {
    /// The pause between two readings.
    pub const EVERY: Duration = Duration::from_mins(10);
    /// The pause after a reading that failed.
    const AFTER_FAILURE: Duration = Duration::from_mins(1);
    /// The shortest time between two readings that were asked for. Anybody can send tokens with an unknown key, and must
    /// not be able to make many requests to the vault.
    pub const MIN_PAUSE: Duration = Duration::from_secs(30);

    /// Works for ever.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                () = sleep_until(self.next) => self.refresh().await,
                Some(asked) = self.requests.recv() => {
                    if self.asked_at.is_none_or(|at| at.elapsed() >= Self::MIN_PAUSE) {
                        self.asked_at = Some(Instant::now());
                        self.refresh().await;
                    }
                    drop(asked);
                }
            }
        }
    }

    async fn refresh(&mut self) {
        let reading = self.secrets.refresh().await;
        for (secret, failure) in &reading.failures {
            tracing::warn!(secret, error = %failure, "the secret was not read again; the last good value is still used");
        }
        if let Some(client) = self.secrets.client().filter(|_| reading.client_changed) {
            self.client.send_replace(Arc::new(client));
        }
        self.next = Instant::now() + if reading.failures.is_empty() { Self::EVERY } else { Self::AFTER_FAILURE };
    }
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn parse_api_key(text: &str) -> Result<ApiKey, String> {
    ApiKey::new(Secret::new(text.to_owned())).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "vault_secrets_tests.rs"]
mod tests;
