//! Accepts connections, limits them and closes them.
//!
//! The accept loop is our own, over hyper: warp's server also speaks HTTP/2, has no time limit for headers, and waits
//! for open connections without a limit when it stops.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::context::Peer;

/// Serves the API on a listener.
pub struct Server {
    listener: TcpListener,
    routes: BoxedFilter<(Response,)>,
    options: ServerOptions,
}

/// The time limits of a server, and its logging.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// The longest time that a connection may be without a complete request head, idle time included.
    pub idle: Duration,
    /// The time that open requests have to finish after the stop.
    pub drain: Duration,
    /// Whether the log lines of a request carry the invocation id of the Functions host.
    pub invocation_ids: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), drain: Duration::from_secs(8), invocation_ids: false }
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
    const MAX_CONNECTIONS: usize = 8192;
    const MAX_HEADERS: usize = 100;
    /// The longest request head, in bytes. hyper responds to a longer one with 431.
    const MAX_HEAD: usize = 32 * 1024;

    /// A server on a listening socket. It accepts connections only while it runs.
    #[must_use]
    pub fn new(listener: TcpListener, routes: BoxedFilter<(Response,)>, options: ServerOptions) -> Self {
        Self { listener, routes, options }
    }

    /// Serves until `stop`, then lets open requests finish within the drain time.
    pub async fn run(self, stop: CancellationToken) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.options.idle)
            .max_headers(Self::MAX_HEADERS)
            .max_buf_size(Self::MAX_HEAD);
        let connections = Arc::new(Semaphore::new(Self::MAX_CONNECTIONS));
        let open = GracefulShutdown::new();
        loop {
            let permit = Arc::clone(&connections).acquire_owned().await;
            let stream = tokio::select! {
                accepted = self.listener.accept() => accepted.map(|(stream, _)| stream),
                () = stop.cancelled() => break,
            };
            match stream.and_then(|stream| self.service(stream)) {
                Ok((stream, service)) => {
                    let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
                    tokio::spawn(async move {
                        // An error means that the peer broke the protocol or left, so no response can be sent.
                        let _ = connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    // The likely cause is that there are no file descriptors left. A pause keeps the loop from spinning.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(self.options.drain, open.shutdown()).await.is_err() {
            tracing::warn!("requests that are still open after the drain time are aborted");
        }
    }

    fn service(
        &self,
        stream: TcpStream,
    ) -> io::Result<(
        TcpStream,
        impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send> + use<>,
    )> {
        stream.set_nodelay(true)?;
        let peer = Peer(stream.peer_addr()?.ip());
        let invocation_ids = self.options.invocation_ids;
        let routes = hyper_util::service::TowerToHyperService::new(warp::service(self.routes.clone()));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let span = if invocation_ids { invocation(request.headers()) } else { Span::none() };
            let response = routes.call(request);
            async move { response.await.map(harden) }.instrument(span)
        });
        Ok((stream, service))
    }
}

/// The span that carries the host's invocation id. Its level is error, so that no log filter removes it.
fn invocation(headers: &HeaderMap) -> Span {
    let id = headers.get("x-azure-functions-invocationid").and_then(|id| id.to_str().ok());
    tracing::error_span!("invocation", id = id.filter(|id| id.len() <= 64))
}

/// Adds the headers of every response: it must not be cached, its type must not be guessed, and a browser must not
/// render it.
fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    response
}
