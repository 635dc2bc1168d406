//! The repair of the embedded store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Config;
use crate::domain::ConversationId;
use crate::store::{ConversationStore, EmbeddedStore, EncryptionKeys, Repair, RepairReport, Sealer};
use crate::time::{Clock as _, SystemClock, SystemEntropy};

/// What a repair found, and has done.
#[derive(Clone, Debug)]
pub struct StoreRepair {
    /// What was found.
    pub report: RepairReport,
    /// The clients and ids of the conversations that are lost.
    pub lost: Vec<(String, ConversationId)>,
    /// Where the damaged store is kept, once it was replaced.
    pub kept: Option<PathBuf>,
}

/// Finds out what can be saved of the embedded store. With `replace`, a damaged store is replaced by one with what can
/// be saved.
///
/// # Errors
/// A sentence for the operator.
pub async fn repair(config: &Config, replace: bool) -> Result<StoreRepair, String> {
    if config.azure.is_some() {
        return Err("USE_AZURE_SERVICES is true, and only the embedded store can be repaired".to_owned());
    }
    let repair = Repair::begin(&config.server.data_dir).map_err(|error| error.to_string())?;
    let report = repair.report().clone();
    let lost = report.lost.iter().filter_map(|key| ConversationStore::name_of(key)).collect();
    let kept = if replace && !report.is_complete() {
        let store = EmbeddedStore::open(&repair.repaired()).map_err(|error| error.to_string())?;
        // Secondary rows have no secrets, so this needs no key.
        let sealer = Arc::new(Sealer::new(EncryptionKeys::default(), Arc::new(SystemEntropy::new())));
        let restored = ConversationStore::new(store.conversations(), sealer).restore_secondary_rows().await;
        store.close();
        restored.map_err(|error| error.to_string())?;
        Some(repair.replace(SystemClock.now()).map_err(|error| error.to_string())?)
    } else {
        None
    };
    Ok(StoreRepair { report, lost, kept })
}
