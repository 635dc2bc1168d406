//! The HTTP front of the host, which passes requests to the handler.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

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
/// The number of tries to connect to the handler, and the first and the longest pause between them.
const CONNECT_TRIES: u32 = 10;
const CONNECT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

pub(super) async fn serve(instance: Arc<Instance>, listener: TcpListener) {
    // The set is dropped with the task, which ends the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let instance = Arc::clone(&instance);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&instance), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(instance: Arc<Instance>, request: Request<Incoming>) -> Result<Response<reqwest::Body>, Infallible> {
    let path = request.uri().path();
    // The host's own routes come before all functions.
    if path.starts_with("/admin/") || path.starts_with("/runtime/") {
        return Ok(bare(StatusCode::UNAUTHORIZED));
    }
    let Some(function) = routes::find(&instance.app.functions, request.method(), path) else {
        let home = path == "/" && request.method() == http::Method::GET;
        return Ok(bare(if home { StatusCode::OK } else { StatusCode::NOT_FOUND }));
    };
    if matches!(function.trigger, Trigger::Http { anonymous: false, .. }) {
        return Ok(bare(StatusCode::UNAUTHORIZED));
    }
    if instance.handler.ready(4 * instance.app.initialization_timeout).await.is_err() {
        let mut response = bare(StatusCode::SERVICE_UNAVAILABLE);
        *response.body_mut() = "Function host is not running.".into();
        return Ok(response);
    }
    let passed = match instance.app.pass_through {
        PassThrough::Proxying => proxy(&instance, request).await,
        PassThrough::Forwarding => forward(&instance, request).await,
    };
    Ok(passed.unwrap_or_else(|error| {
        instance.log.add(super::Source::Host, format!("an HTTP function failed: {error}"));
        bare(StatusCode::INTERNAL_SERVER_ERROR)
    }))
}

fn bare(status: StatusCode) -> Response<reqwest::Body> {
    let mut response = Response::new("".into());
    *response.status_mut() = status;
    response
}

/// Passes a request on unchanged, streamed in both directions.
async fn proxy(instance: &Instance, request: Request<Incoming>) -> reqwest::Result<Response<reqwest::Body>> {
    let (mut head, body) = request.into_parts();
    strip(&mut head.headers);
    identify(&mut head.headers);
    let (url, body) = (target(instance, &head.uri), Shared(Arc::new(Mutex::new(body))));
    let (mut pause, longest) = CONNECT_PAUSES;
    for _ in 1..CONNECT_TRIES {
        let request = instance.http.request(head.method.clone(), &url).headers(head.headers.clone());
        match request.body(reqwest::Body::wrap(body.clone())).send().await {
            Err(error) if error.is_connect() => sleep(pause).await,
            result => return result.map(returned),
        }
        pause = (2 * pause).min(longest);
    }
    instance
        .http
        .request(head.method, url)
        .headers(head.headers)
        .body(reqwest::Body::wrap(body))
        .send()
        .await
        .map(returned)
}

/// Builds a new request: a body only if it has a Content-Length, and one value for each key in the query. Reads the answer
/// to its end.
async fn forward(instance: &Instance, request: Request<Incoming>) -> reqwest::Result<Response<reqwest::Body>> {
    let (mut head, body) = request.into_parts();
    let has_length = head.headers.get("content-length").is_some_and(|length| length != "0");
    let agent = head.headers.get("user-agent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent = format!("{agent} Azure-Functions-Host/{}", super::VERSION);
    strip(&mut head.headers);
    identify(&mut head.headers);
    head.headers.insert("user-agent", agent.trim().parse().unwrap());
    let mut request = instance.http.request(head.method, folded(&target(instance, &head.uri))).headers(head.headers);
    if has_length {
        request = request.body(body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default());
    }
    let (head, body) = returned(request.send().await?).into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes().into()))
}

fn target(instance: &Instance, uri: &Uri) -> String {
    format!("http://{}{uri}", instance.handler.address)
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
    let id: http::HeaderValue = invocation::new_id().parse().unwrap();
    headers.entry("x-ms-invocation-id").or_insert(id.clone());
    headers.insert("x-azure-functions-invocationid", id);
    headers.insert("x-azure-functions-hostversion", http::HeaderValue::from_static(super::VERSION));
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
