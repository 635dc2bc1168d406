//! The way out of this machine: names to addresses, addresses to connections. Injected, so that a test can
//! say what a name server answers and see where a connection goes.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::net::TcpStream;

/// Looks names up and makes connections, without an opinion about either.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// All addresses of a host name. One that ends in a dot is absolute: no search domain is tried.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// A connection to an address, and the address that is at its other end.
    async fn connect(&self, address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)>;
}

/// The machine's resolver and its sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNetwork;

#[async_trait]
impl Network for SystemNetwork {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }
}
