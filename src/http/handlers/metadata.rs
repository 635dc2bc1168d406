//! What a client that was refused reads to find out how to log in: `protectedResource` and
//! `protectedMcpResource` (RFC 9728) lead to `oauthMetadata` (RFC 8414), and that to the token.

use serde::Serialize;
use warp::reply::Response;

use super::oauth_token;
use crate::api::Problem;
use crate::domain::Scope;
use crate::http::{RequestContext, json};
use crate::public_url::Resource;

#[derive(Serialize)]
struct ProtectedResource<'a> {
    resource: String,
    authorization_servers: [&'a str; 1],
    scopes_supported: [&'static str; 2],
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'static str,
}

#[derive(Serialize)]
struct AuthorizationServer<'a> {
    issuer: &'a str,
    /// No grant of ours uses it and there is nothing at it, but the MCP client libraries take metadata
    /// without one for none at all.
    authorization_endpoint: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: [&'static str; 2],
    grant_types_supported: [&'static str; 1],
    response_types_supported: [&'static str; 0],
    scopes_supported: [&'static str; 2],
    protected_resources: [String; 2],
}

/// `GET /.well-known/oauth-protected-resource`, or `/mcp` below it.
pub(in crate::http) fn protected_resource(context: &RequestContext, resource: Resource) -> Result<Response, Problem> {
    let origin = context.origin();
    json(&ProtectedResource {
        resource: origin.resource(resource),
        authorization_servers: [origin.as_str()],
        scopes_supported: Scope::ALL.map(Scope::as_str),
        bearer_methods_supported: ["header"],
        resource_name: env!("CARGO_PKG_NAME"),
    })
}

/// `GET /.well-known/oauth-authorization-server`.
pub(in crate::http) fn oauth_metadata(context: &RequestContext) -> Result<Response, Problem> {
    let origin = context.origin();
    json(&AuthorizationServer {
        issuer: origin.as_str(),
        authorization_endpoint: format!("{}/oauth/authorize", origin.as_str()),
        token_endpoint: format!("{}{}", origin.as_str(), oauth_token::PATH),
        token_endpoint_auth_methods_supported: oauth_token::CLIENT_AUTHENTICATION,
        grant_types_supported: oauth_token::GRANT_TYPES,
        response_types_supported: [],
        scopes_supported: Scope::ALL.map(Scope::as_str),
        protected_resources: Resource::ALL.map(|resource| origin.resource(resource)),
    })
}
