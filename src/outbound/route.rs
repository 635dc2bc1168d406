//! The way to an endpoint.

use std::net::SocketAddr;

use url::Url;

use crate::domain::ErrorClass;

/// The way to an endpoint: its URL and its addresses, which the egress guard has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    url: Url,
    addresses: Addresses,
}

/// The addresses of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    tried: Vec<SocketAddr>,
    smallest: SocketAddr,
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
    /// A route to the endpoint with this URL and these addresses.
    #[must_use]
    pub const fn new(url: Url, addresses: Addresses) -> Self {
        Self { url, addresses }
    }

    /// The URL of the endpoint.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The addresses of the endpoint.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The address that names the host. A name server may return the addresses in another order each time, so it is the
    /// smallest.
    #[must_use]
    pub const fn host(&self) -> SocketAddr {
        self.addresses.smallest
    }
}

impl Addresses {
    /// The most addresses of a host that are tried.
    const MAX_TRIED: usize = 4;

    /// The addresses of a host: the first few are tried, in their order.
    ///
    /// # Errors
    /// [`RouteError::Failed`] if there are none.
    pub fn new(all: &[SocketAddr]) -> Result<Self, RouteError> {
        let smallest = all.iter().min().copied().ok_or(ErrorClass::DnsError)?;
        let mut tried = Vec::with_capacity(Self::MAX_TRIED);
        for address in all {
            if tried.len() < Self::MAX_TRIED && !tried.contains(address) {
                tried.push(*address);
            }
        }
        Ok(Self { tried, smallest })
    }

    /// The addresses that are tried, in this order.
    #[must_use]
    pub fn tried(&self) -> &[SocketAddr] {
        &self.tried
    }
}
