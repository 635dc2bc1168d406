//! Where the secrets of a service come from, and how they reach its parts.

use std::sync::Arc;

use super::{BootstrapSecrets, Credentials, KeyVault, Refresher, SecretFileError, VaultSecrets, VaultSetupError};
use crate::auth::SigningKeys;
use crate::config::{Config, KeyVaultConfig};
use crate::current::{Current, Refresh};
use crate::delivery::{InvalidSigningSecrets, SigningSecrets};
use crate::key_list::InvalidKeys;
use crate::store::{Client, EncryptionKeys};
use crate::time::{Clock, Entropy, SystemClock};

/// The secrets as the parts of a service use them. If a vault has them, they can change while the service runs.
#[derive(Clone)]
pub struct Secrets {
    /// The first client.
    pub client: Current<Arc<Client>>,
    /// The keys that sign tokens.
    pub signing_keys: Current<SigningKeys>,
    /// The secrets that sign deliveries.
    pub signing_secrets: Current<SigningSecrets>,
    /// The keys that encrypt the secrets in the store.
    pub encryption_keys: Current<EncryptionKeys>,
    /// Asks the vault, if there is one.
    pub refresh: Refresh,
}

impl From<BootstrapSecrets> for Secrets {
    fn from(read: BootstrapSecrets) -> Self {
        Self {
            client: Arc::new(read.client).into(),
            signing_keys: read.signing_keys.into(),
            signing_secrets: read.signing_secrets.into(),
            encryption_keys: read.encryption_keys.into(),
            refresh: Refresh::default(),
        }
    }
}

/// Where the secrets come from.
pub enum SecretSource {
    /// The settings and the data directory. They were read.
    Read(Box<BootstrapSecrets>),
    /// A vault. It may take long to answer.
    Vault(Box<VaultSecrets>),
}

/// The secrets cannot be read, and another try would fail in the same way.
#[derive(Debug, thiserror::Error)]
pub enum SecretSourceError {
    /// A file in the data directory cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A generated key cannot be read.
    #[error(transparent)]
    Key(#[from] InvalidKeys),
    /// A generated signing secret cannot be read.
    #[error(transparent)]
    SigningSecret(#[from] InvalidSigningSecrets),
    /// The client for the vault cannot be built.
    #[error(transparent)]
    Vault(#[from] VaultSetupError),
}

impl SecretSource {
    /// Reads what is on this machine. No request is sent.
    ///
    /// # Errors
    /// [`SecretSourceError`].
    pub fn open(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, SecretSourceError> {
        Ok(match &config.key_vault {
            Some(vault) => Self::Vault(Box::new(vault_secrets(config, vault, clock, entropy)?)),
            None => Self::Read(Box::new(BootstrapSecrets::read(config, &*entropy)?)),
        })
    }

    /// The credentials in the data directory, if the configuration has no client.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::Read(read) => read.credentials.as_ref(),
            Self::Vault(_) => None,
        }
    }

    /// Waits until all secrets were read. With a vault, a task must then read them again.
    pub async fn read(self) -> (Secrets, Option<Refresher>) {
        match self {
            Self::Read(read) => ((*read).into(), None),
            Self::Vault(vault) => {
                let (secrets, refresher) = vault.read().await;
                (secrets, Some(refresher))
            }
        }
    }
}

/// For commands, which read what they need once.
impl BootstrapSecrets {
    /// All secrets, from the settings and from where those come that are not set.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn for_command(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Self, String> {
        match &config.key_vault {
            Some(vault) => Self::of_vault(config, vault, entropy).await,
            None => Self::read(config, &*entropy).map_err(|error| error.to_string()),
        }
    }

    /// The keys that encrypt the store alone. If a data directory has none, they get into it.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn encryption_keys(config: &Config, entropy: Arc<dyn Entropy>) -> Result<EncryptionKeys, String> {
        match (&config.encryption_keys, &config.key_vault) {
            (Some(keys), _) => Ok(keys.clone()),
            (None, Some(vault)) => Ok(Self::of_vault(config, vault, entropy).await?.encryption_keys),
            (None, None) => Self::local_encryption_keys(config, &*entropy).map_err(|error| error.to_string()),
        }
    }

    /// The secrets that sign deliveries alone. `None` if no service has started with the data directory. It changes nothing.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn signing_secrets(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Option<SigningSecrets>, String> {
        match (&config.delivery.signing_secrets, &config.key_vault) {
            (Some(secrets), _) => Ok(Some(secrets.clone())),
            (None, Some(vault)) => Ok(Some(Self::of_vault(config, vault, entropy).await?.signing_secrets)),
            (None, None) => Self::local_signing_secrets(config, &*entropy).map_err(|error| error.to_string()),
        }
    }

    /// The secrets of the settings and of a vault.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn of_vault(config: &Config, vault: &KeyVaultConfig, entropy: Arc<dyn Entropy>) -> Result<Self, String> {
        let clock = Arc::new(SystemClock);
        let secrets = vault_secrets(config, vault, clock, entropy).map_err(|error| error.to_string())?;
        secrets.read_once().await
    }
}

fn vault_secrets(
    config: &Config,
    vault: &KeyVaultConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<VaultSecrets, VaultSetupError> {
    Ok(VaultSecrets::new(config, Arc::new(KeyVault::new(vault, clock)?), entropy))
}
