//! The HTTP front of the host, which passes requests to the handler.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, SERVER, TRANSFER_ENCODING, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::app::{PassThrough, Trigger};
use super::{Instance, invocation, routes};

/// Headers of one connection, which are not passed on.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
];
/// The number of tries of an exchange that breaks, and the first and the longest pause between them.
const ATTEMPTS: u32 = 10;
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));
/// The number of times that each try sends a request without a body while connections break.
const SENDS: u32 = 4;
const LONGEST_URL: usize = 8 * 1024;
const LARGEST_HEAD: usize = 32 * 1024;

pub(super) async fn serve(instance: &Arc<Instance>, listener: TcpListener, drain: CancellationToken) {
    // The set is dropped with the task, which ends the connections.
    let (mut connections, open) = (JoinSet::new(), GracefulShutdown::new());
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted.unwrap(),
            () = drain.cancelled() => break,
        };
        stream.set_nodelay(true).unwrap();
        let instance = Arc::clone(instance);
        let service = service_fn(move |request| answer(Arc::clone(&instance), peer.ip(), request));
        let connection = open.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move { drop(connection.await) });
    }
    drop(listener);
    open.shutdown().await;
}

async fn answer(
    instance: Arc<Instance>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<reqwest::Body>, Infallible> {
    let mut response = match beyond_limits(&request) {
        Some(status) => {
            let mut response = bare(status);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
        None => route(&instance, peer, request).await,
    };
    response.headers_mut().insert(SERVER, HeaderValue::from_static("Kestrel"));
    Ok(response)
}

/// The limits of the host's server, where hyper's are others.
fn beyond_limits(request: &Request<Incoming>) -> Option<StatusCode> {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if request.uri().to_string().len() > LONGEST_URL {
        Some(StatusCode::URI_TOO_LONG)
    } else {
        (headers.sum::<usize>() > LARGEST_HEAD).then_some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    }
}

async fn route(instance: &Instance, peer: IpAddr, request: Request<Incoming>) -> Response<reqwest::Body> {
    let Some(path) = routes::decoded(request.uri().path()) else { return bare(StatusCode::BAD_REQUEST) };
    // The host's own routes come before all functions.
    let lower = path.to_ascii_lowercase();
    if ["/admin", "/runtime"].iter().any(|own| lower == *own || lower.starts_with(&format!("{own}/"))) {
        return bare(StatusCode::UNAUTHORIZED);
    }
    let Some(function) = routes::find(&instance.app.functions, request.method(), &path) else {
        let mut response = bare(if path == "/" { StatusCode::OK } else { StatusCode::NOT_FOUND });
        if path == "/" {
            *response.body_mut() = "Your Functions app is up and running".into();
        }
        return response;
    };
    if matches!(function.trigger, Trigger::Http { anonymous: false, .. }) {
        return bare(StatusCode::UNAUTHORIZED);
    }
    if instance.handler.ready(4 * instance.app.initialization_timeout).await.is_err() {
        let mut response = bare(StatusCode::SERVICE_UNAVAILABLE);
        *response.body_mut() = "Function host is not running.".into();
        return response;
    }
    let url = target(instance, &path, request.uri());
    let passed = match instance.app.pass_through {
        PassThrough::Proxying => proxy(instance, peer, &url, request).await,
        PassThrough::Forwarding => forward(instance, &url, request).await,
    };
    passed.unwrap_or_else(|error| {
        instance.log.add(super::Source::Host, format!("an HTTP function failed: {error}"));
        bare(StatusCode::INTERNAL_SERVER_ERROR)
    })
}

fn bare(status: StatusCode) -> Response<reqwest::Body> {
    let mut response = Response::new("".into());
    *response.status_mut() = status;
    response
}

/// The reason why a request did not reach the handler, or why its answer did not come back.
#[derive(Debug, thiserror::Error)]
enum NotPassed {
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
    #[error("the body has no length")]
    Chunked,
}

/// Passes a request on, streamed in both directions. An exchange that breaks is repeated, but a body is sent only once.
async fn proxy(
    instance: &Instance,
    peer: IpAddr,
    url: &str,
    request: Request<Incoming>,
) -> Result<Response<reqwest::Body>, NotPassed> {
    let (mut head, body) = request.into_parts();
    strip(&mut head.headers);
    identify(&mut head.headers);
    let id = head.headers["x-azure-functions-invocationid"].clone();
    head.headers.entry("x-ms-invocation-id").or_insert(id);
    let host = head.headers.remove(HOST);
    for (name, value) in [("host", host), ("for", peer.to_string().parse().ok()), ("proto", "http".parse().ok())] {
        let name: HeaderName = format!("x-forwarded-{name}").parse().unwrap();
        head.headers.remove(&name);
        head.headers.extend(value.map(|value| (name, value)));
    }
    let (is_empty, body) = (body.is_end_stream(), Shared(Arc::new(Mutex::new(body))));
    let (mut pause, longest) = PAUSES;
    let mut result = exchange(instance, url, &head, &body).await;
    for _ in 1..ATTEMPTS {
        let Err(error) = &result else { break };
        let is_unsent = error.is_connect();
        sleep(pause).await;
        pause = (2 * pause).min(longest);
        if is_unsent || is_empty {
            result = exchange(instance, url, &head, &body).await;
        }
    }
    Ok(returned(result?))
}

/// One attempt.
async fn exchange(instance: &Instance, url: &str, head: &Parts, body: &Shared) -> reqwest::Result<reqwest::Response> {
    let send = || {
        let request = instance.http.request(head.method.clone(), url).headers(head.headers.clone());
        request.body(reqwest::Body::wrap(body.clone())).send()
    };
    let is_empty = body.is_end_stream();
    let mut result = send().await;
    for _ in 1..SENDS {
        if is_empty && result.as_ref().is_err_and(|error| !error.is_connect()) {
            result = send().await;
        }
    }
    result
}

/// Builds a new request: a body only if it has a Content-Length, and one value for each key in the query. Reads the answer
/// to its end.
async fn forward(
    instance: &Instance,
    url: &str,
    request: Request<Incoming>,
) -> Result<Response<reqwest::Body>, NotPassed> {
    let (mut head, body) = request.into_parts();
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return Err(NotPassed::Chunked);
    }
    let has_length = head.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    let agent = head.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent = format!("{agent} Azure-Functions-Host/{}", super::VERSION);
    identify(&mut head.headers);
    head.headers.insert(USER_AGENT, agent.trim().parse().unwrap());
    let mut request = instance.http.request(head.method, folded(url)).headers(head.headers);
    if has_length {
        request = request.body(body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default());
    }
    let (head, body) = returned(request.send().await?).into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes().into()))
}

fn target(instance: &Instance, path: &str, uri: &Uri) -> String {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("http://{}{}{query}", instance.handler.address, routes::encoded(path))
}

fn folded(url: &str) -> url::Url {
    let mut url = url::Url::parse(url).unwrap();
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in url.query_pairs() {
        values.entry(key.into_owned()).or_default().push(value.into_owned());
    }
    url.set_query(None);
    for (key, values) in values {
        url.query_pairs_mut().append_pair(&key, &values.join(","));
    }
    url
}

fn identify(headers: &mut HeaderMap) {
    headers.insert("x-azure-functions-invocationid", invocation::new_id().parse().unwrap());
    headers.insert("x-azure-functions-hostversion", HeaderValue::from_static(super::VERSION));
}

fn returned(response: reqwest::Response) -> Response<reqwest::Body> {
    let mut response = Response::from(response);
    strip(response.headers_mut());
    response
}

/// Removes the headers of the connection, with those that `Connection` lists.
fn strip(headers: &mut HeaderMap) {
    let listed = headers.get_all("connection").iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<HeaderName> =
        listed.flat_map(|list| list.split(',')).filter_map(|n| n.trim().parse().ok()).collect();
    for name in listed.into_iter().chain(HOP_BY_HOP.map(HeaderName::from_static)) {
        headers.remove(name);
    }
}

/// A body that can be sent again if no part of it was sent.
#[derive(Clone)]
struct Shared(Arc<Mutex<Incoming>>);

impl Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap().size_hint()
    }
}
