//! One sweep without a service.

use std::sync::Arc;

use super::backend::Backend;
use super::build::Parts;
use crate::auth::ClientDirectory;
use crate::config::Config;
use crate::delivery::Signer;
use crate::descriptors::Descriptors;
use crate::maintenance::SweepReport;
use crate::outbound::HttpSender;
use crate::secrets::{BootstrapSecrets, Secrets};
use crate::store::Sealer;
use crate::time::SystemEntropy;

/// Sweeps the storage account once: enqueues the wake-ups that are missing, and delivers what is overdue.
///
/// # Errors
/// A sentence for the operator.
pub async fn sweep_once(config: &Config) -> Result<SweepReport, String> {
    if config.azure.is_none() {
        return Err(
            "USE_AZURE_SERVICES is not true, and the embedded store needs no sweep: the service that has the store \
                    follows all due conversations itself"
                .to_owned(),
        );
    }
    let entropy = Arc::new(SystemEntropy::new());
    let secrets = Secrets::from(BootstrapSecrets::for_command(config, entropy.clone()).await?);
    let descriptors = Descriptors::raise();
    let backend = Backend::open(config, descriptors.store_files).map_err(|error| error.to_string())?;
    let sealer = Arc::new(Sealer::new(secrets.encryption_keys, entropy.clone()));
    let parts = Parts::of(&backend, entropy, sealer, config);
    let signer = Arc::new(Signer::new(secrets.signing_secrets));
    let sender = HttpSender::new(config.delivery.endpoints.clone()).map_err(|error| error.to_string())?;
    let sender = Arc::new(sender.with_max_idle(descriptors.idle_connections));
    let directory = Arc::new(ClientDirectory::new(None, backend.clients()));
    let deliverer = parts.deliverer(config, sender, signer, &directory, descriptors);
    let swept = parts.wake_up_handler(deliverer).sweep().await;
    backend.close();
    swept.map_err(|error| format!("the sweep is not complete, and the next one continues: {error}"))
}
