//! The secrets that the service starts with: from the configuration, or from the data directory.

use super::key_file::KeyFile;
use super::{Credentials, SecretFileError, SecretSourceError};
use crate::auth::{ApiKey, SigningKeys, client_with_key};
use crate::config::Config;
use crate::delivery::SigningSecrets;
use crate::domain::{ClientId, Scopes};
use crate::store::{Client, EncryptionKeys};
use crate::time::Entropy;

/// The first client, and the keys that sign tokens and deliveries and encrypt the store.
pub struct BootstrapSecrets {
    /// The first client.
    pub client: Client,
    /// The keys that sign tokens.
    pub signing_keys: SigningKeys,
    /// The secrets that sign deliveries.
    pub signing_secrets: SigningSecrets,
    /// The keys that encrypt the secrets in the store.
    pub encryption_keys: EncryptionKeys,
    /// The credentials in the data directory, if the configuration has no client.
    pub credentials: Option<Credentials>,
}

impl BootstrapSecrets {
    /// Takes the secrets of the configuration, and the missing ones from the data directory.
    ///
    /// # Errors
    /// [`SecretFileError`] if the data directory is needed and cannot be used.
    pub fn read(config: &Config, entropy: &dyn Entropy) -> Result<Self, SecretFileError> {
        let dir = &config.server.data_dir;
        let configured =
            (config.auth.signing_keys.clone(), config.delivery.signing_secrets.clone(), config.encryption_keys.clone());
        let (signing_keys, signing_secrets, encryption_keys) = match configured {
            (Some(keys), Some(secrets), Some(encryption)) => (keys, secrets, encryption),
            (keys, secrets, encryption) => {
                let mut file = KeyFile::open(dir, entropy)?;
                let keys = keys.map_or_else(|| file.signing_keys(), Ok)?;
                let secrets = secrets.map_or_else(|| file.signing_secrets(), Ok)?;
                let encryption = encryption.map_or_else(|| file.encryption_keys(), Ok)?;
                file.save()?;
                (keys, secrets, encryption)
            }
        };
        // Without the scope `operator`, a service that nobody can stop would have no way to a second client.
        let first_client =
            |id: &ClientId, key: &ApiKey| client_with_key(id.clone(), key, Scopes::with_operator(), entropy);
        let (client, credentials) = if let Some((id, key)) = config.auth.client() {
            // With a storage account this process does not own the directory.
            if config.azure.is_none() {
                Credentials::set_aside(dir)?;
            }
            (first_client(id, key), None)
        } else {
            let local = Credentials::load_or_generate(dir, entropy)?;
            (first_client(&local.client, &local.api_key), Some(local))
        };
        Ok(Self { client, signing_keys, signing_secrets, encryption_keys, credentials })
    }

    /// Secrets for a service of which nothing is kept, and the API key of its client.
    ///
    /// # Errors
    /// [`SecretSourceError`] if a generated secret cannot be read, which is a defect.
    pub fn temporary(entropy: &dyn Entropy) -> Result<(Self, ApiKey), SecretSourceError> {
        let id = ClientId::local();
        let api_key = ApiKey::generate(&id, entropy);
        let client = client_with_key(id, &api_key, Scopes::with_operator(), entropy);
        let signing_keys = SigningKeys::generate(entropy).expose().parse()?;
        let signing_secrets = SigningSecrets::generate(entropy).expose().parse()?;
        let encryption_keys = EncryptionKeys::generate(entropy).expose().parse()?;
        Ok((Self { client, signing_keys, signing_secrets, encryption_keys, credentials: None }, api_key))
    }

    /// The keys that encrypt the store, in the data directory. They get into it if it has none.
    pub(super) fn local_encryption_keys(
        config: &Config,
        entropy: &dyn Entropy,
    ) -> Result<EncryptionKeys, SecretFileError> {
        let mut file = KeyFile::open(&config.server.data_dir, entropy)?;
        let keys = file.encryption_keys()?;
        file.save()?;
        Ok(keys)
    }

    /// The secrets that sign deliveries, in the data directory, if an earlier start has generated them.
    pub(super) fn local_signing_secrets(
        config: &Config,
        entropy: &dyn Entropy,
    ) -> Result<Option<SigningSecrets>, SecretFileError> {
        KeyFile::open(&config.server.data_dir, entropy)?.existing_signing_secrets()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
