//! The internet of a test: documents that programs publish, served on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::app::GuardedFetcher;
use mcp_scheduler::auth::DocumentFetcher;
use mcp_scheduler::domain::EndpointPolicy;
use mcp_scheduler::outbound::HttpSender;
use tokio::net::TcpListener;

use super::installed::ROOT;
use super::outbound::network::ScriptedNetwork;
use super::outbound::tls::Authority;

/// Reads the documents in tests/mcp-clients/documents, each at its address, as the service reads documents. The names
/// have a public address, whose connections lead to a server on this machine. Only its certificates are trusted.
pub async fn documents() -> Arc<dyn DocumentFetcher> {
    let names: Vec<_> = fs::read_dir(folder()).unwrap().map(|host| host.unwrap().file_name()).collect();
    let names: Vec<_> = names.iter().map(|name| name.to_str().unwrap()).collect();
    let (authority, listener) = (Authority::new(), TcpListener::bind(("127.0.0.1", 0)).await.unwrap());
    let network = ScriptedNetwork::leading_to(listener.local_addr().unwrap());
    let network = names.iter().fold(network, |network, name| network.name(name, &[&["198.41.0.4"]]));
    let acceptor = authority.acceptor(&names);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
                let _ = http1::Builder::new().serve_connection(stream, service_fn(document)).await;
            });
        }
    });
    let sender = HttpSender::over(Arc::new(network), EndpointPolicy::default(), authority.roots()).unwrap();
    Arc::new(GuardedFetcher(Arc::new(sender)))
}

fn folder() -> PathBuf {
    Path::new(ROOT).join("tests/mcp-clients/documents")
}

/// The file whose path is the host and the path of the request.
async fn document(request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
    let host = request.headers()[HOST].to_str().unwrap();
    let read = fs::read(folder().join(host).join(request.uri().path().trim_start_matches('/')));
    let status = if read.is_ok() { 200 } else { 404 };
    Response::builder().status(status).body(Full::new(read.unwrap_or_default().into()))
}
