//! A proxy in front of a service that loses requests and answers by script, and records every request.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::client;

/// The fate of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    None,
    /// The connection breaks before the service sees the request.
    RequestLost,
    /// The service handles the request, and the connection breaks before the answer.
    AnswerLost,
    /// The service handles the request, and the connection breaks inside the answer.
    AnswerCutShort,
    /// The proxy answers with this status.
    Refused(u16),
}

pub struct Proxy {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    next: Arc<Mutex<VecDeque<Mishap>>>,
    down: Arc<AtomicBool>,
}

impl Proxy {
    pub async fn before(service: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, next) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<VecDeque<Mishap>>>::default());
        let down = Arc::new(AtomicBool::new(false));
        let proxy = Self { address, seen: Arc::clone(&seen), next: Arc::clone(&next), down: Arc::clone(&down) };
        let http = client::http();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, next, http) = (Arc::clone(&seen), Arc::clone(&next), http.clone());
                let down = Arc::clone(&down);
                let serve = service_fn(move |request: Request<Incoming>| {
                    seen.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
                    let usual = if down.load(Ordering::Relaxed) { Mishap::Refused(503) } else { Mishap::None };
                    let mishap = next.lock().unwrap().pop_front().unwrap_or(usual);
                    forward(request, service, http.clone(), mishap)
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        proxy
    }

    /// Sets the fates of the next requests, in order.
    pub fn then(&self, mishaps: impl IntoIterator<Item = Mishap>) {
        self.next.lock().unwrap().extend(mishaps);
    }

    /// Sets whether every request is refused.
    pub fn is_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// The method and the path of each request since the last call.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn forward(
    request: Request<Incoming>,
    service: SocketAddr,
    http: reqwest::Client,
    mishap: Mishap,
) -> io::Result<Response<Full<Bytes>>> {
    let broken = || io::Error::other("lost");
    match mishap {
        Mishap::RequestLost => return Err(broken()),
        Mishap::Refused(status) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            return Ok(response);
        }
        _ => {}
    }
    let (head, body) = request.into_parts();
    let url = format!("http://{service}{}", head.uri);
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut headers = head.headers;
    headers.remove("host");
    let answer = http.request(head.method, url).headers(headers).body(body).send().await.map_err(io::Error::other)?;
    let mut response = Response::new(());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove("transfer-encoding");
    let body = answer.bytes().await.map_err(io::Error::other)?;
    match mishap {
        Mishap::AnswerLost => Err(broken()),
        Mishap::AnswerCutShort => {
            // The body is shorter than its length says, so the server closes the connection there.
            response.headers_mut().insert("content-length", (body.len() + 1).into());
            Ok(response.map(|()| Full::new(body)))
        }
        _ => Ok(response.map(|()| Full::new(body))),
    }
}
