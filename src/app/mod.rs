//! The composition root: builds the service from its parts. Only `backend` names a concrete store.

mod backend;
mod clients;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::auth::{Authenticator, ClientDirectory};
use crate::config::Config;
use crate::delivery::{Deliverer, Worker};
use crate::http::{Invocations, Operation, Server, ServerOptions, Services, invocation_operations, operations, router};
use crate::maintenance::Sweeper;
use crate::mcp::McpServer;
use crate::outbound::{HttpSender, SendError};
use crate::public_url::PublicUrl;
use crate::scheduler::Scheduler;
use crate::secrets::{BootstrapSecrets, Credentials, CredentialsError};
use crate::store::{AzureSetupError, OpenError};
use crate::time::{Clock, Entropy, SystemClock, SystemEntropy};
use backend::Backend;
pub use clients::add_client;

/// The service, ready to run.
pub struct App {
    server: Server,
    /// None under the Functions host, which is the worker then.
    worker: Option<Worker>,
    backend: Backend,
    address: SocketAddr,
    credentials: Option<Credentials>,
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; {remedy}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The client for Azure storage cannot be made.
    #[error(transparent)]
    Azure(#[from] AzureSetupError),
    /// The local credentials cannot be kept.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The outbound client cannot be made.
    #[error(transparent)]
    Sender(#[from] SendError),
}

impl App {
    /// How long deliveries under way may go on after the stop. One that takes longer is cut off; its
    /// lease runs out and it is tried again.
    const DRAIN: Duration = Duration::from_secs(9);

    /// Opens the store, takes the port, and makes what the configuration leaves open.
    ///
    /// # Errors
    /// [`StartError`] with what to do about it.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
        let backend = Backend::open(&config, Arc::clone(&clock))?;
        let remedy = if config.under_host {
            "the Functions host takes it to be free, and starts this process again"
        } else {
            "set HOST and PORT to an address of this machine and a free port"
        };
        let failed = |source| StartError::Listen { address: config.listen, source, remedy };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Last of what can fail for reasons of the user's: new credentials are shown only by the start that makes them.
        let BootstrapSecrets { client, keys, secrets, credentials } = BootstrapSecrets::of(&config, &*entropy)?;
        let (conversations, wake_ups) = (backend.conversations(), backend.wake_ups());

        log_egress_policy(&config);
        let scheduler = Scheduler::new(
            conversations.clone(),
            Arc::clone(&wake_ups),
            config.endpoints.clone(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let directory = ClientDirectory::new(Some(client), backend.clients());
        let public_url = config.public_url.unwrap_or_else(|| default_public_url(address, config.under_host));
        let mut operations = operations();
        let mcp = McpServer::new(scheduler.clone(), &public_url, operations.iter().filter_map(Operation::tool));
        let authenticator = Authenticator::new(directory, keys, config.tokens, public_url, Arc::clone(&clock));
        let sender = Arc::new(HttpSender::new(config.endpoints)?);
        let deliverer = Deliverer::new(
            conversations.clone(),
            Arc::clone(&wake_ups),
            sender,
            secrets,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let deliverer = Arc::new(deliverer);
        let sweeper = Sweeper::new(conversations, Arc::clone(&wake_ups), clock);

        let (invocations, worker, options) = if config.under_host {
            if backend.is_exclusive() {
                tracing::warn!(
                    "the Functions host cannot see the wake-ups of the embedded store: nothing will be delivered; \
                     set USE_AZURE_SERVICES=true"
                );
            }
            operations.extend(invocation_operations());
            (Some(Arc::new(Invocations { deliverer, sweeper })), None, ServerOptions::under_host())
        } else {
            let worker = Worker::new(deliverer, sweeper, wake_ups, backend.receiver());
            (None, Some(worker), ServerOptions::default())
        };
        let services = Arc::new(Services { scheduler, authenticator, entropy, mcp, invocations });
        let server = Server::new(listener, router(services, operations), options);
        Ok(Self { server, worker, backend, address, credentials })
    }

    /// Where the service listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The credentials that were made or kept because the configuration has none.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Serves and delivers until `stop`, then finishes what is under way, within ten seconds.
    pub async fn run(self, stop: CancellationToken) {
        self.backend.prepare();
        let (worker, stopped, alone) = (self.worker, stop.clone(), self.backend.is_exclusive());
        let worker = tokio::spawn(async move {
            let Some(worker) = worker else { return };
            // Where the store is locked by this process, whoever held a lease before is gone.
            if alone {
                worker.reclaim_leases().await;
            }
            worker.run(stopped).await;
        });
        self.server.run(stop.clone()).await;
        // Also where the server ended by itself.
        stop.cancel();
        if tokio::time::timeout(Self::DRAIN, worker).await.is_err() {
            tracing::warn!("deliveries still under way are cut off; they will be tried again");
        }
        self.backend.close();
    }
}

/// What the service is called where no setting says so.
fn default_public_url(address: SocketAddr, under_host: bool) -> PublicUrl {
    let public_url = PublicUrl::of_address(address);
    // Where others are meant to come in, they do so by a name that nobody has told us.
    if under_host || address.ip().is_unspecified() {
        let origin = public_url.origin(None).as_str();
        tracing::warn!("PUBLIC_URL is not set; clients are told that this service is at {origin}");
    }
    public_url
}

/// Where deliveries may go although it is not the internet: nobody should find that out by accident.
fn log_egress_policy(config: &Config) {
    let networks: Vec<_> = config.endpoints.allowed_networks.iter().map(ToString::to_string).collect();
    let networks = networks.join(",");
    let expected =
        config.azure.is_none() && config.endpoints.allowed_networks.iter().all(|n| n.network().is_loopback());
    if networks.is_empty() {
        tracing::info!("deliveries go to the internet only");
    } else if expected {
        tracing::info!(networks, "deliveries may also go to this machine, by plain http, too");
    } else {
        tracing::warn!(
            networks,
            "DELIVERY_ALLOWED_NETWORKS: the egress guard is off for these networks, and plain http is on"
        );
    }
}
