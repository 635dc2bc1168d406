//! The start: takes the port, opens the store, and finds out where the secrets are.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::parent_id;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};

use super::App;
use super::backend::Backend;
use super::build::Foundation;
use crate::config::{Config, ServerConfig};
use crate::descriptors::Descriptors;
use crate::http::{FunctionsHost, Routes, Server, ServerOptions};
use crate::outbound::{HttpSender, SendError};
use crate::public_url::PublicUrl;
use crate::secrets::{SecretSource, SecretSourceError};
use crate::store::{AzureSetupError, OpenError};
use crate::time::{Entropy, SystemClock, SystemEntropy};

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
    /// The secrets cannot be read.
    #[error(transparent)]
    Secrets(#[from] SecretSourceError),
    /// The outbound client cannot be built.
    #[error(transparent)]
    Sender(#[from] SendError),
}

impl App {
    /// Opens the store, listens on the port, and generates the credentials that the configuration lacks. Secrets of a vault
    /// are read while the service runs.
    ///
    /// # Errors
    /// [`StartError`], with a remedy where there is one.
    #[allow(clippy::unused_async)] // the listener registers with the runtime of the caller
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let remedy = if config.server.under_host {
            "the Functions host believes that it is free, and will start this process again"
        } else {
            "set HOST and PORT to an address of this machine and a free port"
        };
        let open_secrets = |config: &Config, entropy| SecretSource::open(config, Arc::new(SystemClock), entropy);
        Self::start_on(config, remedy, Backend::open, open_secrets)
    }

    /// Starts on this store with these secrets.
    pub(super) fn start_on(
        config: Config,
        remedy: &'static str,
        open_store: impl FnOnce(&Config, usize) -> Result<Backend, StartError>,
        open_secrets: impl FnOnce(&Config, Arc<dyn Entropy>) -> Result<SecretSource, SecretSourceError>,
    ) -> Result<Self, StartError> {
        // Read first, because the parent may end at any time.
        let parent = parent_id();
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
        let descriptors = Descriptors::raise();
        let backend = open_store(&config, descriptors.store_files)?;
        let (listener, address) = listen(&config.server, remedy)?;
        let sender = HttpSender::new(config.delivery.endpoints.clone())?.with_max_idle(descriptors.idle_connections);
        // The user may cause each error above. New credentials are shown only by the start that generates them, so
        // they are generated after all that.
        let secrets = open_secrets(&config, Arc::clone(&entropy))?;
        log_egress_policy(&config);

        let under_host = config.server.under_host;
        let options = if under_host { ServerOptions::under_host() } else { ServerOptions::default() };
        let trusted_proxies = config.server.trusted_proxies.clone();
        let options = ServerOptions { trusted_proxies, max_connections: descriptors.connections, ..options };
        let (routes, served) = Routes::later(under_host);
        let public_url = config.server.public_url.clone().unwrap_or_else(|| default_public_url(address, under_host));
        let host = under_host.then(|| Arc::new(FunctionsHost::calling(address)));
        let sender = Arc::new(sender);
        let traces = config.telemetry.otlp_endpoint.is_some();
        let server = Server::new(listener, served, options);
        let server = if traces { server.with_span_ids(Arc::clone(&entropy)) } else { server };
        let foundation = Foundation { config, descriptors, backend, entropy, sender, public_url, host };
        Ok(Self { server, routes, foundation, secrets, parent, address })
    }
}

fn listen(server: &ServerConfig, remedy: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
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
