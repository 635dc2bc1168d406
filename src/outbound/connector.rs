//! The egress guard: a connection is made to an address that was looked at, or not at all.
//!
//! Every new connection takes the same path: the URL's rules again (what the store holds is not believed),
//! one look-up, a verdict on every address, a connection to one of these addresses and to no other, and a look
//! at who is at its other end. A library's own resolver or connector has no part in it, because those know
//! ways around: addresses in the URL are not looked up, and a name is looked up again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::Host;

use super::{Dialer, Resolver};
use crate::domain::{CheckedUrl, EndpointPolicy, ErrorClass, Verdict, classify};

/// An open connection, in the clear or through TLS.
pub type Stream = Box<dyn Duplex>;

/// What bytes go through in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens connections to endpoints, and to nothing else.
pub struct EgressConnector {
    policy: EndpointPolicy,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    tls: TlsConnector,
}

impl EgressConnector {
    /// How long a name may take to be looked up.
    const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
    /// How long connecting and the TLS handshake may take together.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// How many addresses of a host are tried.
    const MAX_TRIED: usize = 4;

    /// A guard over a network. TLS is 1.2 or newer, and `roots` are the only authorities believed.
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

    /// Reads the URL of a delivery.
    ///
    /// # Errors
    /// [`ErrorClass::Blocked`] if it may not be called, whatever was thought of it when it was scheduled.
    pub fn admit(&self, endpoint: &str) -> Result<CheckedUrl, ErrorClass> {
        self.policy.check_url(endpoint).map_err(|problem| {
            tracing::warn!(problem, "delivery blocked: the endpoint is not accepted");
            ErrorClass::Blocked
        })
    }

    /// Makes a new connection.
    ///
    /// # Errors
    /// [`ErrorClass`]: why there is none. Not a byte has been sent to an address that is denied.
    pub async fn connect(&self, destination: &CheckedUrl) -> Result<Stream, ErrorClass> {
        let addresses = self.vetted_addresses(destination).await?;
        let deadline = Instant::now() + Self::CONNECT_TIMEOUT;
        let stream = self.connect_to_one_of(&addresses, deadline).await?;
        if destination.url.scheme() == "http" {
            return Ok(Box::new(stream));
        }
        let name = server_name(destination).ok_or(ErrorClass::TlsError)?;
        match timeout_at(deadline, self.tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(_)) => Err(ErrorClass::TlsError),
            Err(_) => Err(ErrorClass::ConnectTimeout),
        }
    }

    /// The addresses that may be connected to: all are good, or none is used. To pick the good ones of a
    /// mixed answer would let the name server throw the dice again at every attempt.
    async fn vetted_addresses(&self, destination: &CheckedUrl) -> Result<Vec<SocketAddr>, ErrorClass> {
        let addresses = self.addresses(destination).await?;
        for address in &addresses {
            self.vet(destination, *address)?;
        }
        let port = destination.url.port_or_known_default().unwrap_or_default();
        let mut tried: Vec<SocketAddr> = Vec::with_capacity(Self::MAX_TRIED);
        for address in addresses.into_iter().map(|address| SocketAddr::new(address, port)) {
            if tried.len() < Self::MAX_TRIED && !tried.contains(&address) {
                tried.push(address);
            }
        }
        if tried.is_empty() { Err(ErrorClass::DnsError) } else { Ok(tried) }
    }

    async fn addresses(&self, destination: &CheckedUrl) -> Result<Vec<IpAddr>, ErrorClass> {
        let name = match destination.url.host() {
            Some(Host::Ipv4(address)) => return Ok(vec![address.into()]),
            Some(Host::Ipv6(address)) => return Ok(vec![address.into()]),
            // A name on the internet is whole: the machine's search domains are none of its business.
            Some(Host::Domain(name)) if !destination.only_allowed_networks && !name.ends_with('.') => {
                format!("{name}.")
            }
            Some(Host::Domain(name)) => name.to_owned(),
            None => return Err(ErrorClass::Blocked),
        };
        match timeout(Self::RESOLVE_TIMEOUT, self.resolver.resolve(&name)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(_)) | Err(_) => Err(ErrorClass::DnsError),
        }
    }

    fn vet(&self, destination: &CheckedUrl, address: IpAddr) -> Result<(), ErrorClass> {
        let class = match classify(address) {
            _ if self.policy.is_exempt(address) => return Ok(()),
            Verdict::Allowed if !destination.only_allowed_networks => return Ok(()),
            Verdict::Allowed => "not in DELIVERY_ALLOWED_NETWORKS, which the endpoint is for",
            Verdict::Denied(class) => class.describe(),
        };
        let host = destination.url.host_str();
        tracing::warn!(host, %address, class, "delivery blocked: the address is not allowed");
        Err(ErrorClass::Blocked)
    }

    /// One after the other, each with its share of the time that is left.
    async fn connect_to_one_of(&self, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, ErrorClass> {
        let mut failed = ErrorClass::ConnectFailed;
        for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let share = deadline.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
            match timeout(share, self.dialer.connect(*address)).await {
                Ok(Ok((stream, peer))) if is_same(peer, *address) => return Ok(stream),
                Ok(Ok((_, peer))) => {
                    tracing::error!(%address, %peer, "delivery blocked: connected to another address than was asked for");
                    return Err(ErrorClass::Blocked);
                }
                Ok(Err(error)) => failed = class_of(&error),
                Err(_) => failed = ErrorClass::ConnectTimeout,
            }
        }
        Err(failed)
    }
}

fn is_same(peer: SocketAddr, wanted: SocketAddr) -> bool {
    (peer.ip().to_canonical(), peer.port()) == (wanted.ip().to_canonical(), wanted.port())
}

fn class_of(error: &io::Error) -> ErrorClass {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorClass::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorClass::ConnectTimeout,
        _ => ErrorClass::ConnectFailed,
    }
}

/// Whom the certificate has to name. A dot at the end of a name is the resolver's business only.
fn server_name(destination: &CheckedUrl) -> Option<ServerName<'static>> {
    Some(match destination.url.host()? {
        Host::Ipv4(address) => ServerName::IpAddress(IpAddr::from(address).into()),
        Host::Ipv6(address) => ServerName::IpAddress(IpAddr::from(address).into()),
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok()?,
    })
}
