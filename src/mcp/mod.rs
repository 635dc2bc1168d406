//! The Model Context Protocol: what a client can do, as tools for language models.
//!
//! `rmcp` speaks the protocol. No session is kept, so that any process can answer any message. What
//! matters for safety is read here before rmcp sees a message (`call`): which tool is called, whether
//! the caller may, and the arguments as they were written, of which rmcp would drop the duplicate ones.

mod actions;
mod call;
mod handler;
mod plain;
mod tools;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use url::Url;

use crate::answers::Problem;
use crate::auth::{Principal, PublicUrl};
use crate::scheduler::Scheduler;
use actions::Actions;
use call::{Caller, Message};
use handler::Handler;
use plain::Plain;

/// The server of the protocol.
pub struct Mcp {
    actions: Actions,
    /// The names that the service is called by.
    hosts: Vec<String>,
    service: StreamableHttpService<Handler, NeverSessionManager>,
}

impl Mcp {
    /// A server over the use cases. It answers where the service is called by its own names or those of
    /// loopback, and to a browser only on pages from there: anything else is somebody else's page that
    /// had its name point to us (DNS rebinding).
    pub fn new(scheduler: Scheduler, public_url: &PublicUrl) -> Self {
        const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
        let hosts = public_url.origins().map(|origin| origin.authority().to_owned());
        let hosts: Vec<_> = hosts.chain(LOOPBACK.map(str::to_owned)).collect();
        let origins = public_url.origins().filter_map(|origin| with_port(origin.as_str()));
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_sse_keep_alive(None)
            .with_allowed_hosts(hosts.clone())
            .with_allowed_origins(origins.chain(LOOPBACK.map(|host| format!("http://{host}:*"))));
        let actions = Actions::new(scheduler);
        let handler = Handler::new(actions.clone());
        let sessions = Arc::new(NeverSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
        Self { actions, hosts, service }
    }

    /// Answers one message of a caller.
    pub(crate) async fn answer(
        &self,
        principal: Principal,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, Problem> {
        let message = Message::read(&body)?;
        let plain = Plain::recognise(&headers, &message, &self.hosts);
        let caller = Caller::new(principal, &message)?;
        if let (Some(plain), Some(call)) = (plain, &caller.call) {
            let result = self.actions.run(&caller.principal, call).await;
            return plain.response(result).map_err(|error| Problem::internal(&error));
        }
        // Boxed: it is large, and a plain call would carry it along.
        Box::pin(self.hand_over(caller, headers, body)).await
    }

    /// Leaves a message to rmcp.
    async fn hand_over(&self, caller: Caller, headers: HeaderMap, body: Bytes) -> Result<Response<Bytes>, Problem> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(caller);
        let (parts, body) = self.service.handle(request).await.into_parts();
        let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
        // Its errors below JSON-RPC are bare sentences.
        if parts.status.as_u16() >= 400 && !parts.headers.contains_key(CONTENT_TYPE) {
            return Err(Problem::mcp_transport(parts.status, String::from_utf8_lossy(&body)));
        }
        Ok(Response::from_parts(parts, body))
    }
}

/// An origin with its port written out: rmcp takes one without for any port.
fn with_port(origin: &str) -> Option<String> {
    let url = Url::parse(origin).ok()?;
    Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
}
