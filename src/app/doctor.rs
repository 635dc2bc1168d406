//! What `mcp-scheduler doctor` examines on this machine itself.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::domain::ErrorClass;
use crate::maintenance::{Check, CheckStatus, Checkup};
use crate::outbound::HttpSender;
use crate::secrets::BootstrapSecrets;
use crate::store::{ConversationStore, EncryptionKeys, OpenError, Sealer};
use crate::time::SystemEntropy;

use super::StartError;
use super::backend::Backend;

/// Examines the store and the queue of the settings, while no service runs. It creates nothing.
pub async fn examine_store(config: &Config) -> Vec<Check> {
    if config.azure.is_none() && !config.server.data_dir.exists() {
        let detail = format!("{} does not exist yet: no service has started there", config.server.data_dir.display());
        return vec![Check::new("store", CheckStatus::Warning, detail)];
    }
    let backend = match Backend::open(config, Descriptors::raise().store_files) {
        Ok(backend) => backend,
        Err(StartError::Store(OpenError::Locked(path))) => {
            let detail = format!(
                "a service runs on {}, at another address than HOST and PORT name: name it with --url",
                path.display()
            );
            return vec![Check::new("store", CheckStatus::Failed, detail)];
        }
        Err(error) => return vec![Check::new("store", CheckStatus::Failed, error.to_string())],
    };
    // The rows that are read have no secrets, so this needs no key.
    let sealer = Arc::new(Sealer::new(EncryptionKeys::default(), Arc::new(SystemEntropy::new())));
    let store: ConversationStore = backend.conversations(sealer);
    let wake_ups = (!backend.is_exclusive()).then(|| backend.wake_ups());
    let checks = Checkup::new(store, wake_ups, backend.clock()).run().await;
    backend.close();
    checks
}

/// Examines the secrets of the settings, those of the vault, or those in the data directory.
pub async fn examine_secrets(config: &Config, limit: Duration) -> Check {
    let entropy = Arc::new(SystemEntropy::new());
    if let Some(vault) = &config.key_vault {
        let read = BootstrapSecrets::of_vault(config, vault, entropy);
        return match tokio::time::timeout(limit, read).await {
            Ok(Ok(_)) => Check::new("secrets", CheckStatus::Ok, "the vault has given them"),
            Ok(Err(error)) => Check::new("secrets", CheckStatus::Failed, error),
            Err(_) => Check::new("secrets", CheckStatus::Failed, "the vault has not answered in time"),
        };
    }
    match BootstrapSecrets::signing_secrets(config, entropy).await {
        Ok(Some(_)) => Check::ok("secrets"),
        Ok(None) => Check::new("secrets", CheckStatus::Warning, "there are none yet: the first start makes them"),
        Err(error) => Check::new("secrets", CheckStatus::Failed, error),
    }
}

/// Connects to an endpoint as a delivery does, and sends it nothing.
pub async fn examine_endpoint(config: &Config, endpoint: &str, limit: Duration) -> Check {
    let connected = async {
        let sender = HttpSender::new(config.delivery.endpoints.clone()).map_err(|error| error.to_string())?;
        let connected = tokio::time::timeout(limit, sender.try_connect(endpoint)).await;
        connected.unwrap_or(Err(ErrorClass::ConnectTimeout)).map_err(|class| class.as_str().to_owned())
    };
    match connected.await {
        Ok(()) => Check::new("endpoint", CheckStatus::Ok, "a connection was made, and nothing was sent"),
        Err(class) => Check::new("endpoint", CheckStatus::Failed, class),
    }
}
