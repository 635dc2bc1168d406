//! Accepts connections, limits them and closes them.
//!
//! The accept loop is our own, over hyper: warp's server also speaks HTTP/2, has no time limit for headers, and waits
//! for open connections without a limit when it stops.

use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, EXPECT, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use warp::reply::{Reply as _, Response};

use super::client_stream::ClientStream;
use super::connection::{Connection, ConnectionLimits};
use super::request_head;
use super::request_line::RequestLine;
use super::routes::Routes;
use super::shared_body::SharedBody;
use crate::api::Problem;
use crate::auth::TrustedProxies;
use crate::time::Entropy;

/// Serves the API on a listener.
pub struct Server {
    listener: TcpListener,
    routes: Routes,
    options: ServerOptions,
    span_ids: Option<Arc<dyn Entropy>>,
}

/// The limits of a server, and its logging.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The longest time that a connection may be without a complete request head, idle time included.
    pub idle: Duration,
    /// The longest time that a response may make no progress, because the client does not read.
    pub write: Duration,
    /// The time that open requests have to finish after the stop.
    pub drain: Duration,
    /// The most connections. At the limit, old connections without an authenticated request are closed.
    pub max_connections: usize,
    /// The proxies that name the source of a request.
    pub trusted_proxies: TrustedProxies,
    /// Whether the log lines of a request carry the invocation id of the Functions host.
    pub invocation_ids: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            write: Duration::from_secs(30),
            drain: Duration::from_secs(8),
            max_connections: 8192,
            trusted_proxies: TrustedProxies::default(),
            invocation_ids: false,
        }
    }
}

impl ServerOptions {
    /// The options for a process behind the Functions host. The host reuses idle connections, and an invocation fails
    /// if its connection is closed at that moment.
    #[must_use]
    pub fn under_host() -> Self {
        Self { idle: Duration::from_mins(10), invocation_ids: true, ..Self::default() }
    }
}

impl Server {
    const MAX_HEADERS: usize = 100;
    /// The longest request head, in bytes. hyper responds to a longer one with 431.
    const MAX_HEAD: usize = 32 * 1024;

    /// A server on a listening socket. It accepts connections only while it runs.
    #[must_use]
    pub fn new(listener: TcpListener, routes: impl Into<Routes>, options: ServerOptions) -> Self {
        Self { listener, routes: routes.into(), options, span_ids: None }
    }

    /// The same server, which gives each request a span of its own. The spans are exported.
    #[must_use]
    pub fn with_span_ids(self, entropy: Arc<dyn Entropy>) -> Self {
        Self { span_ids: Some(entropy), ..self }
    }

    /// Serves until `stop`, then lets open requests finish within the drain time.
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, routes, options, span_ids } = self;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(options.idle)
            .max_headers(Self::MAX_HEADERS)
            .max_buf_size(Self::MAX_HEAD)
            // A client may shut down its sending side after the request and still wait for the response.
            .half_close(true);
        let limits = Arc::new(ConnectionLimits::new(options.max_connections, options.trusted_proxies));
        let handler = RequestHandler { routes, invocation_ids: options.invocation_ids, span_ids };
        let open = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // It fails if the peer has left already, which hyper notices too.
                    let _ = configure(&stream);
                    let stream = ClientStream::new(stream, options.write, stop.clone());
                    let connection = Connection::open(Arc::clone(&limits), peer.ip());
                    let (handler, requests) = (handler.clone(), connection.clone());
                    let service = service_fn(move |request| handler.clone().handle(requests.clone(), request));
                    let served = open.watch(http.serve_connection(TokioIo::new(stream), service));
                    tokio::spawn(async move {
                        tokio::select! {
                            // An error means that the peer broke the protocol or left, so no response can be sent.
                            _ = served => {}
                            () = connection.gives_way() => {}
                        }
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    // The likely cause is that there are no file descriptors left. A pause keeps the loop from spinning.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        if tokio::time::timeout(options.drain, open.shutdown()).await.is_err() {
            tracing::warn!("requests that are still open after the drain time are aborted");
        }
    }
}

/// Sends each response at once, and takes little of a response that the peer does not read.
fn configure(stream: &TcpStream) -> io::Result<()> {
    /// The most bytes that wait in the system until the peer takes what was sent before. What is on its way does not
    /// count, so a peer that reads gets as much as without the limit. Without it, the system takes megabytes, and a
    /// peer that never reads could let the service respond to thousands of requests.
    const MAX_UNSENT: u32 = 16 * 1024;
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_notsent_lowat(MAX_UNSENT)
}

/// Handles the requests of all connections.
#[derive(Clone)]
struct RequestHandler {
    routes: Routes,
    invocation_ids: bool,
    span_ids: Option<Arc<dyn Entropy>>,
}

impl RequestHandler {
    async fn handle(self, connection: Connection, request: Request<Incoming>) -> Result<Response, Infallible> {
        // hyper serves requests that a client sends without waiting one after the other. Between them the requests of
        // other connections get their turn.
        tokio::task::yield_now().await;
        let mut line = RequestLine::begin(&request, self.invocation_ids, self.span_ids.as_deref());
        let is_awaited = request.headers().contains_key(EXPECT);
        let (parts, body) = request.into_parts();
        let body = SharedBody::new(body);
        let mut request = Request::from_parts(parts, body.clone());
        request.extensions_mut().insert(connection);
        if let Some(trace) = line.trace() {
            request.extensions_mut().insert(trace);
        }
        let response = self.respond(request).instrument(line.span().clone()).await;
        line.end(&response);
        body.discard_rest(is_awaited).await;
        Ok(harden(response))
    }

    async fn respond(self, request: Request<SharedBody>) -> Response {
        if let Err(problem) = request_head::check(&request) {
            return problem.into_response();
        }
        let router = match self.routes.for_request(&request).await {
            Ok(router) => TowerToHyperService::new(warp::service(router)),
            Err(response) => return response,
        };
        // Without this a panic would end the connection without a response.
        match AssertUnwindSafe(async move { router.call(request).await }).catch_unwind().await {
            Ok(Ok(response)) => response,
            Err(_) => Problem::internal(&Panicked).into_response(),
        }
    }
}

/// A handler has a defect. The panic hook has written the message.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

/// How everybody may keep a response: an extension of the responses that may be kept at all.
#[derive(Clone, Copy)]
pub(super) enum Caching {
    /// For this time.
    For(Duration),
    /// For ever, but with each use the service is asked whether it is still the same.
    Revalidated,
}

impl Caching {
    fn header(self) -> Option<HeaderValue> {
        match self {
            Self::For(time) => format!("public, max-age={}", time.as_secs()).parse().ok(),
            Self::Revalidated => Some(HeaderValue::from_static("public, no-cache")),
        }
    }
}

/// Adds the headers of every response: it must not be cached, unless its handler says how it may be; its type
/// must not be guessed, and a browser must not render it, unless it is a page with a policy of its own.
fn harden(mut response: Response) -> Response {
    let cached = response.extensions_mut().remove::<Caching>().and_then(Caching::header);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, cached.unwrap_or(HeaderValue::from_static("no-store")));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'"));
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    response
}
