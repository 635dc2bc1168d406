//! The other side of the HTTP client: endpoints, networks and TLS listeners with the behaviour that a test needs.

pub mod endpoints;
pub mod network;
pub mod tls;
