//! The table of operations: everything that the service offers over HTTP.
//!
//! The routes, 404, 405 and `Allow`, the scope that a token needs, the MCP tools, the span of a request and the
//! check of the folders in `functions/` are derived from it.

use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Method;
use warp::reply::Response;

use super::context::RequestContext;
use super::functions_host::Invocations;
use super::handlers::{conversations, health, mcp, metadata, oauth_token, token};
use crate::api::Problem;
use crate::auth::Principal;
use crate::domain::Scope;
use crate::mcp::{NamedTool, Tool, tools};
use crate::public_url::Resource;

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name everywhere: the folder in `functions/`, the MCP tool, the span.
    pub name: &'static str,
    /// Its HTTP method.
    pub method: Method,
    /// Its path; a segment in braces stands for any one segment.
    pub path: &'static str,
    /// Its callers, and the handler that serves them.
    pub access: Access,
}

/// The future that a handler returns.
pub type HandlerFuture = BoxFuture<'static, Result<Response, Problem>>;

/// Who may call an operation. A handler for clients gets the proven caller, so it cannot be reached without one.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody, without a token.
    Anyone(fn(RequestContext) -> HandlerFuture),
    /// Every client with a valid token. The handler itself checks scopes.
    AnyClient(fn(RequestContext, Principal) -> HandlerFuture),
    /// A client whose token has the scope.
    Client {
        /// The scope.
        scope: Scope,
        /// The handler.
        handler: fn(RequestContext, Principal) -> HandlerFuture,
        /// The same operation as a tool for language models, if it is one.
        tool: Option<Tool>,
    },
    /// The Functions host that started this process. Without a host the operation does not exist.
    FunctionsHost(fn(RequestContext, Arc<Invocations>) -> HandlerFuture),
}

impl Operation {
    /// The path without its parameters. Problems name it as their `instance`: an id in it would tell a client
    /// whether a conversation of somebody else exists.
    #[must_use]
    pub fn instance(&self) -> &'static str {
        self.path.split("/{").next().unwrap_or(self.path)
    }

    /// The part of the service that a token for this operation has to be made for.
    #[must_use]
    pub fn resource(&self) -> Resource {
        if self.path == Resource::Mcp.path() { Resource::Mcp } else { Resource::Api }
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

/// All operations, in the order in which `Allow` and the list of tools name them.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        anyone("health", Method::GET, "/health", |_| Box::pin(ready(health::health()))),
        anyone("ready", Method::GET, "/health/ready", |context| Box::pin(health::ready(context))),
        anyone("issueToken", Method::POST, "/api/auth/token", |context| Box::pin(token::issue_token(context))),
        anyone("issueOauthToken", Method::POST, oauth_token::PATH, |context| {
            Box::pin(oauth_token::issue_oauth_token(context))
        }),
        anyone("oauthMetadata", Method::GET, "/.well-known/oauth-authorization-server", |context| {
            Box::pin(ready(metadata::oauth_metadata(&context)))
        }),
        anyone("protectedResource", Method::GET, "/.well-known/oauth-protected-resource", |context| {
            Box::pin(ready(metadata::protected_resource(&context, Resource::Api)))
        }),
        anyone("protectedMcpResource", Method::GET, "/.well-known/oauth-protected-resource/mcp", |context| {
            Box::pin(ready(metadata::protected_resource(&context, Resource::Mcp)))
        }),
        Operation {
            name: "scheduleConversation",
            method: Method::POST,
            path: "/api/scheduler/schedule",
            access: Access::Client {
                scope: Scope::Write,
                handler: |context, principal| Box::pin(conversations::schedule(context, principal)),
                tool: Some(tools::SCHEDULE_CONVERSATION),
            },
        },
        Operation {
            name: "getConversationStatus",
            method: Method::GET,
            path: "/api/scheduler/status/{id}",
            access: Access::Client {
                scope: Scope::Read,
                handler: |context, principal| Box::pin(conversations::get_status(context, principal)),
                tool: Some(tools::GET_CONVERSATION_STATUS),
            },
        },
        Operation {
            name: "cancelConversation",
            method: Method::DELETE,
            path: "/api/scheduler/{id}",
            access: Access::Client {
                scope: Scope::Write,
                handler: |context, principal| Box::pin(conversations::cancel(context, principal)),
                tool: Some(tools::CANCEL_CONVERSATION),
            },
        },
        Operation {
            name: "redeliverConversation",
            method: Method::POST,
            path: "/api/scheduler/{id}/redeliver",
            access: Access::Client {
                scope: Scope::Write,
                handler: |context, principal| Box::pin(conversations::redeliver(context, principal)),
                tool: None,
            },
        },
        Operation {
            name: "listConversations",
            method: Method::GET,
            path: "/api/scheduler",
            access: Access::Client {
                scope: Scope::Read,
                handler: |context, principal| Box::pin(conversations::list(context, principal)),
                tool: Some(tools::LIST_CONVERSATIONS),
            },
        },
        Operation {
            name: "mcp",
            method: Method::POST,
            path: Resource::Mcp.path(),
            access: Access::AnyClient(|context, principal| Box::pin(mcp::answer(context, principal))),
        },
    ]
}

fn anyone(
    name: &'static str,
    method: Method,
    path: &'static str,
    handler: fn(RequestContext) -> HandlerFuture,
) -> Operation {
    Operation { name, method, path, access: Access::Anyone(handler) }
}
