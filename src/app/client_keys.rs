//! The keys that verify the deliveries of a client.

use std::sync::Arc;

use crate::config::Config;
use crate::delivery::ClientKeys;
use crate::domain::ClientId;
use crate::secrets::BootstrapSecrets;
use crate::time::SystemEntropy;

/// The keys of the client with this id, derived from the master secrets of the configuration, of the vault or of the data
/// directory. It reads no store, so it works beside a running service, and does not know whether the client exists.
///
/// # Errors
/// A sentence for the operator.
pub async fn client_keys(config: &Config, name: &str) -> Result<ClientKeys, String> {
    let id: ClientId = name.parse().map_err(|error| format!("the client id {error}"))?;
    let secrets = BootstrapSecrets::signing_secrets(config, Arc::new(SystemEntropy::new())).await?;
    let secrets = secrets.ok_or_else(|| {
        let dir = config.server.data_dir.display();
        format!(
            "there are no master secrets: WEBHOOK_SIGNING_SECRETS is not set, and no service has started with the data \
             directory {dir} yet"
        )
    })?;
    Ok(secrets.derive(&id))
}
