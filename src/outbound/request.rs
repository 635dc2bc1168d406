//! The request to an endpoint.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::{Method, Secret};

/// One HTTP request to the endpoint of a [`Route`](super::Route), without the headers that the HTTP client adds.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    /// The HTTP method.
    pub method: Method,
    /// Header names and values. A value may be a credential.
    pub headers: Vec<(String, Secret<String>)>,
    /// The body; none for a method without content.
    pub body: Option<Bytes>,
    /// Whether the body of the response is needed, and not only its beginning.
    pub keep_response: bool,
    /// The longest time that the whole exchange may take.
    pub timeout: Duration,
}
