//! The store on Azure: Table Storage for what is true, Queue Storage for what wakes.
//!
//! The crates are used with their own retries off, because they would repeat a commit that may have
//! been applied, and with one pool of connections, because their own has none.

mod failure;
mod identity;
mod queue;
mod settings;
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
pub use settings::{AzureCredential, AzureSettings, IdentitySource, SettingError};

use self::identity::{InvalidateOn401, ManagedIdentity};
use self::queue::NeverExpire;
use self::table::AzureTable;
use self::transaction::FailedTransactions;
use super::{StoreError, Table};
use crate::time::Clock;

/// The tables and the queue of one installation in a storage account.
#[derive(Clone)]
pub struct AzureStore {
    conversations: Arc<AzureTable>,
    clients: Arc<AzureTable>,
    wake_ups: Arc<AzureQueue>,
}

/// The client for Azure storage cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the client for Azure storage cannot be set up: {0}")]
pub struct AzureSetupError(&'static str);

/// What the tables and the queue are called.
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
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
    /// For a whole call; storage itself gives up after 30 s, too late for a caller of ours.
    const TIMEOUT: Duration = Duration::from_secs(15);
    const IDLE_PER_HOST: usize = 64;
    /// Shorter than the five seconds after which the emulator closes a connection.
    const IDLE: Duration = Duration::from_secs(4);

    /// A store in this account. Calls nobody.
    ///
    /// # Errors
    /// [`AzureSetupError`].
    pub fn new(settings: &AzureSettings, names: &AzureNames, clock: Arc<dyn Clock>) -> Result<Self, AzureSetupError> {
        let http = http_client().map_err(|_| AzureSetupError("the TLS library does not start"))?;
        let (credentials, options) = access(settings, &http, clock)?;
        let tables = table_service(settings, options.clone(), credentials.clone());
        let queues = queue_service(settings, options, credentials);
        Ok(Self {
            conversations: Arc::new(AzureTable::new(tables.table_client(&names.conversations))),
            clients: Arc::new(AzureTable::new(tables.table_client(&names.clients))),
            wake_ups: Arc::new(AzureQueue::new(&queues, &names.wake_ups)),
        })
    }

    /// The table of conversations.
    #[must_use]
    pub fn conversations(&self) -> Arc<dyn Table> {
        Arc::clone(&self.conversations) as _
    }

    /// The table of clients.
    #[must_use]
    pub fn clients(&self) -> Arc<dyn Table> {
        Arc::clone(&self.clients) as _
    }

    /// The queue of wake-ups, both ends.
    #[must_use]
    pub fn wake_ups(&self) -> Arc<AzureQueue> {
        Arc::clone(&self.wake_ups)
    }

    /// Makes the tables and the queue where there are none. What needs one of them makes it as well,
    /// so nothing has to wait for this; a receiver of wake-ups that is not ours needs the queue.
    ///
    /// # Errors
    /// The last [`StoreError`], after all were tried.
    pub async fn create(&self) -> Result<(), StoreError> {
        let (conversations, clients, wake_ups) =
            tokio::join!(self.conversations.create(), self.clients.create(), self.wake_ups.create());
        conversations.and(clients).and(wake_ups)
    }
}

#[allow(clippy::disallowed_methods)] // the one place that makes the client for storage
fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(AzureStore::CONNECT_TIMEOUT)
        .timeout(AzureStore::TIMEOUT)
        .pool_idle_timeout(AzureStore::IDLE)
        .pool_max_idle_per_host(AzureStore::IDLE_PER_HOST)
        .build()
}

/// How requests are signed, and the pipeline that they take.
fn access(
    settings: &AzureSettings,
    http: &reqwest::Client,
    clock: Arc<dyn Clock>,
) -> Result<(StorageCredentials, ClientOptions), AzureSetupError> {
    let transport = TransportOptions::new(Arc::new(http.clone()));
    let mut options = ClientOptions::new(transport).retry(RetryOptions::none());
    let credentials = match &settings.credential {
        AzureCredential::Key(key) => {
            StorageCredentials::access_key(settings.account.clone(), AzureSecret::new(key.expose().clone()))
        }
        AzureCredential::Sas(token) => StorageCredentials::sas_token(token.expose())
            // The crate's own error quotes the token.
            .map_err(|_| AzureSetupError("the shared access signature cannot be read"))?,
        AzureCredential::ManagedIdentity(source) => {
            let identity = Arc::new(ManagedIdentity::new(source.clone(), http.clone(), clock));
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
    // Policies per call come before the signature, those per try after it.
    options.per_call_policies_mut().push(Arc::new(NeverExpire));
    QueueServiceClientBuilder::with_location(location, credentials).client_options(options).build()
}

/// The rest of the pipeline.
async fn pass_on(context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
    let Some((first, rest)) = next.split_first() else {
        return Err(azure_core::Error::message(azure_core::error::ErrorKind::Other, "no policy follows"));
    };
    first.send(context, request, rest).await
}
