//! The resolver and the dialer. Tests replace both: they choose the addresses of a name and see each connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::system_resolver::SystemResolver;

/// Looks up the addresses of host names.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of a host name. The name is absolute: no search domain is tried.
    ///
    /// # Errors
    /// The error of the name service.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Opens connections.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Connects to an address. Returns the connection and the address of its peer.
    ///
    /// # Errors
    /// The error of the operating system.
    async fn connect(&self, address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)>;
}

/// The machine's resolver and its sockets.
#[derive(Default)]
pub struct SystemNetwork {
    resolver: SystemResolver,
}

#[async_trait]
impl Resolver for SystemNetwork {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.resolver.resolve(name).await
    }
}

#[async_trait]
impl Dialer for SystemNetwork {
    async fn connect(&self, address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }
}
