//! The chosen store and queue: embedded, or a storage account.

use std::sync::Arc;

use super::StartError;
use crate::config::Config;
use crate::store::{
    AzureNames, AzureStore, ClientStore, ConversationStore, EmbeddedStore, MemoryQueue, WakeUpQueue, WakeUpReceiver,
};
use crate::time::Clock;

pub(super) enum Backend {
    Local { store: EmbeddedStore, queue: Arc<MemoryQueue> },
    Azure(AzureStore),
}

impl Backend {
    /// Opens the local store; of a storage account nothing is asked here.
    pub(super) fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Ok(match &config.azure {
            Some(settings) => Self::Azure(AzureStore::new(settings, &AzureNames::default(), clock)?),
            None => Self::Local {
                store: EmbeddedStore::open(&config.data_dir)?,
                queue: Arc::new(MemoryQueue::new(clock.now())),
            },
        })
    }

    pub(super) fn conversations(&self) -> ConversationStore {
        ConversationStore::new(match self {
            Self::Local { store, .. } => store.conversations(),
            Self::Azure(store) => store.conversations(),
        })
    }

    pub(super) fn clients(&self) -> ClientStore {
        ClientStore::new(match self {
            Self::Local { store, .. } => store.clients(),
            Self::Azure(store) => store.clients(),
        })
    }

    pub(super) fn wake_ups(&self) -> Arc<dyn WakeUpQueue> {
        match self {
            Self::Local { queue, .. } => Arc::clone(queue) as _,
            Self::Azure(store) => store.wake_ups(),
        }
    }

    pub(super) fn receiver(&self) -> Arc<dyn WakeUpReceiver> {
        match self {
            Self::Local { queue, .. } => Arc::clone(queue) as _,
            Self::Azure(store) => store.wake_ups(),
        }
    }

    /// Whether no other process can work on the same state.
    pub(super) const fn is_exclusive(&self) -> bool {
        matches!(self, Self::Local { .. })
    }

    /// Makes what a storage account lacks, beside everything else: no request waits for it.
    pub(super) fn prepare(&self) {
        if let Self::Azure(store) = self {
            let store = store.clone();
            tokio::spawn(async move {
                if let Err(error) = store.create().await {
                    tracing::warn!(%error, "not all tables and queues are there yet; the first use makes them");
                }
            });
        }
    }

    pub(super) fn close(self) {
        if let Self::Local { store, .. } = self {
            store.close();
        }
    }
}
