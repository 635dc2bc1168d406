//! The chosen store and queue: embedded, or a storage account.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::config::Config;
use crate::delivery::NextDue;
use crate::store::{
    AzureNames, AzureStore, ClientStore, ConversationStore, EmbeddedStore, LoginStore, MemoryTable, NoQueue, Sealer,
    SubscriptionStore, Table, WakeUpQueue, WakeUps, Waker,
};
use crate::time::{Clock, SystemClock, TurnableClock};

pub(super) enum Backend {
    /// The store of this process alone. It has no queue: a follower is told of each time that a commit sets.
    Local {
        store: EmbeddedStore,
        next_due: Arc<NextDue>,
    },
    Azure(AzureStore),
    /// Tables in memory, and a clock that can be turned, for `mcp-scheduler dev`.
    Memory {
        conversations: MemoryTable,
        clients: MemoryTable,
        next_due: Arc<NextDue>,
        clock: Arc<TurnableClock>,
    },
}

impl Backend {
    /// Opens the embedded store, which keeps up to `max_files` files open, or prepares the client of a storage account
    /// without sending it a request.
    pub(super) fn open(config: &Config, max_files: usize) -> Result<Self, StartError> {
        let machine = Arc::new(SystemClock);
        Ok(match &config.azure {
            Some(settings) => Self::Azure(AzureStore::new(settings, &AzureNames::default(), machine)?),
            None => Self::Local {
                store: EmbeddedStore::open_with(&config.server.data_dir, max_files)?,
                next_due: Arc::default(),
            },
        })
    }

    /// Empty tables, and a clock that shows the time of this machine until it is turned.
    pub(super) fn in_memory() -> Self {
        let clock = Arc::new(TurnableClock::new(Arc::new(SystemClock)));
        let (conversations, clients) = (MemoryTable::default(), MemoryTable::default());
        Self::Memory { conversations, clients, next_due: Arc::default(), clock }
    }

    /// The clock that decides about deliveries. The processes of a storage account share the clock of the storage.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Local { .. } => Arc::new(SystemClock),
            Self::Azure(store) => store.clock(),
            Self::Memory { clock, .. } => Arc::clone(clock) as _,
        }
    }

    /// The clock of tokens, logins and signatures. Others check them by their own clocks, so nobody turns it.
    pub(super) fn calendar(&self) -> Arc<dyn Clock> {
        match self {
            Self::Memory { .. } => Arc::new(SystemClock),
            Self::Local { .. } | Self::Azure(_) => self.clock(),
        }
    }

    pub(super) fn conversations(&self, sealer: Arc<Sealer>) -> ConversationStore {
        let table = match self {
            Self::Local { store, .. } => store.conversations(),
            Self::Azure(store) => store.conversations(),
            Self::Memory { conversations, .. } => Arc::new(conversations.clone()),
        };
        ConversationStore::new(table, sealer)
    }

    pub(super) fn clients(&self) -> ClientStore {
        ClientStore::new(self.client_table())
    }

    pub(super) fn logins(&self) -> LoginStore {
        LoginStore::new(self.client_table())
    }

    pub(super) fn subscriptions(&self, sealer: Arc<Sealer>) -> SubscriptionStore {
        SubscriptionStore::new(self.client_table(), sealer)
    }

    fn client_table(&self) -> Arc<dyn Table> {
        match self {
            Self::Local { store, .. } => store.clients(),
            Self::Azure(store) => store.clients(),
            Self::Memory { clients, .. } => Arc::new(clients.clone()),
        }
    }

    /// What a store that several processes share wakes them with.
    pub(super) fn wake_ups(&self) -> Arc<WakeUps> {
        let queue: Arc<dyn WakeUpQueue> = match self {
            Self::Local { .. } | Self::Memory { .. } => Arc::new(NoQueue),
            Self::Azure(store) => store.wake_ups(),
        };
        Arc::new(WakeUps::new(queue, self.clock()))
    }

    /// Is told of each time that a commit sets.
    pub(super) fn waker(&self, wake_ups: &Arc<WakeUps>) -> Arc<dyn Waker> {
        match self {
            Self::Local { next_due, .. } | Self::Memory { next_due, .. } => Arc::clone(next_due) as _,
            Self::Azure(_) => Arc::clone(wake_ups) as _,
        }
    }

    /// Whether this process is the only one that can use the store.
    pub(super) const fn is_exclusive(&self) -> bool {
        matches!(self, Self::Local { .. } | Self::Memory { .. })
    }

    /// Creates the missing tables and queues of a storage account in the background, so that no request waits for it.
    pub(super) fn prepare(&self) {
        if let Self::Azure(store) = self {
            let store = store.clone();
            tokio::spawn(async move {
                if let Err(error) = store.create().await {
                    tracing::warn!(%error, "not all tables and queues exist yet; the first use creates them");
                }
            });
        }
    }

    /// Is cancelled when the store has given up for good.
    pub(super) fn given_up(&self) -> CancellationToken {
        match self {
            Self::Local { store, .. } => store.given_up().clone(),
            Self::Azure(_) | Self::Memory { .. } => CancellationToken::new(),
        }
    }

    pub(super) fn close(self) {
        if let Self::Local { store, .. } = self {
            store.close();
        }
    }
}
