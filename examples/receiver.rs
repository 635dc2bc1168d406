//! A receiver of deliveries: cargo add standardwebhooks bytes http-body-util, hyper with server and http1,
//! hyper-util with tokio, tokio with full.
//! `WEBHOOK_SECRET=whsec_… PORT=8080 cargo run`

use std::collections::HashSet;
use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

#[tokio::main]
#[allow(clippy::disallowed_methods)] // an example has no configuration but the environment
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(8080), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, Webhook::new(&env::var("WEBHOOK_SECRET")?)?).await
}

/// Receives until the listener fails.
pub(crate) async fn serve(listener: TcpListener, webhook: Webhook) -> Result<(), Box<dyn Error>> {
    let webhook = Arc::new(webhook);
    // A restart loses this set. In production, write the id to a table, in one transaction with the work.
    let received = Arc::new(Mutex::new(HashSet::new()));
    loop {
        let (stream, _) = listener.accept().await?;
        let (webhook, received) = (webhook.clone(), received.clone());
        let service = service_fn(move |request| receive(request, webhook.clone(), received.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn receive(
    request: Request<Incoming>,
    webhook: Arc<Webhook>,
    received: Arc<Mutex<HashSet<String>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let signed = match body.collect().await {
        Ok(body) => webhook.verify(&body.to_bytes(), &head.headers).is_ok(),
        Err(_) => false,
    };
    let id = head.headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (status, text) = if !signed {
        (StatusCode::UNAUTHORIZED, "not signed with our secret, or too old")
    } else if received.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()) {
        // The work: what the conversation asks for.
        (StatusCode::OK, "received")
    } else {
        (StatusCode::OK, "already received")
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    Ok(response)
}
