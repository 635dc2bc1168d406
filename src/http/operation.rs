//! One operation of the table: how it is called, who may call it, and the handler that serves it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Method;
use warp::reply::Response;

use super::context::{Invocations, RequestContext};
use crate::api::Problem;
use crate::api::openapi::{Description, Documented};
use crate::auth::Principal;
use crate::domain::{Scope, Scopes};
use crate::mcp::{NamedTool, Tool};
use crate::public_url::Resource;

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The name of its folder in `functions/`, its MCP tool and its span.
    pub name: &'static str,
    /// Its HTTP method.
    pub method: Method,
    /// Its path; a segment in braces stands for any one segment.
    pub path: &'static str,
    /// What readers of the documentation need to know of it. `None` for a function that only the Functions host invokes, and
    /// for what a service without a host serves beside.
    pub description: Option<&'static Description>,
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

    /// The scopes that a caller without a token should ask for. `None` if the operation needs no token.
    pub(super) fn scopes(&self) -> Option<Scopes> {
        match self.access {
            Access::Client { scope, .. } => Some(scope.into()),
            Access::AnyClient(_) => Some(Scopes::on_conversations()),
            Access::Anyone(_) | Access::FunctionsHost(_) => None,
        }
    }

    /// Whether only the Functions host may know that the operation exists.
    pub(super) const fn is_invocation(&self) -> bool {
        matches!(self.access, Access::FunctionsHost(_))
    }

    /// The operation in a list: method, path and name.
    pub(super) fn describe(&self) -> String {
        format!("{} {} ({})", self.method, self.path, self.name)
    }

    /// The operation for the documentation, unless only the Functions host invokes it.
    pub(super) fn documented(&self) -> Option<Documented> {
        let scope = if let Access::Client { scope, .. } = self.access { Some(scope) } else { None };
        let needs_token = matches!(self.access, Access::AnyClient(_) | Access::Client { .. });
        let Self { name, path, takes_idempotency_key, body_limit, .. } = *self;
        let (method, description) = (self.method.clone(), self.description?);
        Some(Documented { name, method, path, needs_token, scope, takes_idempotency_key, body_limit, description })
    }

    /// The operation as a tool for language models, if it is one.
    #[must_use]
    pub fn tool(&self) -> Option<NamedTool> {
        match &self.access {
            Access::Client { scope, tool: Some(tool), .. } => {
                Some(NamedTool { name: self.name, title: self.description?.summary, scope: *scope, tool: tool.clone() })
            }
            _ => None,
        }
    }
}

pub(super) fn operation(
    name: &'static str,
    method: Method,
    path: &'static str,
    description: &'static Description,
    access: Access,
) -> Operation {
    Operation { description: Some(description), ..undocumented(name, method, path, access) }
}

/// An operation that is no part of the public API: it is for those who run the service.
pub(super) const fn undocumented(name: &'static str, method: Method, path: &'static str, access: Access) -> Operation {
    let body_limit = access.body_limit();
    Operation { name, method, path, description: None, access, takes_idempotency_key: false, body_limit }
}

pub(super) const fn client(scope: Scope, handler: ClientHandler) -> Access {
    Access::Client { scope, handler, tool: None }
}

pub(super) const fn client_with_tool(scope: Scope, tool: Tool, handler: ClientHandler) -> Access {
    Access::Client { scope, handler, tool: Some(tool) }
}
