//! A request on its way to a handler.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use http::header::HOST;
use tokio_util::sync::CancellationToken;

use super::budget::{Owner, Share};
use super::caller::FunctionsHost;
use super::connection::Connection;
use super::rate_limiter::RateLimiter;
use crate::api::{ErrorDetail, IDEMPOTENCY_KEY, Problem, log_conversation, read_key, several_keys};
use crate::auth::{Authenticator, ClientAdmin, Principal, Source};
use crate::backup::Backup;
use crate::current::Current;
use crate::delivery::{Inbox, Signer, WakeUpHandler};
use crate::dev::Dev;
use crate::domain::{ClientId, ConversationId, Sha256, TraceContext};
use crate::login::Logins;
use crate::maintenance::Checkup;
use crate::mcp::McpServer;
use crate::public_url::Origin;
use crate::scheduler::Scheduler;
use crate::time::Entropy;

/// Everything that handlers call.
pub struct Services {
    /// The use cases of a client.
    pub scheduler: Scheduler,
    /// Hands out the conversations of inboxes.
    pub inbox: Inbox,
    /// Authenticates clients.
    pub authenticator: Arc<Authenticator>,
    /// The logins of users in a browser.
    pub logins: Logins,
    /// The use cases of an operator on clients.
    pub clients: ClientAdmin,
    /// Exports and imports the whole store.
    pub backup: Backup,
    /// Randomness for the ids of tokens.
    pub entropy: Arc<dyn Entropy>,
    /// The use cases as tools for language models.
    pub mcp: McpServer,
    /// The keys that sign deliveries.
    pub signer: Arc<Signer>,
    /// The client of the settings or of the first start.
    pub first_client: Current<ClientId>,
    /// Limits the requests of each client.
    pub rate_limiter: RateLimiter,
    /// Handles wake-ups and looks at the sweeps; `None` for a store of this process alone, which has neither.
    pub wake_ups: Option<Arc<WakeUpHandler>>,
    /// Examines the store and the queue.
    pub checkup: Checkup,
    /// The functions that the Functions host invokes; `None` when the service runs without a host.
    pub invocations: Option<Arc<Invocations>>,
    /// The clock that can be turned, and the inbox; only `mcp-scheduler dev` has them.
    pub dev: Option<Arc<Dev>>,
}

impl Services {
    /// Whether the Functions host itself sent a request with these headers.
    pub(super) fn is_invocation(&self, headers: &HeaderMap) -> bool {
        self.invocations.as_ref().is_some_and(|invocations| invocations.host.is_caller(headers))
    }

    /// Whoever calls keeps the service going: this remembers that the Functions host is there, and looks whether the
    /// sweeps keep up.
    pub(super) fn note_call(&self) {
        if let Some(invocations) = &self.invocations {
            invocations.host.note_call();
        }
        if let Some(wake_ups) = &self.wake_ups {
            wake_ups.look();
        }
    }
}

/// The services that the invocations call.
pub struct Invocations {
    /// Serves `deliverDueConversations` and `sweepDueConversations`.
    pub wake_ups: Arc<WakeUpHandler>,
    /// The only caller of these functions.
    pub host: Arc<FunctionsHost>,
}

/// A request on its way to a handler.
pub struct RequestContext {
    services: Arc<Services>,
    connection: Option<Connection>,
    trace: Option<TraceContext>,
    /// The caller that the memory of the body counts for.
    body_owner: Owner,
    /// The largest body that the operation reads, in bytes.
    pub(super) body_limit: usize,
    parameter: String,
    query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: BodyStream,
}

pub(super) type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// A request as it arrived.
pub(super) struct Arrived {
    /// None if no server has accepted the request.
    pub(super) connection: Option<Connection>,
    /// None if the request is not traced.
    pub(super) trace: Option<TraceContext>,
    /// Empty without one.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: BodyStream,
}

impl RequestContext {
    /// A request for an operation with this limit on its body. The parameter of its path is empty if it has none.
    pub(super) fn new(services: Arc<Services>, parameter: String, body_limit: usize, arrived: Arrived) -> Self {
        let Arrived { connection, trace, query, headers, body } = arrived;
        let body_owner = Owner::anonymous(source(connection.as_ref(), &headers));
        Self { services, connection, trace, body_owner, body_limit, parameter, query, headers, body }
    }

    /// Counts the connection, and the memory of the body, for the client that has authenticated.
    pub(super) fn belongs_to(&mut self, caller: &Principal) {
        if let Some(connection) = &self.connection {
            connection.belongs_to(caller.client());
        }
        self.body_owner = Owner::Client(caller.client().clone());
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

    /// The place of the request in a trace, if it is traced.
    pub(super) const fn trace(&self) -> Option<TraceContext> {
        self.trace
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

    /// The source that the request came from.
    pub(super) fn source(&self) -> Source {
        source(self.connection.as_ref(), &self.headers)
    }

    /// The body, and the function that takes memory for a part of it.
    pub(super) fn body_and_memory(
        &mut self,
        gives_way: CancellationToken,
    ) -> (&mut BodyStream, impl FnOnce(usize) -> Option<Share>) {
        let (connection, owner) = (self.connection.as_ref(), self.body_owner.clone());
        let take = move |bytes| connection.map(|connection| connection.body_share(owner, bytes, gives_way));
        (&mut self.body, take)
    }

    /// The idempotency key of the request, if it has one.
    pub(super) fn idempotency_key(&self) -> Option<Result<Sha256, ErrorDetail>> {
        let mut keys = self.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = keys.next()?;
        Some(if keys.next().is_some() { Err(several_keys()) } else { read_key(IDEMPOTENCY_KEY, key.as_bytes()) })
    }

    /// The value of the parameter in the path; empty without one.
    pub(super) fn parameter(&self) -> &str {
        &self.parameter
    }

    /// The conversation that the path names. A malformed id gets the same problem as an unknown one.
    pub(super) fn conversation_id(&self) -> Result<ConversationId, Problem> {
        let id = self.parameter.parse().map_err(|_| Problem::no_such_conversation())?;
        log_conversation(id);
        Ok(id)
    }
}

fn source(connection: Option<&Connection>, headers: &HeaderMap) -> Source {
    connection.map_or_else(|| IpAddr::V4(Ipv4Addr::UNSPECIFIED).into(), |connection| connection.source(headers))
}
