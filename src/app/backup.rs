//! Export, import and verify on the store itself, for the command line while no service runs.

use std::sync::Arc;

use super::StartError;
use super::backend::Backend;
use super::build::Parts;
use crate::api::{ExportResponse, ImportResponse};
use crate::backup::{Backup, BackupError, Verification};
use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::secrets::BootstrapSecrets;
use crate::store::{OpenError, Sealer};
use crate::time::{Entropy, SystemEntropy};

/// A store that was opened for a backup.
pub struct BackupStore {
    backend: Backend,
    backup: Backup,
}

impl BackupStore {
    /// Opens a store that exists. In the wrong directory, an export would be empty without a word.
    ///
    /// # Errors
    /// As [`BackupStore::open`].
    pub async fn open_existing(config: &Config, remedy: &str) -> Result<Self, String> {
        let dir = &config.server.data_dir;
        if config.azure.is_none() && !dir.join("store").exists() {
            return Err(format!(
                "there is no store in {}; set SCHEDULER_DATA_DIR to the directory of one",
                dir.display()
            ));
        }
        Self::open(config, remedy).await
    }

    /// Opens the store, and makes a new one if there is none. `remedy` says what the operator can do if a service has it.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn open(config: &Config, remedy: &str) -> Result<Self, String> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
        let backend = Backend::open(config, Descriptors::raise().store_files).map_err(|error| match error {
            StartError::Store(OpenError::Locked(path)) => {
                format!("the service is running on {}; {remedy}", path.display())
            }
            other => other.to_string(),
        })?;
        let keys = BootstrapSecrets::encryption_keys(config, Arc::clone(&entropy)).await?;
        let sealer = Arc::new(Sealer::new(keys, Arc::clone(&entropy)));
        let parts = Parts::of(&backend, entropy, sealer, config);
        // A store that is new is indexed from its beginning.
        parts.indexer(&backend).begin().await;
        let backup = parts.backup(&backend);
        Ok(Self { backend, backup })
    }

    /// Exports a page: what `exportConversations` returns.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) async fn export(&self, cursor: Option<&str>, reveal: bool) -> Result<ExportResponse, String> {
        let page = self.backup.export(cursor, reveal).await.map_err(|error| error.to_string())?;
        ExportResponse::try_from(page).map_err(|error| error.to_string())
    }

    /// Imports lines: what `importConversations` does.
    ///
    /// # Errors
    /// [`BackupError`].
    pub(crate) async fn import(&self, lines: &[String]) -> Result<ImportResponse, BackupError> {
        self.backup.import(lines).await.map(ImportResponse::from)
    }

    /// Says what is wrong with the store.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) async fn verify(&self) -> Result<Verification, String> {
        self.backup.verify().await.map_err(|error| error.to_string())
    }

    /// Closes the store.
    pub fn close(self) {
        self.backend.close();
    }
}
