//! One bounded HTTP request to an endpoint.
//!
//! `client` sends it over a `connection` that the guarded `connector` has opened on the `network`, or over an
//! idle one from the `pool`. `redactor` keeps the beginning of the response without secrets.

mod client;
mod connection;
mod connector;
mod network;
mod pool;
mod redactor;
mod request;
mod tracked_stream;

pub use client::{EndpointResponse, Exchange, HttpSender, SendError, Sender};
pub use network::{Dialer, Resolver, SystemNetwork};
pub use request::OutboundRequest;
