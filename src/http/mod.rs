//! The HTTP API: which request reaches which handler.
//!
//! Filters only match method and path and collect what the handler needs; whatever can fail happens
//! in the handler, so no rejection is ever an answer. A handler authenticates, reads its request,
//! calls the scheduler and writes the answer. `problem` is the one place where errors become
//! responses, `server` the one that knows connections.

mod auth;
mod body;
mod conversations;
mod health;
mod invocation;
mod mcp;
mod metadata;
mod oauth;
mod own_wakes;
mod server;

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

pub use invocation::{INVOCATIONS, Invocations, MAX_DEQUEUE_COUNT};
pub use server::{Server, ServerOptions};

use crate::answers::Problem;
use crate::auth::{AuthError, Authenticator, Origin, Principal, Resource};
use crate::clock::Entropy;
use crate::domain::Scope;
use crate::mcp::Mcp;
use crate::scheduler::Scheduler;

/// What the handlers work with.
pub struct Api {
    /// The use cases.
    pub scheduler: Scheduler,
    /// Who may call.
    pub authenticator: Authenticator,
    /// For the ids of tokens.
    pub entropy: Arc<dyn Entropy>,
    /// The use cases, for language models.
    pub mcp: Mcp,
}

/// An operation of the API: its name, which is also its handler's, and where it is found.
#[derive(Clone, Debug)]
pub struct Route {
    /// The operation.
    pub operation: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path; `{id}` stands for one segment.
    pub path: &'static str,
}

/// Every operation there is. What is not here is 404, or 405 if only the method is wrong.
pub const ROUTES: [Route; 13] = [
    Route { operation: "health", method: Method::GET, path: "/health" },
    Route { operation: "ready", method: Method::GET, path: "/health/ready" },
    Route { operation: "issueToken", method: Method::POST, path: "/api/auth/token" },
    Route { operation: "issueOauthToken", method: Method::POST, path: oauth::PATH },
    Route { operation: "oauthMetadata", method: Method::GET, path: "/.well-known/oauth-authorization-server" },
    Route { operation: "protectedResource", method: Method::GET, path: "/.well-known/oauth-protected-resource" },
    Route { operation: "protectedMcpResource", method: Method::GET, path: "/.well-known/oauth-protected-resource/mcp" },
    Route { operation: "scheduleConversation", method: Method::POST, path: "/api/scheduler/schedule" },
    Route { operation: "getConversationStatus", method: Method::GET, path: "/api/scheduler/status/{id}" },
    Route { operation: "cancelConversation", method: Method::DELETE, path: "/api/scheduler/{id}" },
    Route { operation: "redeliverConversation", method: Method::POST, path: "/api/scheduler/{id}/redeliver" },
    Route { operation: "listConversations", method: Method::GET, path: "/api/scheduler" },
    Route { operation: "mcp", method: Method::POST, path: "/mcp" },
];

/// The address a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A request on its way to a handler.
struct Call {
    api: Arc<Api>,
    peer: Option<Peer>,
    headers: HeaderMap,
    body: BodyStream,
}

type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

impl Call {
    /// Who is calling.
    fn authenticate(&self) -> impl Future<Output = Result<Principal, AuthError>> + Send + '_ {
        // The body is not part of this future: it cannot be shared.
        let (api, headers) = (&self.api, &self.headers);
        async move {
            let values: Vec<_> = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect();
            api.authenticator.authenticate(&values).await
        }
    }

    /// Who is calling, and may do this kind of operation.
    fn authorize(&self, scope: Scope) -> impl Future<Output = Result<Principal, Problem>> + Send + '_ {
        let (api, headers, caller) = (&self.api, &self.headers, self.authenticate());
        async move {
            let authorized = caller.await.and_then(|principal| principal.require(scope).map(|()| principal));
            authorized.map_err(|error| refuse(api, headers, error))
        }
    }

    /// Why the caller is not let in, and where it finds out how to be.
    fn refuse(&self, error: AuthError) -> Problem {
        refuse(&self.api, &self.headers, error)
    }

    /// The name of the service that the request was sent to.
    fn origin(&self) -> &Origin {
        origin(&self.api, &self.headers)
    }

    /// The address the request came from.
    fn source(&self) -> IpAddr {
        self.peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
    }
}

fn refuse(api: &Api, headers: &HeaderMap, error: AuthError) -> Problem {
    Problem::from(error).resource_metadata(&origin(api, headers).resource_metadata(Resource::Api))
}

fn origin<'a>(api: &'a Api, headers: &HeaderMap) -> &'a Origin {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    api.authenticator.public_url().origin(host)
}

/// All routes, with an answer for everything. Invocations are served to the Functions host only.
pub fn routes(api: Arc<Api>, invocations: Option<Invocations>) -> BoxedFilter<(Response,)> {
    let call = warp::any()
        .map(move || Arc::clone(&api))
        .and(warp::ext::optional::<Peer>())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .map(|api, peer, headers, body| Call { api, peer, headers, body: boxed(body) })
        .boxed();
    let mut known = ROUTES.to_vec();
    let mut answered = operations(call.clone());
    if let Some(invocations) = invocations {
        known.extend(INVOCATIONS);
        answered = invocation::filter(Arc::new(invocations), call).or(answered).unify().boxed();
    }
    // The framework takes a path with a slash at its end for the same path; nobody else does.
    let exact = warp::path::full()
        .and_then(async |path: warp::path::FullPath| match path.as_str() {
            "/" => Ok(()),
            path if path.ends_with('/') => Err(warp::reject::not_found()),
            _ => Ok(()),
        })
        .untuple_one();
    let nothing = warp::method().and(warp::path::full()).map(move |method: Method, path: warp::path::FullPath| {
        not_routed(&known, &method, path.as_str()).into_response()
    });
    exact.and(answered).or(nothing).unify().boxed()
}

/// The routes of [`ROUTES`].
fn operations(call: BoxedFilter<(Call,)>) -> BoxedFilter<(Response,)> {
    let schedule = warp::path!("api" / "scheduler" / "schedule")
        .and(warp::post())
        .and(call.clone())
        .then(|call| async { respond(conversations::schedule_conversation(call).await) });
    let status = warp::path!("api" / "scheduler" / "status" / String)
        .and(warp::get())
        .and(call.clone())
        .then(|id, call| async { respond(conversations::get_conversation_status(id, call).await) });
    let cancel = warp::path!("api" / "scheduler" / Segment)
        .and(warp::delete())
        .and(call.clone())
        .then(|id: Segment, call| async { respond(conversations::cancel_conversation(id.0, call).await) });
    let redeliver = warp::path!("api" / "scheduler" / Segment / "redeliver")
        .and(warp::post())
        .and(call.clone())
        .then(|id: Segment, call| async { respond(conversations::redeliver_conversation(id.0, call).await) });
    let list = warp::path!("api" / "scheduler")
        .and(warp::get())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(call.clone())
        .then(|query: String, call| async move { respond(conversations::list_conversations(&query, call).await) });
    let health = warp::path!("health").and(warp::get()).map(|| health::health().into_response());
    let ready = warp::path!("health" / "ready")
        .and(warp::get())
        .and(call.clone())
        .then(|call| async { respond(health::ready(call).await) });
    let mcp =
        warp::path!("mcp").and(warp::post()).and(call.clone()).then(|call| async { respond(mcp::mcp(call).await) });
    let conversations = schedule.or(status).unify().or(cancel).unify().or(redeliver).unify().or(list).unify().boxed();
    let health = health.or(ready).unify().boxed();
    mcp.or(conversations).unify().or(tokens(call)).unify().or(health).unify().boxed()
}

/// Those of [`ROUTES`] that lead to a token.
fn tokens(call: BoxedFilter<(Call,)>) -> BoxedFilter<(Response,)> {
    let token = warp::path!("api" / "auth" / "token")
        .and(warp::post())
        .and(call.clone())
        .then(|call| async { respond(auth::issue_token(call).await) });
    let oauth_token = warp::path!("oauth" / "token")
        .and(warp::post())
        .and(call.clone())
        .then(|call| async { respond(oauth::issue_oauth_token(call).await) });
    let server = warp::path!(".well-known" / "oauth-authorization-server")
        .and(warp::get())
        .and(call.clone())
        .map(|call| respond(metadata::oauth_metadata(&call)));
    let resource = warp::path!(".well-known" / "oauth-protected-resource")
        .and(warp::get())
        .and(call.clone())
        .map(|call| respond(metadata::protected_resource(&call, Resource::Api)));
    let mcp_resource = warp::path!(".well-known" / "oauth-protected-resource" / "mcp")
        .and(warp::get())
        .and(call)
        .map(|call| respond(metadata::protected_resource(&call, Resource::Mcp)));
    let metadata = server.or(resource).unify().or(mcp_resource).unify().boxed();
    token.or(oauth_token).unify().or(metadata).unify().boxed()
}

fn boxed<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>> + Send + 'static) -> BodyStream {
    Box::pin(body.map(|part| part.map(|mut buffer| buffer.copy_to_bytes(buffer.remaining()))))
}

fn respond(result: Result<Response, Problem>) -> Response {
    result.unwrap_or_else(Reply::into_response)
}

/// 404, or 405 with the methods that the path has.
fn not_routed(known: &[Route], method: &Method, path: &str) -> Problem {
    let allowed: Vec<_> = known.iter().filter(|route| matches(route.path, path)).map(|r| r.method.as_str()).collect();
    if allowed.is_empty() { Problem::no_such_path() } else { Problem::method_not_allowed(method, &allowed.join(", ")) }
}

/// A segment that stands for an `{id}`: one that some template spells out never does.
struct Segment(String);

impl FromStr for Segment {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if matches!(text, "schedule" | "status") { Err(()) } else { Ok(Self(text.to_owned())) }
    }
}

/// Whether a path is one of a template's.
fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("{id}"), Some(segment)) if !segment.is_empty() && segment.parse::<Segment>().is_ok() => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

impl Reply for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(serde_json::to_vec(&self).unwrap_or_default().into());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name.clone(), value);
            }
        }
        response
    }
}

/// A `2xx` answer with a JSON body.
fn json<T: serde::Serialize>(body: &T) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body).map_err(|e| Problem::internal(&e))?;
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
