//! Puts everything together. The only place that names a concrete backend.

mod backend;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::auth::{Authenticator, Directory, PublicUrl, SigningKeys, hash_key};
use crate::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use crate::config::Config;
use crate::credentials::{Credentials, CredentialsError};
use crate::delivery::{Deliverer, HttpSender, SendError, SigningSecrets, Sweeper, Worker};
use crate::domain::{ClientId, Scopes};
use crate::http::{Api, Invocations, Server, ServerOptions, routes};
use crate::mcp::Mcp;
use crate::scheduler::Scheduler;
use crate::store::{AzureSetupError, Client, OpenError, StoreError};
use backend::Backend;

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
        let Identity { client, keys, secrets, credentials } = Identity::of(&config, &*entropy)?;
        let (conversations, hints) = (backend.conversations(), backend.hints());

        announce_exemptions(&config);
        let scheduler = Scheduler::new(
            conversations.clone(),
            Arc::clone(&hints),
            config.endpoints.clone(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let directory = Directory::new(Some(client), backend.clients());
        let public_url = config.public_url.unwrap_or_else(|| by_address(address, config.under_host));
        let mcp = Mcp::new(scheduler.clone(), &public_url);
        let authenticator = Authenticator::new(directory, keys, config.tokens, public_url, Arc::clone(&clock));
        let sender = Arc::new(HttpSender::new(config.endpoints)?);
        let deliverer = Deliverer::new(
            conversations.clone(),
            Arc::clone(&hints),
            sender,
            secrets,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let deliverer = Arc::new(deliverer);
        let sweeper = Sweeper::new(conversations, Arc::clone(&hints), clock);

        let api = Arc::new(Api { scheduler, authenticator, entropy, mcp });
        let (server, worker) = if config.under_host {
            if backend.is_alone() {
                tracing::warn!(
                    "the Functions host does not see the wake-ups of the embedded store; nothing is delivered by itself"
                );
            }
            let invocations = Invocations { deliverer, sweeper };
            (Server::new(listener, routes(api, Some(invocations)), ServerOptions::under_host()), None)
        } else {
            let worker = Worker::new(deliverer, sweeper, hints, backend.receiver());
            (Server::new(listener, routes(api, None), ServerOptions::default()), Some(worker))
        };
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
        let (worker, stopped, alone) = (self.worker, stop.clone(), self.backend.is_alone());
        let worker = tokio::spawn(async move {
            let Some(worker) = worker else { return };
            // Where the store is locked by this process, whoever held a lease before is gone.
            if alone {
                worker.take_over().await;
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
fn by_address(address: SocketAddr, under_host: bool) -> PublicUrl {
    let public_url = PublicUrl::of_address(address);
    // Where others are meant to come in, they do so by a name that nobody has told us.
    if under_host || address.ip().is_unspecified() {
        let origin = public_url.origin(None).as_str();
        tracing::warn!("PUBLIC_URL is not set; clients are told that this service is at {origin}");
    }
    public_url
}

/// Where deliveries may go although it is not the internet: nobody should find that out by accident.
fn announce_exemptions(config: &Config) {
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

/// The first client and what is signed with: from the configuration, or kept in the data directory.
struct Identity {
    client: Client,
    keys: SigningKeys,
    secrets: SigningSecrets,
    /// Where the configuration has no client.
    credentials: Option<Credentials>,
}

impl Identity {
    fn of(config: &Config, entropy: &dyn Entropy) -> Result<Self, CredentialsError> {
        let client = |id: &ClientId, key| Client {
            id: id.clone(),
            key_hashes: vec![hash_key(key, entropy)],
            scopes: Scopes::all(),
            disabled: false,
            tokens_valid_from: None,
        };
        let configured = config.client.as_ref().map(|(id, key)| client(id, key));
        match (configured, config.signing_keys.clone(), config.signing_secrets.clone()) {
            (Some(client), Some(keys), Some(secrets)) => Ok(Self { client, keys, secrets, credentials: None }),
            (configured, keys, secrets) => {
                let kept = Credentials::load_or_make(&config.data_dir, entropy)?;
                let credentials = configured.is_none().then(|| kept.clone());
                Ok(Self {
                    client: configured.unwrap_or_else(|| client(&kept.client, &kept.api_key)),
                    keys: keys.unwrap_or(kept.signing_keys),
                    secrets: secrets.unwrap_or(kept.signing_secrets),
                    credentials,
                })
            }
        }
    }
}

/// Adds a client that may do so much to the store, and returns its key. A service on the embedded store must not be running.
///
/// # Errors
/// A sentence that says why not.
pub async fn add_client(config: &Config, name: &str, scopes: Scopes) -> Result<crate::auth::ApiKey, String> {
    let id: ClientId = name.parse().map_err(|e| format!("the client id {e}"))?;
    // The directory would never look behind the first client.
    match &config.client {
        Some((first, _)) if *first == id => return Err(format!("{name} is the client that SCHEDULER_CLIENT_ID sets")),
        None if id == ClientId::local() => return Err(format!("{name} is the client that the first start makes")),
        _ => {}
    }
    let entropy = SystemEntropy::new();
    let backend = Backend::open(config, Arc::new(SystemClock)).map_err(|error| match error {
        StartError::Store(OpenError::Locked(path)) => {
            format!("the service is running on {}: stop it, add the client and start it again", path.display())
        }
        other => other.to_string(),
    })?;
    let key = crate::auth::ApiKey::generate(&id, &entropy);
    let key_hashes = vec![hash_key(&key, &entropy)];
    let client = Client { id, key_hashes, scopes, disabled: false, tokens_valid_from: None };
    let added = backend.clients().insert(&client).await;
    backend.close();
    match added {
        Ok(()) => Ok(key),
        Err(StoreError::Conflict) => Err(format!("there is a client {name} already")),
        Err(error) => Err(error.to_string()),
    }
}
