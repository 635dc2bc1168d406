//! The table of operations: everything that the service offers over HTTP.
//!
//! The routes, 404, 405 and `Allow`, the scope that a token needs, the MCP tools, the span of a request and the check
//! of the folders in `functions/` are derived from it.

use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Method;
use warp::reply::Response;

use super::context::{Invocations, RequestContext};
use super::handlers::{batches, conversations, health, mcp, metadata, named, oauth_token, preview_time, token};
use crate::api::Problem;
use crate::auth::Principal;
use crate::domain::Scope;
use crate::mcp::{NamedTool, Tool, tools};
use crate::public_url::Resource;

/// All operations, in the order in which `Allow` and the list of tools name them.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [
        public_operations(),
        conversation_operations(),
        query_operations(),
        named_operations(),
        batch_operations(),
        vec![mcp_operation()],
    ]
    .concat()
}

/// The operations that need no token: health checks, logins, and the metadata by which clients find the login.
fn public_operations() -> Vec<Operation> {
    use Access::Anyone;
    vec![
        get("health", "/health", Anyone(|context| Box::pin(ready(health::health(&context))))),
        get("ready", "/health/ready", Anyone(|context| Box::pin(health::ready(context)))),
        post("issueToken", "/api/auth/token", Anyone(|context| Box::pin(token::issue_token(context)))),
        post("issueOauthToken", oauth_token::PATH, Anyone(|context| Box::pin(oauth_token::issue_oauth_token(context)))),
        get(
            "oauthMetadata",
            "/.well-known/oauth-authorization-server",
            Anyone(|context| Box::pin(ready(metadata::oauth_metadata(&context)))),
        ),
        get(
            "protectedResource",
            "/.well-known/oauth-protected-resource",
            Anyone(|context| Box::pin(ready(metadata::protected_resource(&context, Resource::Api)))),
        ),
        get(
            "protectedMcpResource",
            "/.well-known/oauth-protected-resource/mcp",
            Anyone(|context| Box::pin(ready(metadata::protected_resource(&context, Resource::Mcp)))),
        ),
    ]
}

/// The operations of a client on its conversations.
fn conversation_operations() -> Vec<Operation> {
    vec![
        Operation {
            takes_idempotency_key: true,
            ..post(
                "scheduleConversation",
                "/api/scheduler/schedule",
                client_with_tool(Scope::Write, tools::SCHEDULE_CONVERSATION, |context, caller| {
                    Box::pin(conversations::schedule_conversation(context, caller))
                }),
            )
        },
        get(
            "getConversationStatus",
            "/api/scheduler/status/{id}",
            client_with_tool(Scope::Read, tools::GET_CONVERSATION_STATUS, |context, caller| {
                Box::pin(conversations::get_conversation_status(context, caller))
            }),
        ),
        patch(
            "updateConversation",
            "/api/scheduler/{id}",
            client_with_tool(Scope::Write, tools::UPDATE_CONVERSATION, |context, caller| {
                Box::pin(conversations::update_conversation(context, caller))
            }),
        ),
        delete(
            "cancelConversation",
            "/api/scheduler/{id}",
            client_with_tool(Scope::Write, tools::CANCEL_CONVERSATION, |context, caller| {
                Box::pin(conversations::cancel_conversation(context, caller))
            }),
        ),
        post(
            "redeliverConversation",
            "/api/scheduler/{id}/redeliver",
            client_with_tool(Scope::Write, tools::REDELIVER_CONVERSATION, |context, caller| {
                Box::pin(conversations::redeliver_conversation(context, caller))
            }),
        ),
        Operation {
            takes_idempotency_key: true,
            ..post(
                "runConversation",
                "/api/scheduler/{id}/run",
                client_with_tool(Scope::Write, tools::RUN_CONVERSATION, |context, caller| {
                    Box::pin(conversations::run_conversation(context, caller))
                }),
            )
        },
    ]
}

/// The operations of a client that change nothing and name no conversation.
fn query_operations() -> Vec<Operation> {
    vec![
        get(
            "listConversations",
            "/api/scheduler",
            client_with_tool(Scope::Read, tools::LIST_CONVERSATIONS, |context, caller| {
                Box::pin(conversations::list_conversations(context, caller))
            }),
        ),
        post(
            "previewTime",
            "/api/scheduler/preview",
            client_with_tool(Scope::Read, tools::PREVIEW_TIME, |context, caller| {
                Box::pin(preview_time::preview_time(context, caller))
            }),
        ),
    ]
}

/// The operations of a client on conversations with a name.
fn named_operations() -> Vec<Operation> {
    const PATH: &str = "/api/scheduler/named/{name}";
    vec![
        Operation {
            method: Method::PUT,
            ..get(
                "scheduleNamedConversation",
                PATH,
                client_with_tool(Scope::Write, tools::SCHEDULE_NAMED_CONVERSATION, |context, caller| {
                    Box::pin(named::schedule_named_conversation(context, caller))
                }),
            )
        },
        get(
            "getNamedConversation",
            PATH,
            client_with_tool(Scope::Read, tools::GET_NAMED_CONVERSATION, |context, caller| {
                Box::pin(named::get_named_conversation(context, caller))
            }),
        ),
        delete(
            "cancelNamedConversation",
            PATH,
            client_with_tool(Scope::Write, tools::CANCEL_NAMED_CONVERSATION, |context, caller| {
                Box::pin(named::cancel_named_conversation(context, caller))
            }),
        ),
    ]
}

/// The operations of a client on many conversations at once.
fn batch_operations() -> Vec<Operation> {
    vec![
        Operation {
            takes_idempotency_key: true,
            body_limit: BATCH_LIMIT,
            ..post(
                "scheduleBatch",
                "/api/scheduler/batch",
                client_with_tool(Scope::Write, tools::SCHEDULE_BATCH, |context, caller| {
                    Box::pin(batches::schedule_batch(context, caller))
                }),
            )
        },
        post(
            "cancelConversations",
            "/api/scheduler/cancel",
            client_with_tool(Scope::Write, tools::CANCEL_CONVERSATIONS, |context, caller| {
                Box::pin(batches::cancel_conversations(context, caller))
            }),
        ),
        post(
            "redeliverConversations",
            "/api/scheduler/redeliver",
            client_with_tool(Scope::Write, tools::REDELIVER_CONVERSATIONS, |context, caller| {
                Box::pin(batches::redeliver_conversations(context, caller))
            }),
        ),
    ]
}

/// The largest body of a batch, in bytes.
const BATCH_LIMIT: usize = 4 * 1024 * 1024;

/// The Model Context Protocol. Each of its tools is one of the operations above and needs the scope of that operation.
fn mcp_operation() -> Operation {
    post("mcp", Resource::Mcp.path(), Access::AnyClient(|context, caller| Box::pin(mcp::mcp(context, caller))))
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The name of its folder in `functions/`, its MCP tool and its span.
    pub name: &'static str,
    /// Its HTTP method.
    pub method: Method,
    /// Its path; a segment in braces stands for any one segment.
    pub path: &'static str,
    /// Its callers, and the handler that serves them.
    pub access: Access,
    /// Whether it reads the header `Idempotency-Key`. Other operations of clients refuse the header.
    pub takes_idempotency_key: bool,
    /// The largest body that it reads, in bytes.
    pub body_limit: usize,
}

/// The future that a handler returns.
pub type HandlerFuture = BoxFuture<'static, Result<Response, Problem>>;

/// A handler that serves authenticated clients.
pub type ClientHandler = fn(RequestContext, Principal) -> HandlerFuture;

/// The callers of an operation. A handler for clients takes the authenticated client as an argument, so it cannot be
/// reached without authentication.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody, without a token.
    Anyone(fn(RequestContext) -> HandlerFuture),
    /// Every client with a valid token. The handler itself checks scopes.
    AnyClient(ClientHandler),
    /// A client whose token has the scope.
    Client {
        /// The scope.
        scope: Scope,
        /// The handler.
        handler: ClientHandler,
        /// The same operation as a tool for language models. `None` if models are not offered the operation.
        tool: Option<Tool>,
    },
    /// The Functions host that started this process. Without a host the operation does not exist.
    FunctionsHost(fn(RequestContext, Arc<Invocations>) -> HandlerFuture),
}

impl Access {
    /// The largest body of an operation with these callers, in bytes. Everybody can send bodies to an operation without
    /// authentication, so those are small: a login fits. In a body of a client, the longest text and the longest headers
    /// fit although the client writes each byte of them as an escape of six bytes.
    const fn body_limit(&self) -> usize {
        match self {
            Self::Anyone(_) => 4 * 1024,
            Self::AnyClient(_) | Self::Client { .. } => 1280 * 1024,
            Self::FunctionsHost(_) => 256 * 1024,
        }
    }
}

impl Operation {
    /// The path without its parameters. Problems name it as their `instance`: an id in it would tell a client whether
    /// another client's conversation exists.
    #[must_use]
    pub fn instance(&self) -> &'static str {
        self.path.split("/{").next().unwrap_or(self.path)
    }

    /// The methods that it accepts. HEAD is GET without the body of the response (RFC 9110 §9.3.2); hyper leaves that
    /// body out.
    pub(super) fn methods(&self) -> impl Iterator<Item = &str> {
        let head = (self.method == Method::GET).then_some("HEAD");
        std::iter::once(self.method.as_str()).chain(head)
    }

    pub(super) fn accepts(&self, method: &Method) -> bool {
        self.methods().any(|accepted| accepted == method.as_str())
    }

    /// The part of the service that a token for this operation has to be made for.
    #[must_use]
    pub fn resource(&self) -> Resource {
        if self.path == Resource::Mcp.path() { Resource::Mcp } else { Resource::Api }
    }

    /// Whether only the Functions host may know that the operation exists.
    pub(super) const fn is_invocation(&self) -> bool {
        matches!(self.access, Access::FunctionsHost(_))
    }

    /// The operation in a list: method, path and name.
    pub(super) fn describe(&self) -> String {
        format!("{} {} ({})", self.method, self.path, self.name)
    }

    /// The operation as a tool for language models, if it is one.
    #[must_use]
    pub fn tool(&self) -> Option<NamedTool> {
        match &self.access {
            Access::Client { scope, tool: Some(tool), .. } => {
                Some(NamedTool { name: self.name, scope: *scope, tool: tool.clone() })
            }
            _ => None,
        }
    }
}

pub(super) const fn get(name: &'static str, path: &'static str, access: Access) -> Operation {
    operation(name, Method::GET, path, access)
}

pub(super) const fn post(name: &'static str, path: &'static str, access: Access) -> Operation {
    operation(name, Method::POST, path, access)
}

const fn patch(name: &'static str, path: &'static str, access: Access) -> Operation {
    operation(name, Method::PATCH, path, access)
}

const fn delete(name: &'static str, path: &'static str, access: Access) -> Operation {
    operation(name, Method::DELETE, path, access)
}

const fn operation(name: &'static str, method: Method, path: &'static str, access: Access) -> Operation {
    let body_limit = access.body_limit();
    Operation { name, method, path, access, takes_idempotency_key: false, body_limit }
}

const fn client_with_tool(scope: Scope, tool: Tool, handler: ClientHandler) -> Access {
    Access::Client { scope, handler, tool: Some(tool) }
}
