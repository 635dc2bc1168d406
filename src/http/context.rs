//! A request on its way to a handler.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use http::header::HOST;

use super::caller::FunctionsHost;
use super::rate_limiter::RateLimiter;
use crate::api::Problem;
use crate::auth::Authenticator;
use crate::delivery::Deliverer;
use crate::domain::ConversationId;
use crate::maintenance::Sweeper;
use crate::mcp::McpServer;
use crate::public_url::Origin;
use crate::scheduler::Scheduler;
use crate::time::Entropy;

/// Everything that handlers call.
pub struct Services {
    /// The use cases of a client.
    pub scheduler: Scheduler,
    /// Authenticates clients.
    pub authenticator: Authenticator,
    /// Randomness for the ids of tokens.
    pub entropy: Arc<dyn Entropy>,
    /// The use cases as tools for language models.
    pub mcp: McpServer,
    /// Limits the requests of each client.
    pub rate_limiter: RateLimiter,
    /// The functions that the Functions host invokes; `None` when the service runs without a host.
    pub invocations: Option<Arc<Invocations>>,
}

impl Services {
    /// Whether the Functions host itself sent a request with these headers.
    pub(super) fn is_invocation(&self, headers: &HeaderMap) -> bool {
        self.invocations.as_ref().is_some_and(|invocations| invocations.host.is_caller(headers))
    }

    /// Remembers that the Functions host is there.
    pub(super) fn note_call(&self) {
        if let Some(invocations) = &self.invocations {
            invocations.host.note_call();
        }
    }
}

/// The services that the invocations call.
pub struct Invocations {
    /// Serves `deliverConversation`.
    pub deliverer: Arc<Deliverer>,
    /// Serves `sweepDueConversations`.
    pub sweeper: Sweeper,
    /// The only caller of these functions.
    pub host: FunctionsHost,
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A request on its way to a handler.
pub struct RequestContext {
    services: Arc<Services>,
    peer: Option<Peer>,
    parameter: String,
    query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: BodyStream,
}

pub(super) type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

impl RequestContext {
    /// A request. The parameter of its path and its query string are empty if it has none.
    pub(super) const fn new(
        services: Arc<Services>,
        peer: Option<Peer>,
        parameter: String,
        query: String,
        headers: HeaderMap,
        body: BodyStream,
    ) -> Self {
        Self { services, peer, parameter, query, headers, body }
    }

    /// The services that the handler calls.
    #[must_use]
    pub const fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The request's headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The host name by which the client called the service. A proxying Functions host replaces the `Host` header.
    pub(super) fn client_host(&self) -> Option<&str> {
        match &self.services.invocations {
            Some(invocations) => invocations.host.client_host(&self.headers),
            None => self.headers.get(HOST).and_then(|host| host.to_str().ok()),
        }
    }

    /// The origin that the request was sent to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.services.authenticator.public_url().origin(self.client_host())
    }

    /// The query string; empty without one.
    pub(super) fn query(&self) -> &str {
        &self.query
    }

    /// The address that the request came from.
    pub(super) fn source(&self) -> IpAddr {
        self.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
    }

    /// The conversation that the path names. A malformed id gets the same problem as an unknown one.
    pub(super) fn conversation_id(&self) -> Result<ConversationId, Problem> {
        self.parameter.parse().map_err(|_| Problem::no_such_conversation())
    }
}
