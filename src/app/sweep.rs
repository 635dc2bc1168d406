//! One sweep without a service.

use std::sync::Arc;

use tokio::sync::watch;

use super::backend::Backend;
use super::start::Parts;
use crate::auth::ClientDirectory;
use crate::config::Config;
use crate::delivery::Signer;
use crate::descriptors::Descriptors;
use crate::maintenance::SweepReport;
use crate::time::SystemEntropy;

/// Sweeps the storage account once: enqueues the wake-ups that are missing, and delivers what is overdue.
///
/// # Errors
/// A sentence for the operator.
pub async fn sweep_once(config: &Config) -> Result<SweepReport, String> {
    // With a storage account, the configuration has the secrets.
    let secrets = config.delivery.signing_secrets.clone().zip(config.encryption_keys.clone());
    let (Some(_), Some((secrets, encryption_keys))) = (&config.azure, secrets) else {
        return Err(
            "USE_AZURE_SERVICES is not true, and the embedded store needs no sweep: the service that has the store \
                    follows all due conversations itself"
                .to_owned(),
        );
    };
    let descriptors = Descriptors::raise();
    let backend = Backend::open(config, descriptors.store_files).map_err(|error| error.to_string())?;
    let entropy = Arc::new(SystemEntropy::new());
    let parts = Parts::of(&backend, entropy, encryption_keys, config.server.retention);
    let signer = Arc::new(Signer::new(watch::channel(secrets).1));
    let directory = Arc::new(ClientDirectory::new(None, backend.clients()));
    let deliverer = parts.deliverer(config, signer, &directory, descriptors).map_err(|error| error.to_string())?;
    let swept = parts.wake_up_handler(deliverer).sweep().await;
    backend.close();
    swept.map_err(|error| format!("the sweep is not complete, and the next one continues: {error}"))
}
