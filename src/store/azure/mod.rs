//! The store on Azure: the table port on Table Storage, and the wake-up queue on Queue Storage.
//!
//! The retries of the crates are switched off, because they would repeat a commit that may have been applied. All
//! clients share one HTTP client with a pool of connections, because the default client of the crates does not pool.

mod failure;
mod identity;
mod limit;
mod queue;
mod settings;
mod storage_time;
mod table;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use azure_core::auth::Secret as AzureSecret;
use azure_core::{ClientOptions, Context, Policy, PolicyResult, Request, RetryOptions, TransportOptions};
use azure_data_tables::clients::{TableServiceClient, TableServiceClientBuilder};
use azure_storage::{CloudLocation, StorageCredentials};
use azure_storage_queues::{QueueServiceClient, QueueServiceClientBuilder};

pub use queue::AzureQueue;
pub use settings::{AzureCredential, AzureSettings};

use self::identity::{InvalidateOn401, STORAGE, StorageIdentity};
use self::limit::LimitRequests;
use self::queue::NeverExpire;
use self::storage_time::{DateByStorage, TimedTransport};
use self::table::AzureTable;
use self::transaction::FailedTransactions;
use super::{GroupedTable, StoreError, Table};
use crate::azure::{self, ManagedIdentity};
use crate::time::{Clock, MachineClock, StorageClock};

/// The tables and the queue of one installation in a storage account.
#[derive(Clone)]
pub struct AzureStore {
    conversations: Arc<AzureTable>,
    /// The layer above the table of conversations. All users share it, so that their commits meet.
    grouped_conversations: Arc<GroupedTable>,
    clients: Arc<AzureTable>,
    wake_ups: Arc<AzureQueue>,
    clock: Arc<StorageClock>,
}

/// The client for Azure storage cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("the client for Azure storage cannot be created: {0}")]
pub struct AzureSetupError(&'static str);

/// The names of the tables and of the queue.
#[derive(Clone, Debug)]
pub struct AzureNames {
    /// The table of conversations.
    pub conversations: String,
    /// The table of clients.
    pub clients: String,
    /// The queue of wake-ups.
    pub wake_ups: String,
}

impl Default for AzureNames {
    fn default() -> Self {
        Self {
            conversations: "conversations".to_owned(),
            clients: "clients".to_owned(),
            wake_ups: "deliveries".to_owned(),
        }
    }
}

impl AzureStore {
    /// The time limit of a request. Storage has a limit of 30 s, which is too long for a client of the API.
    const TIMEOUT: Duration = Duration::from_secs(15);
    const IDLE_PER_HOST: usize = 64;
    /// An idle connection is closed after this time. The emulator closes it after five seconds, and a request on a
    /// connection that is being closed would fail.
    const IDLE: Duration = Duration::from_secs(4);

    /// A store in this account, on this machine. No request is sent.
    ///
    /// # Errors
    /// [`AzureSetupError`].
    pub fn new(
        settings: &AzureSettings,
        names: &AzureNames,
        machine: Arc<dyn MachineClock>,
    ) -> Result<Self, AzureSetupError> {
        let http = http_client().map_err(|_| AzureSetupError("the TLS library cannot be initialised"))?;
        let clock = Arc::new(StorageClock::new(Arc::clone(&machine)));
        let (credentials, options) = access(settings, &http, machine, &clock)?;
        let tables = table_service(settings, options.clone(), credentials.clone());
        let queues = queue_service(settings, options, credentials);
        let conversations = Arc::new(AzureTable::new(tables.table_client(&names.conversations)));
        Ok(Self {
            grouped_conversations: Arc::new(GroupedTable::new(Arc::clone(&conversations) as _)),
            conversations,
            clients: Arc::new(AzureTable::new(tables.table_client(&names.clients))),
            wake_ups: Arc::new(AzureQueue::new(&queues, &names.wake_ups)),
            clock,
        })
    }

    /// The clock of the account. It learns from every response of the tables and of the queue.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as _
    }

    /// The table of conversations. Commits to one partition travel together.
    #[must_use]
    pub fn conversations(&self) -> Arc<dyn Table> {
        Arc::clone(&self.grouped_conversations) as _
    }

    /// The table of clients.
    #[must_use]
    pub fn clients(&self) -> Arc<dyn Table> {
        Arc::clone(&self.clients) as _
    }

    /// The queue of wake-ups. It implements both ends of the port.
    #[must_use]
    pub fn wake_ups(&self) -> Arc<AzureQueue> {
        Arc::clone(&self.wake_ups)
    }

    /// Creates the tables and the queue if they do not exist. Each call that needs one of them also creates it, so no
    /// caller has to wait for this. But a receiver that is not our own, such as the Functions host, needs the queue.
    ///
    /// # Errors
    /// A [`StoreError`], after all three were tried.
    pub async fn create(&self) -> Result<(), StoreError> {
        let (conversations, clients, wake_ups) =
            tokio::join!(self.conversations.create(), self.clients.create(), self.wake_ups.create());
        conversations.and(clients).and(wake_ups)
    }
}

fn http_client() -> reqwest::Result<reqwest::Client> {
    azure::http_client()
        .timeout(AzureStore::TIMEOUT)
        .pool_idle_timeout(AzureStore::IDLE)
        .pool_max_idle_per_host(AzureStore::IDLE_PER_HOST)
        .build()
}

/// The credentials that sign requests, and the options of the pipeline that sends them.
fn access(
    settings: &AzureSettings,
    http: &reqwest::Client,
    machine: Arc<dyn Clock>,
    clock: &Arc<StorageClock>,
) -> Result<(StorageCredentials, ClientOptions), AzureSetupError> {
    let transport = TransportOptions::new(Arc::new(TimedTransport::new(http.clone(), Arc::clone(clock))));
    let mut options = ClientOptions::new(transport).retry(RetryOptions::none());
    options.per_call_policies_mut().push(Arc::new(DateByStorage(Arc::clone(clock))));
    let credentials = match &settings.credential {
        AzureCredential::Key(key) => {
            StorageCredentials::access_key(settings.account.clone(), AzureSecret::new(key.expose().clone()))
        }
        AzureCredential::Sas(token) => StorageCredentials::sas_token(token.expose())
            // The error of the crate is not used, because it quotes the token.
            .map_err(|_| AzureSetupError("the shared access signature cannot be read"))?,
        AzureCredential::ManagedIdentity(source) => {
            let identity = ManagedIdentity::new(source.clone(), STORAGE, http.clone(), machine);
            let identity = Arc::new(StorageIdentity(identity));
            options.per_call_policies_mut().push(Arc::new(InvalidateOn401(Arc::clone(&identity))));
            StorageCredentials::token_credential(identity)
        }
    };
    Ok((credentials, options))
}

fn table_service(
    settings: &AzureSettings,
    mut options: ClientOptions,
    credentials: StorageCredentials,
) -> TableServiceClient {
    options.per_call_policies_mut().push(Arc::new(LimitRequests::new()));
    options.per_call_policies_mut().push(Arc::new(FailedTransactions));
    let location = CloudLocation::Custom { account: settings.account.clone(), uri: settings.table_endpoint.clone() };
    TableServiceClientBuilder::with_location(location, credentials).client_options(options).build()
}

fn queue_service(
    settings: &AzureSettings,
    mut options: ClientOptions,
    credentials: StorageCredentials,
) -> QueueServiceClient {
    let location = CloudLocation::Custom { account: settings.account.clone(), uri: settings.queue_endpoint.clone() };
    // A policy per call runs before the request is signed, and may still change the URL. A policy per try runs after.
    options.per_call_policies_mut().push(Arc::new(LimitRequests::new()));
    options.per_call_policies_mut().push(Arc::new(NeverExpire));
    QueueServiceClientBuilder::with_location(location, credentials).client_options(options).build()
}

/// Runs the rest of the pipeline.
async fn pass_on(context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
    let Some((first, rest)) = next.split_first() else {
        return Err(azure_core::Error::message(azure_core::error::ErrorKind::Other, "no policy follows"));
    };
    first.send(context, request, rest).await
}
