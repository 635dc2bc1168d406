//! The Model Context Protocol: the operations of a client as tools for language models, and conversations as resources.
//!
//! `rmcp` implements the protocol. The server keeps no sessions, so any process can respond to any message. `message`
//! reads the tool of a call, and checks that the caller may use it, before rmcp sees the message.

mod batches;
mod elicitation;
mod events;
mod executor;
mod inbox;
mod message;
mod named;
mod questions;
mod resources;
mod server;
mod tasks;
pub mod tools;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use rmcp::RoleServer;
use rmcp::model::ProtocolVersion;
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use url::Url;

use self::elicitation::Elicitation;
use self::executor::ToolExecutor;
use self::message::Caller;
use self::server::Handler;
pub use self::tools::{NamedTool, Tool};
use crate::api::Problem;
use crate::auth::Principal;
use crate::delivery::{Inbox, Subscriptions};
use crate::login::Confirmations;
use crate::public_url::{Origin, PublicUrl};
use crate::scheduler::Scheduler;

/// The header with the name of what a message is for.
const MCP_NAME: &str = "mcp-name";

/// The server of the protocol.
pub struct McpServer {
    tools: Arc<[Arc<NamedTool>]>,
    service: StreamableHttpService<Handler, NeverSessionManager>,
}

impl McpServer {
    /// A server that offers these tools, and events. The `Host` of a request must be one of the service's own hosts or loopback,
    /// and its `Origin` one of its origins or loopback: another name means that a foreign web page uses DNS rebinding.
    #[must_use]
    pub fn new(
        scheduler: Scheduler,
        inbox: Inbox,
        subscriptions: Subscriptions,
        confirmations: Confirmations,
        public_url: &PublicUrl,
        tools: impl IntoIterator<Item = NamedTool>,
    ) -> Self {
        const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
        let hosts = public_url.hosts().map(str::to_owned);
        let origins = public_url.origins().filter_map(|origin| with_port(origin.as_str()));
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_sse_keep_alive(None)
            .with_allowed_hosts(hosts.chain(LOOPBACK.map(str::to_owned)))
            .with_allowed_origins(origins.chain(LOOPBACK.map(|host| format!("http://{host}:*"))));
        let tools: Arc<[_]> = tools.into_iter().map(Arc::new).collect();
        let website = public_url.origins().next().map(Origin::as_str);
        let elicitation = Elicitation::new(scheduler.clone(), confirmations);
        let executor = ToolExecutor::new(scheduler, inbox);
        let handler = Handler::new(executor, Arc::clone(&tools), subscriptions, elicitation, website);
        let sessions = Arc::new(NeverSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
        Self { tools, service }
    }

    /// Responds to one message of a caller.
    pub(crate) async fn respond(
        &self,
        principal: Principal,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, Problem> {
        let caller = Caller::of(principal, &body, &self.tools)?;
        self.dispatch_to_rmcp(caller, headers, body).await
    }

    async fn dispatch_to_rmcp(
        &self,
        caller: Caller,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, Problem> {
        let is_extended = caller.asks_for_capabilities;
        // Some programs leave the header out, and rmcp refuses a request without it.
        if let Some(task) = caller.task.clone() {
            headers.entry(MCP_NAME).or_insert(task);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(caller);
        let (parts, body) = self.service.handle(request).await.into_parts();
        let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
        // rmcp reports errors of the transport as a plain sentence, without a content type.
        if parts.status.as_u16() >= 400 && !parts.headers.contains_key(CONTENT_TYPE) {
            if body.starts_with(b"fail to deserialize") {
                let detail = "The body is not a JSON-RPC message of this protocol, or a string in it has an escape such as \
                              \\ud83d that is only half of a character.";
                return Err(Problem::mcp_transport(StatusCode::BAD_REQUEST, detail));
            }
            return Err(Problem::mcp_transport(parts.status, String::from_utf8_lossy(&body)));
        }
        let extended = is_extended.then(|| events::advertise(&body)).flatten();
        Ok(Response::from_parts(parts, extended.map_or(body, Bytes::from)))
    }
}

/// Whether the caller speaks the version of the protocol that has tasks and questions, or a later one.
fn speaks_2026_07_28(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// An origin with an explicit port, because rmcp would accept any port for an origin without one.
fn with_port(origin: &str) -> Option<String> {
    let url = Url::parse(origin).ok()?;
    Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
}
