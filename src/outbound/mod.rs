//! One bounded HTTP request to an endpoint.
//!
//! `client` sends it over a `connection` that the guarded `connector` has opened on the `network`, or over an
//! idle one from the `pool`. `system_resolver` looks
//! names up, and `route` holds the checked URL and addresses of the endpoint. `tracked_stream` tells the connection how far the request has come, and `redactor` removes
//! secrets from the beginning of the response.

mod client;
mod connection;
mod connector;
mod echo;
mod network;
mod pool;
mod redactor;
mod request;
mod route;
mod system_resolver;
mod tracked_stream;

pub use client::{EndpointResponse, Exchange, HttpSender, SendError, Sender};
pub use network::{Dialer, Resolver, SystemNetwork};
pub use request::OutboundRequest;
pub use route::{Addresses, Route, RouteError};
