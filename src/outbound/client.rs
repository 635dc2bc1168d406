//! The outbound HTTP client: one bounded exchange with an untrusted endpoint.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use rustls::RootCertStore;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::connection::Connection;
use super::connector::EgressConnector;
use super::pool::Pool;
use super::redactor::{Redactor, excerpt};
use super::{Dialer, OutboundRequest, Resolver, Route, RouteError, SystemNetwork};
use crate::domain::{EndpointPolicy, ErrorClass, Method, millis};

/// Sends requests to endpoints.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    /// Finds the way to an endpoint. No byte is sent to it.
    ///
    /// # Errors
    /// [`RouteError`] if there is none.
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError>;

    /// Sends one request to the endpoint of the route. A failure is part of the exchange and not an error.
    async fn send(&self, request: OutboundRequest, route: Route) -> Exchange;
}

/// The duration and the result of one request to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The duration in milliseconds.
    pub duration_ms: u64,
    /// The response, or the reason why there is none.
    pub result: Result<EndpointResponse, ErrorClass>,
}

impl Exchange {
    /// An exchange that did not begin.
    #[must_use]
    pub const fn not_sent(class: ErrorClass) -> Self {
        Self { duration_ms: 0, result: Err(class) }
    }

    /// The header `Retry-After` of the response, unparsed.
    #[must_use]
    pub fn retry_after(&self) -> Option<&str> {
        self.result.as_ref().ok()?.retry_after.as_deref()
    }
}

/// The response of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointResponse {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, unparsed.
    pub retry_after: Option<String>,
    /// The beginning of the body as text without secrets, at most
    /// [`AttemptResult::MAX_EXCERPT`](crate::domain::AttemptResult::MAX_EXCERPT) bytes.
    pub excerpt: String,
    /// The body, if [`OutboundRequest::keep_response`] asked for it. `None` if it is not complete or has 64 KiB or more.
    pub body: Option<Bytes>,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for deliveries cannot be set up: {0}")]
pub struct SendError(#[from] rustls::Error);

/// A [`Sender`] over real connections.
///
/// It speaks HTTP/1.1 over connections of the egress connector. It follows no redirects, uses no proxies or cookies,
/// decompresses nothing, and repeats a request only if it used a connection again that the peer then closed without a
/// byte of a response.
pub struct HttpSender {
    connector: EgressConnector,
    pool: Pool,
}

impl HttpSender {
    /// The most idle connections that are kept.
    const MAX_IDLE: usize = 256;
    /// The most bytes of a body that are read. The connection of a longer body is closed.
    const MAX_READ: usize = 64 * 1024;
    /// The most bytes that are searched for secrets: the excerpt, and room for the longest header that it may contain.
    const MAX_SEARCHED: usize = 8 * 1024;

    /// A sender over this machine's network. It trusts the certificate authorities of Mozilla's list.
    ///
    /// # Errors
    /// [`SendError`] if the TLS library does not start.
    pub fn new(policy: EndpointPolicy) -> Result<Self, SendError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::over(Arc::new(SystemNetwork::default()), policy, roots)
    }

    /// A sender over another network. It trusts only the given certificate authorities.
    ///
    /// # Errors
    /// [`SendError`] if the TLS library does not start.
    pub fn over<N: Resolver + Dialer>(
        network: Arc<N>,
        policy: EndpointPolicy,
        roots: RootCertStore,
    ) -> Result<Self, SendError> {
        let (resolver, dialer): (Arc<dyn Resolver>, Arc<dyn Dialer>) = (Arc::clone(&network) as _, network);
        Ok(Self { connector: EgressConnector::new(policy, resolver, dialer, roots)?, pool: Pool::new(Self::MAX_IDLE) })
    }

    /// Connects to an endpoint, and sends it nothing: the name is looked up, the addresses are checked, and TLS begins.
    ///
    /// # Errors
    /// [`ErrorClass`] of the failure.
    pub async fn try_connect(&self, endpoint: &str) -> Result<(), ErrorClass> {
        let route = self.connector.route(self.connector.admit(endpoint)?).await.map_err(|error| match error {
            RouteError::Failed(class) => class,
            RouteError::NotTried => ErrorClass::DnsError,
        })?;
        self.connector.connect(&route).await.map(drop)
    }

    /// Keeps fewer idle connections, for a process that may open few.
    #[must_use]
    pub fn with_max_idle(mut self, max: usize) -> Self {
        self.pool = Pool::new(max);
        self
    }

    /// Sends the request and reads the response, until a deadline.
    async fn exchange(
        &self,
        request: OutboundRequest,
        route: Route,
        deadline: Instant,
    ) -> Result<EndpointResponse, ErrorClass> {
        let response = timeout_at(deadline, self.response_to(&request, &route)).await;
        let (mut connection, response) = response.unwrap_or(Err(ErrorClass::TotalTimeout))?;
        let reusable = is_valid(&response);
        let (head, body) = response.into_parts();
        let (mut kept, max_kept) =
            (Vec::new(), if request.keep_response { Self::MAX_READ } else { Self::MAX_SEARCHED });
        // The status decides the outcome, also if the body is incomplete or late.
        let complete = timeout_at(deadline, read(body, &mut kept, max_kept)).await == Ok(true);
        if reusable && complete && connection.is_ready_again().await {
            self.pool.put(route.url(), connection);
        }
        // Most responses have no body, and the list of secrets is long.
        let beginning = kept.get(..Self::MAX_SEARCHED).unwrap_or(&kept);
        let excerpt = if beginning.is_empty() { String::new() } else { excerpt(beginning, &Redactor::of(&request)) };
        Ok(EndpointResponse {
            status: head.status.as_u16(),
            retry_after: head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned),
            excerpt,
            body: (request.keep_response && complete).then(|| kept.into()),
        })
    }

    /// Sends the request, on an idle connection if there is one, and returns the head of the response.
    ///
    /// The peer may close an idle connection at any time. If it closes it before the first byte of a response, the
    /// request is sent once more, on a new connection. The endpoint may have seen it then, but that is what the retry
    /// policy would do a few seconds later: both are the same attempt number and the same `webhook-id`, by which the
    /// endpoint recognises a duplicate.
    async fn response_to(
        &self,
        request: &OutboundRequest,
        route: &Route,
    ) -> Result<(Connection, Response<Incoming>), ErrorClass> {
        let url = route.url();
        // A second try is rare, so it makes the message again. A clone would cost every request.
        let message = || message(request, url).ok_or(ErrorClass::Blocked);
        if let Some(mut connection) = self.pool.take(url) {
            match connection.send(message()?).await {
                Ok(response) => return Ok((connection, response)),
                Err(ErrorClass::ConnectionReset) if !connection.has_response() => self.pool.avoid(url),
                Err(class) => return Err(class),
            }
        }
        let message = message()?;
        let stream = self.connector.connect(route).await?;
        let mut connection = Connection::start(stream, route.addresses().clone()).await?;
        let response = connection.send(message).await?;
        Ok((connection, response))
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        let destination = self.connector.admit(endpoint)?;
        match self.pool.addresses(&destination.url) {
            // The guard checked them when the connection was opened, about `Pool::MAX_AGE` ago at most.
            Some(addresses) => Ok(Route::new(destination.url, addresses)),
            None => self.connector.route(destination).await,
        }
    }

    async fn send(&self, request: OutboundRequest, route: Route) -> Exchange {
        let started = Instant::now();
        let deadline = started + request.timeout;
        let result = self.exchange(request, route, deadline).await;
        Exchange { duration_ms: millis(started.elapsed()), result }
    }
}

/// The request as an HTTP message. `None` if a header is invalid, which a schedule request cannot contain.
fn message(request: &OutboundRequest, url: &Url) -> Option<Request<Full<Bytes>>> {
    let method = match request.method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Get => http::Method::GET,
        Method::Delete => http::Method::DELETE,
    };
    let mut message = Request::new(Full::new(request.body.clone().unwrap_or_default()));
    *message.method_mut() = method;
    *message.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().ok()?;
    let headers = message.headers_mut();
    headers.reserve(request.headers.len() + 2);
    for (name, value) in &request.headers {
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.expose()).ok()?);
    }
    // This client cannot decompress a response.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(HOST, HeaderValue::try_from(host(url)).ok()?);
    Some(message)
}

/// Host and port for the header `Host`, without the dot at the end of an absolute name.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// Whether the connection can be used again after this response. A response with two lengths is ambiguous: its rest
/// could be read as the response to the next request.
fn is_valid(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    response.version() == Version::HTTP_11
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
        && !(headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH))
}

/// Reads a body up to [`HttpSender::MAX_READ`], and returns whether it is complete. Keeps its first `max_kept` bytes.
async fn read(mut body: Incoming, kept: &mut Vec<u8>, max_kept: usize) -> bool {
    let mut read = 0;
    while read < HttpSender::MAX_READ {
        match body.frame().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                read += data.len();
                kept.extend(data.iter().take(max_kept - kept.len()));
            }
        }
    }
    false
}
