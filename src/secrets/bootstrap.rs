//! The secrets that the service starts with: from the configuration, or kept in the data directory.

use super::{Credentials, CredentialsError};
use crate::auth::{SigningKeys, hash_key};
use crate::config::Config;
use crate::delivery::SigningSecrets;
use crate::domain::{ClientId, Scopes};
use crate::store::Client;
use crate::time::Entropy;

/// The first client and the keys that tokens and deliveries are signed with.
pub struct BootstrapSecrets {
    /// The first client.
    pub client: Client,
    /// The keys that tokens are signed with.
    pub keys: SigningKeys,
    /// The secrets that deliveries are signed with.
    pub secrets: SigningSecrets,
    /// The credentials in the data directory, if the configuration has no client.
    pub credentials: Option<Credentials>,
}

impl BootstrapSecrets {
    /// Takes what the configuration has, and the rest from the data directory.
    ///
    /// # Errors
    /// [`CredentialsError`] if the data directory is needed and cannot be used.
    pub fn of(config: &Config, entropy: &dyn Entropy) -> Result<Self, CredentialsError> {
        let client = |id: &ClientId, key| Client {
            id: id.clone(),
            key_hashes: vec![hash_key(key, entropy)],
            scopes: Scopes::all(),
            disabled: false,
            tokens_valid_from: None,
        };
        let configured = config.client.as_ref().map(|(id, key)| client(id, key));
        match (configured, config.signing_keys.clone(), config.signing_secrets.clone()) {
            (Some(client), Some(keys), Some(secrets)) => Ok(Self { client, keys, secrets, credentials: None }),
            (configured, keys, secrets) => {
                let kept = Credentials::load_or_make(&config.data_dir, entropy)?;
                let credentials = configured.is_none().then(|| kept.clone());
                Ok(Self {
                    client: configured.unwrap_or_else(|| client(&kept.client, &kept.api_key)),
                    keys: keys.unwrap_or(kept.signing_keys),
                    secrets: secrets.unwrap_or(kept.signing_secrets),
                    credentials,
                })
            }
        }
    }
}
