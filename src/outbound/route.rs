//! The way to an endpoint.

use std::net::SocketAddr;

use crate::domain::ErrorClass;

/// The addresses of an endpoint, all of which the egress guard has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    addresses: Vec<SocketAddr>,
    host: SocketAddr,
}

/// The reason why there is no way to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// The name cannot be looked up, or its addresses are not allowed. That is the result of an attempt.
    Failed(ErrorClass),
    /// This machine had no resources to look the name up. That is not an attempt.
    NotTried,
}

impl From<ErrorClass> for RouteError {
    fn from(class: ErrorClass) -> Self {
        Self::Failed(class)
    }
}

impl Route {
    /// The most addresses of a host that are tried.
    const MAX_TRIED: usize = 4;

    /// A route to the host with these addresses.
    ///
    /// # Errors
    /// [`RouteError::Failed`] if there are none.
    pub fn new(all: &[SocketAddr]) -> Result<Self, RouteError> {
        // A name server may return the addresses in another order each time. The smallest one names the host.
        let host = all.iter().min().copied().ok_or(ErrorClass::DnsError)?;
        let mut addresses = Vec::with_capacity(Self::MAX_TRIED);
        for address in all {
            if addresses.len() < Self::MAX_TRIED && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        Ok(Self { addresses, host })
    }

    /// The addresses in the order in which they are tried.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address that names the host.
    #[must_use]
    pub const fn host(&self) -> SocketAddr {
        self.host
    }
}
