//! The outbound HTTP client: one bounded exchange with a stranger.

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

use super::connection::{Connection, SendFailure};
use super::connector::EgressConnector;
use super::pool::Pool;
use super::redactor::{Redactor, excerpt};
use super::{Dialer, OutboundRequest, Resolver, SystemNetwork};
use crate::domain::{CheckedUrl, EndpointPolicy, ErrorClass, Method};

/// Sends requests to endpoints.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    /// One exchange. Every failure is part of it, so there is nothing to propagate.
    async fn send(&self, request: OutboundRequest) -> Exchange;
}

/// What happened between us and an endpoint. What it means is for [`super::classify`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The answer, or why there is none.
    pub result: Result<EndpointResponse, ErrorClass>,
}

impl Exchange {
    /// When the endpoint wants to be asked again, in its own words.
    #[must_use]
    pub fn retry_after(&self) -> Option<&str> {
        self.result.as_ref().ok()?.retry_after.as_deref()
    }
}

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointResponse {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The beginning of the body as text: at most [`AttemptResult::MAX_EXCERPT`](crate::domain::AttemptResult::MAX_EXCERPT) bytes.
    pub excerpt: String,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for deliveries cannot be set up: {0}")]
pub struct SendError(#[from] rustls::Error);

/// A [`Sender`] over real connections.
///
/// HTTP/1.1 over connections that the connector has made; no redirects, proxies or cookies, no decompression, and one
/// request for each attempt: nothing is sent a second time.
pub struct HttpSender {
    connector: EgressConnector,
    pool: Pool,
}

impl HttpSender {
    /// How much of an answer's body is read before the connection is given up.
    const MAX_READ: usize = 64 * 1024;
    /// How much of it is looked at for the excerpt: that, and the longest header that may be in it.
    const MAX_LOOKED_AT: usize = 8 * 1024;

    /// A sender over this machine's network, which believes the certificate authorities of Mozilla's list.
    ///
    /// # Errors
    /// [`SendError`] if the TLS library does not start.
    pub fn new(policy: EndpointPolicy) -> Result<Self, SendError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::over(Arc::new(SystemNetwork), policy, roots)
    }

    /// A sender over any network, which believes certain certificate authorities.
    ///
    /// # Errors
    /// [`SendError`] if the TLS library does not start.
    pub fn over<N: Resolver + Dialer>(
        network: Arc<N>,
        policy: EndpointPolicy,
        roots: RootCertStore,
    ) -> Result<Self, SendError> {
        let (resolver, dialer): (Arc<dyn Resolver>, Arc<dyn Dialer>) = (Arc::clone(&network) as _, network);
        Ok(Self { connector: EgressConnector::new(policy, resolver, dialer, roots)?, pool: Pool::default() })
    }

    /// The whole exchange, by a deadline.
    async fn exchange(&self, request: OutboundRequest, deadline: Instant) -> Result<EndpointResponse, ErrorClass> {
        let destination = self.connector.admit(&request.endpoint)?;
        let redactor = Redactor::of(&request);
        let message = message(request, &destination.url).ok_or(ErrorClass::Blocked)?;
        let head = timeout_at(deadline, self.answer_to(message, &destination)).await;
        let (mut connection, answer) = head.unwrap_or(Err(ErrorClass::TotalTimeout))?;
        let reusable = is_without_fault(&answer);
        let (head, body) = answer.into_parts();
        let mut beginning = Vec::new();
        // The status has arrived: a body that breaks off or drags on does not undo it.
        let whole = timeout_at(deadline, read(body, &mut beginning)).await == Ok(true);
        if reusable && whole && connection.is_ready_again().await {
            self.pool.put(&destination.url, connection);
        }
        Ok(EndpointResponse {
            status: head.status.as_u16(),
            retry_after: head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned),
            excerpt: excerpt(&beginning, &redactor),
        })
    }

    /// The head of the answer, on an idle connection if there is one.
    ///
    /// The other side may close an idle connection at any time. Where that is seen before a byte of the request
    /// has been written, the next connection is taken; once one has been, the attempt has failed.
    async fn answer_to(
        &self,
        mut message: Request<Full<Bytes>>,
        destination: &CheckedUrl,
    ) -> Result<(Connection, Response<Incoming>), ErrorClass> {
        while let Some(mut connection) = self.pool.take(&destination.url) {
            match connection.send(message).await {
                Ok(answer) => return Ok((connection, answer)),
                Err(SendFailure::Unsent(returned)) => message = *returned,
                Err(SendFailure::Failed(class)) => return Err(class),
            }
        }
        let mut connection = Connection::start(self.connector.connect(destination).await?).await?;
        match connection.send(message).await {
            Ok(answer) => Ok((connection, answer)),
            Err(SendFailure::Unsent(_)) => Err(ErrorClass::ConnectionReset),
            Err(SendFailure::Failed(class)) => Err(class),
        }
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, request: OutboundRequest) -> Exchange {
        let began = Instant::now();
        let deadline = began + request.timeout;
        let result = self.exchange(request, deadline).await;
        Exchange { duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), result }
    }
}

/// The request as HTTP has it. `None` if a header is not one; those of a schedule request have been checked.
fn message(request: OutboundRequest, url: &Url) -> Option<Request<Full<Bytes>>> {
    let method = match request.method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Get => http::Method::GET,
        Method::Delete => http::Method::DELETE,
    };
    let mut message = Request::new(Full::new(request.body.unwrap_or_default()));
    *message.method_mut() = method;
    *message.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().ok()?;
    let headers = message.headers_mut();
    for (name, value) in &request.headers {
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.expose()).ok()?);
    }
    // Nothing is ever decompressed.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(HOST, HeaderValue::try_from(host(url)).ok()?);
    Some(message)
}

/// Host and port as servers know them: without the dot that ends an absolute name.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// Whether the connection may be used again after this answer. One with two lengths may be read in two ways.
fn is_without_fault(answer: &Response<Incoming>) -> bool {
    let headers = answer.headers();
    answer.version() == Version::HTTP_11
        && answer.status() != StatusCode::SWITCHING_PROTOCOLS
        && !(headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH))
}

/// Reads a body up to [`HttpSender::MAX_READ`], and says whether that was the whole of it.
async fn read(mut body: Incoming, beginning: &mut Vec<u8>) -> bool {
    let mut read = 0;
    while read < HttpSender::MAX_READ {
        match body.frame().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                read += data.len();
                beginning.extend(data.iter().take(HttpSender::MAX_LOOKED_AT - beginning.len()));
            }
        }
    }
    false
}
