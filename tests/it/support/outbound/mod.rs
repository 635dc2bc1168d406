//! What the HTTP client meets: endpoints, networks and TLS listeners that do as a test says.

pub mod endpoints;
pub mod network;
pub mod tls;
