//! The outbound HTTP client: one bounded exchange with a stranger.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use http::header::RETRY_AFTER;
use tokio::time::Instant;

use super::DeliveryRequest;
use crate::domain::{ErrorClass, Method, Report};

/// Sends requests to endpoints.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    /// One exchange. Every failure is part of it, so there is nothing to propagate.
    async fn send(&self, request: DeliveryRequest) -> Exchange;
}

/// What happened between us and an endpoint. What it means is for [`super::judge`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The answer, or why there is none.
    pub result: Result<Answer, ErrorClass>,
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
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The beginning of the body as text: at most [`Report::MAX_EXCERPT`] bytes.
    pub excerpt: String,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for deliveries cannot be set up")]
pub struct SendError;

/// A [`Sender`] over real connections.
///
/// No redirects, proxies or cookies, no transport retries that would hide an attempt, no
/// decompression, HTTP/1.1 only.
pub struct HttpSender {
    client: reqwest::Client,
}

impl HttpSender {
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// Idle connections kept to one host: a herd of deliveries reuses them.
    const IDLE_PER_HOST: usize = 64;
    /// How much of an answer is read before the connection is given up.
    const MAX_READ: usize = 64 * 1024;

    /// A client with its own connection pool.
    ///
    /// # Errors
    /// [`SendError`] if the TLS library does not start.
    #[allow(clippy::disallowed_methods)] // the one place that makes the client for deliveries
    pub fn new() -> Result<Self, SendError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .connect_timeout(Self::CONNECT_TIMEOUT)
            .pool_max_idle_per_host(Self::IDLE_PER_HOST)
            .tcp_nodelay(true)
            .build()
            .map_err(|_| SendError)?;
        Ok(Self { client })
    }

    async fn exchange(&self, request: DeliveryRequest) -> Result<Answer, ErrorClass> {
        let method = match request.method {
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Get => http::Method::GET,
            Method::Delete => http::Method::DELETE,
        };
        let mut builder = self.client.request(method, request.endpoint);
        for (name, value) in &request.headers {
            builder = builder.header(name, value.expose());
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let mut response = builder.send().await.map_err(|e| classify(&e))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (mut read, mut excerpt) = (0, Vec::new());
        while read < Self::MAX_READ {
            // The status has arrived: a body that breaks off afterwards does not undo it.
            let Ok(Some(chunk)) = response.chunk().await else { break };
            read += chunk.len();
            let room = Report::MAX_EXCERPT - excerpt.len();
            excerpt.extend(chunk.iter().take(room));
        }
        Ok(Answer { status, retry_after, excerpt: excerpt_text(&excerpt) })
    }
}

/// The part of an answer that is kept: text, whole characters only.
fn excerpt_text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    while text.len() > Report::MAX_EXCERPT || text.ends_with(char::REPLACEMENT_CHARACTER) {
        text.pop();
    }
    text
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, request: DeliveryRequest) -> Exchange {
        let (began, timeout) = (Instant::now(), request.timeout);
        let result = match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(ErrorClass::TotalTimeout),
        };
        Exchange { duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), result }
    }
}

/// Finds the cause that says most in an error's chain.
fn classify(error: &reqwest::Error) -> ErrorClass {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    let io = causes.iter().rev().find_map(|e| e.downcast_ref::<io::Error>()).map(innermost);
    let is_tls =
        io.and_then(io::Error::get_ref).is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
    let cut_off = causes.iter().any(|e| e.downcast_ref().is_some_and(hyper::Error::is_incomplete_message));
    match io.map(io::Error::kind) {
        _ if is_tls => ErrorClass::TlsError,
        _ if error.is_timeout() && error.is_connect() => ErrorClass::ConnectTimeout,
        _ if error.is_timeout() => ErrorClass::TotalTimeout,
        Some(io::ErrorKind::ConnectionRefused) => ErrorClass::ConnectRefused,
        // Connected, and cut off in the middle of the handshake.
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) if error.is_connect() => {
            ErrorClass::TlsError
        }
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => {
            ErrorClass::ConnectionReset
        }
        _ if cut_off => ErrorClass::ConnectionReset,
        // Of the steps to a connection, only the resolver's errors have no number of the system's.
        _ if error.is_connect() && io.is_some_and(|e| e.raw_os_error().is_none()) => ErrorClass::DnsError,
        _ if error.is_connect() => ErrorClass::ConnectFailed,
        _ => ErrorClass::ProtocolError,
    }
}

/// An I/O error that is only the wrapping of another one says nothing: those of TLS come so.
fn innermost(mut error: &io::Error) -> &io::Error {
    while let Some(wrapped) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        error = wrapped;
    }
    error
}
