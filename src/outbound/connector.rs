//! The egress guard: a delivery connects only to addresses that were checked.
//!
//! [`EgressConnector`] states the rule. The guard uses no resolver or connector of a library, because those bypass
//! checks: they do not look up an address in a URL, and they look up a name a second time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{Addresses, Dialer, Resolver, Route, RouteError};
use crate::domain::{CheckedUrl, EndpointPolicy, ErrorClass, Verdict, classify, is_loopback_name};

/// An open connection, with or without TLS.
pub type Stream = Box<dyn Duplex>;

/// A stream of bytes in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens connections to endpoints, and to no other addresses.
///
/// Each new connection follows this rule, in this order:
///
/// 1. The URL must pass the same checks as when the conversation was scheduled. The stored URL is not trusted.
/// 2. The host name is looked up once. An address in the URL is not looked up, and `localhost` is always loopback.
/// 3. Every address is checked: it must be in an allowed network, or it must be a public address of the internet. If
///    one address fails, the attempt is blocked.
/// 4. The connection goes to one of these addresses.
/// 5. The peer of the connection must be that address.
pub struct EgressConnector {
    policy: EndpointPolicy,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    tls: TlsConnector,
}

impl EgressConnector {
    /// The longest time that the look-up of a name may take.
    const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
    /// The longest time that connecting and the TLS handshake may take together.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// A connector over a network. It uses TLS 1.2 or newer and trusts only the certificate authorities in `roots`.
    ///
    /// # Errors
    /// [`rustls::Error`] if the TLS library does not start.
    pub fn new(
        policy: EndpointPolicy,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        roots: RootCertStore,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { policy, resolver, dialer, tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// Checks the URL of a delivery.
    ///
    /// # Errors
    /// [`ErrorClass::Blocked`] if the policy does not allow the URL, even if it did at the time of the schedule request.
    pub fn admit(&self, endpoint: &str) -> Result<CheckedUrl, ErrorClass> {
        self.policy.check_url(endpoint).map_err(|problem| {
            tracing::warn!(problem, "delivery blocked: the endpoint is not accepted");
            ErrorClass::Blocked
        })
    }

    /// Looks up the addresses of a destination and checks them. If one of them is not allowed there is no route: if only
    /// the others were used, a hostile name server could try other mixtures at every attempt.
    ///
    /// # Errors
    /// [`RouteError`] if there is no route.
    pub async fn route(&self, destination: CheckedUrl) -> Result<Route, RouteError> {
        let addresses = self.addresses(&destination).await?;
        for address in &addresses {
            self.vet(&destination, *address)?;
        }
        let port = destination.url.port_or_known_default().unwrap_or_default();
        let addresses: Vec<_> = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        Ok(Route::new(destination.url, Addresses::new(&addresses)?))
    }

    /// Opens a new connection over a route.
    ///
    /// # Errors
    /// [`ErrorClass`] of the failure.
    pub async fn connect(&self, route: &Route) -> Result<Stream, ErrorClass> {
        let deadline = Instant::now() + Self::CONNECT_TIMEOUT;
        let stream = self.connect_to_one_of(route.addresses().tried(), deadline).await?;
        if route.url().scheme() == "http" {
            return Ok(Box::new(stream));
        }
        let name = server_name(route.url()).ok_or(ErrorClass::TlsError)?;
        match timeout_at(deadline, self.tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(_)) => Err(ErrorClass::TlsError),
            Err(_) => Err(ErrorClass::ConnectTimeout),
        }
    }

    async fn addresses(&self, destination: &CheckedUrl) -> Result<Vec<IpAddr>, RouteError> {
        let name = match destination.url.host() {
            Some(Host::Ipv4(address)) => return Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => return Ok(vec![address.into()]),
            // Name servers and the machine's own files do not decide about these names.
            Some(Host::Domain(name)) if is_loopback_name(name) => return Ok(self.policy.exempt_loopback()),
            // The name is absolute: the search domains of this machine must not be added to it.
            Some(Host::Domain(name)) => format!("{}.", name.trim_end_matches('.')),
            None => return Err(ErrorClass::Blocked.into()),
        };
        match timeout(Self::RESOLVE_TIMEOUT, self.resolver.resolve(&name)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) if is_shortage(&error) => Err(RouteError::NotTried),
            Ok(Err(_)) | Err(_) => Err(ErrorClass::DnsError.into()),
        }
    }

    fn vet(&self, destination: &CheckedUrl, address: IpAddr) -> Result<(), ErrorClass> {
        let class = match classify(address) {
            _ if self.policy.is_exempt(address) => return Ok(()),
            Verdict::Allowed if !destination.only_allowed_networks => return Ok(()),
            Verdict::Allowed => "public, but this endpoint may use only DELIVERY_ALLOWED_NETWORKS",
            Verdict::Denied(class) => class.describe(),
        };
        tracing::warn!(network.peer.address = %address, class, "delivery blocked: the address is not allowed");
        Err(ErrorClass::Blocked)
    }

    /// Tries the addresses in their order. Each try gets an equal share of the remaining time.
    async fn connect_to_one_of(&self, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, ErrorClass> {
        let mut failed = ErrorClass::ConnectFailed;
        for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let share = deadline.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
            match timeout(share, self.dialer.connect(*address)).await {
                Ok(Ok((stream, peer))) if is_same(peer, *address) => return Ok(stream),
                Ok(Ok((_, peer))) => {
                    let wanted = address;
                    tracing::error!(network.peer.address = %peer, %wanted, "delivery blocked: the peer is not the requested address");
                    return Err(ErrorClass::Blocked);
                }
                Ok(Err(error)) => failed = connect_error_class(&error),
                Err(_) => failed = ErrorClass::ConnectTimeout,
            }
        }
        Err(failed)
    }
}

fn is_same(peer: SocketAddr, wanted: SocketAddr) -> bool {
    (peer.ip().to_canonical(), peer.port()) == (wanted.ip().to_canonical(), wanted.port())
}

/// Whether this process or machine has no descriptors or memory left.
fn is_shortage(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

fn connect_error_class(error: &io::Error) -> ErrorClass {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorClass::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorClass::ConnectTimeout,
        _ => ErrorClass::ConnectFailed,
    }
}

/// The name or address that the certificate must contain. Certificates have no dot at the end of a name.
fn server_name(url: &Url) -> Option<ServerName<'static>> {
    Some(match url.host()? {
        Host::Ipv4(address) => ServerName::IpAddress(IpAddr::from(address).into()),
        Host::Ipv6(address) => ServerName::IpAddress(IpAddr::from(address).into()),
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok()?,
    })
}
