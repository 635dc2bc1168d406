//! The secrets that the service starts with: from the configuration, or from the data directory.

use super::{Credentials, CredentialsError};
use crate::auth::{ApiKey, SigningKeys, hash_key};
use crate::config::Config;
use crate::delivery::SigningSecrets;
use crate::domain::{ClientId, Scopes};
use crate::store::Client;
use crate::time::Entropy;

/// The first client, and the keys that sign tokens and deliveries.
pub struct BootstrapSecrets {
    /// The first client.
    pub client: Client,
    /// The keys that sign tokens.
    pub signing_keys: SigningKeys,
    /// The secrets that sign deliveries.
    pub signing_secrets: SigningSecrets,
    /// The credentials in the data directory, if the configuration has no client.
    pub credentials: Option<Credentials>,
}

impl BootstrapSecrets {
    /// Takes the secrets of the configuration, and the missing ones from the data directory.
    ///
    /// # Errors
    /// [`CredentialsError`] if the data directory is needed and cannot be used.
    pub fn read(config: &Config, entropy: &dyn Entropy) -> Result<Self, CredentialsError> {
        let configured = config.auth.client.as_ref().map(|(id, key)| first_client(id, key, entropy));
        let (signing_keys, signing_secrets) =
            (config.auth.signing_keys.clone(), config.delivery.signing_secrets.clone());
        match (configured, signing_keys, signing_secrets) {
            (Some(client), Some(signing_keys), Some(signing_secrets)) => {
                Ok(Self { client, signing_keys, signing_secrets, credentials: None })
            }
            (configured, signing_keys, signing_secrets) => {
                let local = Credentials::load_or_generate(&config.server.data_dir, entropy)?;
                let credentials = configured.is_none().then(|| local.clone());
                Ok(Self {
                    client: configured.unwrap_or_else(|| first_client(&local.client, &local.api_key, entropy)),
                    signing_keys: signing_keys.unwrap_or(local.signing_keys),
                    signing_secrets: signing_secrets.unwrap_or(local.signing_secrets),
                    credentials,
                })
            }
        }
    }
}

fn first_client(id: &ClientId, key: &ApiKey, entropy: &dyn Entropy) -> Client {
    Client {
        id: id.clone(),
        key_hashes: vec![hash_key(key, entropy)],
        scopes: Scopes::all(),
        disabled: false,
        tokens_valid_from: None,
    }
}
