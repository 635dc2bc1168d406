//! The start: builds the parts of the service, each in one function.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::parent_id;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::backend::Backend;
use super::signatures::ChosenSignatures;
use super::{App, AppWorker};
use crate::auth::{Authenticator, ClientAdmin, ClientDirectory};
use crate::backup::Backup;
use crate::config::{Config, ServerConfig};
use crate::delivery::{Deliverer, Follower, NextDue, Signer, SlotRunner, WakeUpHandler, Worker};
use crate::descriptors::Descriptors;
use crate::domain::Retention;
use crate::http::{
    FunctionsHost, Invocations, Operation, RateLimiter, Server, ServerOptions, Services, invocation_operations,
    operations, router,
};
use crate::maintenance::{Checkup, Indexer, Sweeper};
use crate::mcp::McpServer;
use crate::outbound::{HttpSender, SendError};
use crate::public_url::PublicUrl;
use crate::scheduler::{CursorKeys, Scheduler};
use crate::secrets::{BootstrapSecrets, SecretFileError};
use crate::store::{AzureSetupError, ConversationStore, EncryptionKeys, OpenError, Sealer, WakeUps, Waker};
use crate::time::{Clock, Entropy, SystemEntropy};

/// The reason why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system does not let this process listen on the address.
    #[error("cannot listen on {address}: {source}; {remedy}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
        /// The change that an operator can make.
        remedy: &'static str,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The client for Azure storage cannot be built.
    #[error(transparent)]
    Azure(#[from] AzureSetupError),
    /// A file of secrets in the data directory cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretFileError),
    /// The outbound client cannot be built.
    #[error(transparent)]
    Sender(#[from] SendError),
}

impl App {
    /// Opens the store, listens on the port, and generates the credentials that the configuration lacks.
    ///
    /// # Errors
    /// [`StartError`], with a remedy where there is one.
    #[allow(clippy::unused_async)] // the listener registers with the runtime of the caller
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // Read first, because the parent may end at any time.
        let parent = parent_id();
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
        let descriptors = Descriptors::raise();
        let backend = Backend::open(&config, descriptors.store_files)?;
        let clock = backend.clock();
        let (listener, address) = listen(&config.server)?;
        // The user may cause each error above. New credentials are shown only by the start that generates them, so
        // they are generated after all that.
        let BootstrapSecrets { client, signing_keys, signing_secrets, encryption_keys, credentials } =
            BootstrapSecrets::read(&config, &*entropy)?;
        log_egress_policy(&config);

        let (under_host, first_client) = (config.server.under_host, client.id.clone());
        let signer = Arc::new(Signer::new(watch::channel(signing_secrets).1));
        let public_url = config.server.public_url.clone().unwrap_or_else(|| default_public_url(address, under_host));
        let directory = Arc::new(ClientDirectory::new(Some(client), backend.clients()));
        let clients = ClientAdmin::new(Arc::clone(&directory), Arc::clone(&clock), Arc::clone(&entropy));
        let tokens = config.auth.tokens.clone();
        let cursor_keys = CursorKeys::new(signing_keys.derive("the cursors of lists"));
        let parts = Parts::of(&backend, entropy, encryption_keys, config.server.retention);
        let deliverer = parts.deliverer(&config, Arc::clone(&signer), &directory, descriptors)?;
        let authenticator = Authenticator::new(directory, signing_keys, tokens, public_url.clone(), Arc::clone(&clock));
        let scheduler = parts.scheduler(&config).beside(deliverer.live_attempts().clone());
        let (scheduler, indexer) = (scheduler.with_cursor_keys(cursor_keys), parts.indexer(&backend));
        let (invocations, worker, options) = if under_host {
            warn_if_there_is_no_queue(&backend);
            let (wake_ups, host) = (parts.wake_up_handler(deliverer), FunctionsHost::calling(address));
            (Some(Arc::new(Invocations { wake_ups, host })), None, ServerOptions::under_host())
        } else {
            (None, Some(parts.worker(&backend, deliverer)), ServerOptions::default())
        };
        let wake_ups = handler_of(worker.as_ref(), invocations.as_deref());
        let trusted_proxies = config.server.trusted_proxies.clone();
        let options = ServerOptions { trusted_proxies, max_connections: descriptors.connections, ..options };

        let mut operations = operations();
        let mcp = McpServer::new(scheduler.clone(), &public_url, operations.iter().filter_map(Operation::tool));
        if under_host {
            operations.extend(invocation_operations());
        }
        let called = invocations.clone();
        let services = Services {
            checkup: parts.checkup(wake_ups.is_some()),
            scheduler,
            authenticator,
            clients,
            backup: parts.backup(&backend),
            entropy: parts.entropy,
            mcp,
            signer,
            first_client,
            rate_limiter: RateLimiter::new(config.server.rate_limit),
            wake_ups,
            invocations,
        };
        let server = Server::new(listener, router(Arc::new(services), operations), options);
        Ok(Self { server, worker, invocations: called, parent, indexer, backend, address, credentials })
    }
}

/// Handles wake-ups; `None` for a store of this process alone, which has none.
fn handler_of(worker: Option<&AppWorker>, invocations: Option<&Invocations>) -> Option<Arc<WakeUpHandler>> {
    match worker {
        Some(AppWorker::Queue(worker)) => Some(worker.handler()),
        Some(AppWorker::Follower(_)) => None,
        None => invocations.map(|invocations| Arc::clone(&invocations.wake_ups)),
    }
}

/// The ports on which the use cases and the deliveries are built.
pub(super) struct Parts {
    conversations: ConversationStore,
    waker: Arc<dyn Waker>,
    wake_ups: Arc<WakeUps>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    retention: Retention,
}

impl Parts {
    pub(super) fn of(
        backend: &Backend,
        entropy: Arc<dyn Entropy>,
        encryption_keys: EncryptionKeys,
        retention: Retention,
    ) -> Self {
        let sealer = Arc::new(Sealer::new(encryption_keys, Arc::clone(&entropy)));
        let (conversations, wake_ups) = (backend.conversations(sealer), backend.wake_ups());
        let waker = backend.waker(&wake_ups);
        Self { conversations, waker, wake_ups, clock: backend.clock(), entropy, retention }
    }

    fn scheduler(&self, config: &Config) -> Scheduler {
        Scheduler::new(
            self.conversations.clone(),
            Arc::clone(&self.waker),
            config.delivery.endpoints.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        )
        .with_max_pending(config.server.max_pending, config.server.max_pending_bytes)
    }

    pub(super) fn deliverer(
        &self,
        config: &Config,
        signer: Arc<Signer>,
        directory: &Arc<ClientDirectory>,
        descriptors: Descriptors,
    ) -> Result<Arc<Deliverer>, SendError> {
        let max_in_flight =
            if config.server.under_host { Deliverer::MAX_IN_FLIGHT_UNDER_HOST } else { Deliverer::MAX_IN_FLIGHT };
        let sender = HttpSender::new(config.delivery.endpoints.clone())?.with_max_idle(descriptors.idle_connections);
        let deliverer = Deliverer::new(
            self.conversations.clone(),
            Arc::clone(&self.waker),
            Arc::new(sender),
            signer,
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        );
        let max_in_flight = max_in_flight.min(descriptors.exchanges);
        let signatures = ChosenSignatures(Arc::clone(directory));
        Ok(Arc::new(deliverer.with_signatures(Arc::new(signatures)).with_max_in_flight(max_in_flight)))
    }

    pub(super) fn backup(&self, backend: &Backend) -> Backup {
        Backup::new(self.conversations.clone(), backend.clients(), Arc::clone(&self.waker))
    }

    pub(super) fn indexer(&self, backend: &Backend) -> Indexer {
        let indexer = Indexer::new(self.conversations.clone(), Arc::clone(&self.clock));
        if backend.is_exclusive() { indexer.alone() } else { indexer }
    }

    /// What delivers when there is no Functions host.
    fn worker(&self, backend: &Backend, deliverer: Arc<Deliverer>) -> AppWorker {
        match backend {
            Backend::Local { next_due, .. } => AppWorker::Follower(self.follower(deliverer, Arc::clone(next_due))),
            Backend::Azure(store) => AppWorker::Queue(Worker::new(self.wake_up_handler(deliverer), store.wake_ups())),
        }
    }

    /// Examines the store, and the sweeps and the queue if there are sweeps.
    pub(super) fn checkup(&self, has_sweeps: bool) -> Checkup {
        let wake_ups = has_sweeps.then(|| Arc::clone(&self.wake_ups));
        Checkup::new(self.conversations.clone(), wake_ups, Arc::clone(&self.clock))
    }

    fn follower(&self, deliverer: Arc<Deliverer>, next_due: Arc<NextDue>) -> Follower {
        Follower::new(deliverer, self.conversations.clone(), next_due, Arc::clone(&self.clock)).keeping(self.retention)
    }

    pub(super) fn wake_up_handler(&self, deliverer: Arc<Deliverer>) -> Arc<WakeUpHandler> {
        let wake_ups = || Arc::clone(&self.wake_ups);
        let (clock, entropy) = (|| Arc::clone(&self.clock), Arc::clone(&self.entropy));
        let conversations = || self.conversations.clone();
        let runner = Arc::new(SlotRunner::new(deliverer, conversations(), wake_ups(), clock(), entropy));
        let sweeper = Sweeper::new(conversations(), wake_ups(), Arc::clone(&runner) as _, clock());
        let sweeper = sweeper.keeping(self.retention);
        Arc::new(WakeUpHandler::new(runner, Arc::new(sweeper)))
    }
}

fn listen(server: &ServerConfig) -> Result<(TcpListener, SocketAddr), StartError> {
    let remedy = if server.under_host {
        "the Functions host believes that it is free, and will start this process again"
    } else {
        "set HOST and PORT to an address of this machine and a free port"
    };
    let failed = |source| StartError::Listen { address: server.listen, source, remedy };
    let listener = bind(server.listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Listens with a longer queue of connections than tokio's default. When the queue is full, the system resets the
/// connections of honest clients too.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The URL of the service if no setting names it.
fn default_public_url(address: SocketAddr, under_host: bool) -> PublicUrl {
    let public_url = PublicUrl::of_address(address);
    // Other machines reach the service by a name that this process cannot know.
    if under_host || address.ip().is_unspecified() {
        let origin = public_url.origin(None).as_str();
        tracing::warn!("PUBLIC_URL is not set; clients are told that this service is at {origin}");
    }
    public_url
}

/// Logs the networks that the egress guard allows beside the internet, so that no operator allows one unnoticed.
fn log_egress_policy(config: &Config) {
    let allowed = &config.delivery.endpoints.allowed_networks;
    let networks = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let expected = config.azure.is_none() && allowed.iter().all(|network| network.network().is_loopback());
    if networks.is_empty() {
        tracing::info!("deliveries go to the internet only");
    } else if expected {
        tracing::info!(networks, "deliveries may also go to this machine, with http or https");
    } else {
        tracing::warn!(
            networks,
            "DELIVERY_ALLOWED_NETWORKS: the egress guard allows these networks, with http or https"
        );
    }
}

fn warn_if_there_is_no_queue(backend: &Backend) {
    if backend.is_exclusive() {
        tracing::warn!(
            "the embedded store has no queue that the Functions host could read: conversations are delivered late or \
             not at all; set USE_AZURE_SERVICES=true"
        );
    }
}
