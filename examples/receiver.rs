//! A receiver of deliveries: cargo add standardwebhooks axum, and tokio with full.
//! `WEBHOOK_SECRET=whsec_… PORT=8080 cargo run`

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::any;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

struct Receiver {
    webhook: Webhook,
    /// A restart loses this set. In production, write the id to a table, in one transaction with the work.
    received: Mutex<HashSet<String>>,
}

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
    let receiver = Arc::new(Receiver { webhook, received: Mutex::default() });
    Ok(axum::serve(listener, Router::new().route("/", any(receive)).with_state(receiver)).await?)
}

/// `Bytes` is the body as it arrived: the extractor `Json` would have parsed it.
async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
    if receiver.webhook.verify(&body, &headers).is_err() {
        return (StatusCode::UNAUTHORIZED, "not signed with our secret, or too old");
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    if receiver.received.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()) {
        // The work: what the conversation asks for.
        (StatusCode::OK, "received")
    } else {
        (StatusCode::OK, "already received")
    }
}
