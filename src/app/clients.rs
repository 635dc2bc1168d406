//! Client administration.

use super::StartError;
use super::backend::Backend;
use crate::auth::{ApiKey, client_with_key};
use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::domain::{ClientId, Scopes};
use crate::store::{OpenError, StoreError};
use crate::time::SystemEntropy;

/// Adds a client with these scopes to the store and returns its API key. A service on the embedded store must be
/// stopped first.
///
/// # Errors
/// A sentence for the operator.
pub async fn add_client(config: &Config, name: &str, scopes: Scopes) -> Result<ApiKey, String> {
    let id: ClientId = name.parse().map_err(|e| format!("the client id {e}"))?;
    // The directory finds the first client in memory and would never read this one.
    match &config.auth.client {
        Some((first, _)) if *first == id => return Err(format!("{name} is the client that SCHEDULER_CLIENT_ID sets")),
        None if id == ClientId::local() => {
            return Err(format!("{name} is the client that the first start generates"));
        }
        _ => {}
    }
    let entropy = SystemEntropy::new();
    let max_files = Descriptors::raise().store_files;
    let backend = Backend::open(config, max_files).map_err(|error| match error {
        StartError::Store(OpenError::Locked(path)) => {
            format!("the service is running on {}: stop it, add the client and start it again", path.display())
        }
        other => other.to_string(),
    })?;
    let key = ApiKey::generate(&id, &entropy);
    let added = backend.clients().insert(&client_with_key(id, &key, scopes, &entropy)).await;
    backend.close();
    match added {
        Ok(()) => Ok(key),
        Err(StoreError::Conflict) => Err(format!("a client {name} exists already")),
        Err(error) => Err(error.to_string()),
    }
}
