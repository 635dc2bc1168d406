//! The request that is sent to an endpoint.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::{Method, Secret};

/// One HTTP request to an endpoint, complete but for the transport's own headers.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// The URL.
    pub endpoint: String,
    /// Names and values. Values are often credentials.
    pub headers: Vec<(String, Secret<String>)>,
    /// The body.
    pub body: Option<Bytes>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
}
