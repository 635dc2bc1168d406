//! The metadata by which a client that was refused finds out how to log in: `protectedResource` and
//! `protectedMcpResource` (RFC 9728) name the authorization server, and `oauthMetadata` (RFC 8414) describes it.

use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use super::oauth_token;
use crate::api::Problem;
use crate::domain::Scopes;
use crate::http::{RequestContext, json};
use crate::public_url::Resource;

#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct ProtectedResource<'a> {
    resource: String,
    authorization_servers: [&'a str; 1],
    scopes_supported: Vec<&'static str>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct AuthorizationServer<'a> {
    issuer: &'a str,
    /// No operation has this address, because our only grant does not use it. MCP client libraries ignore metadata
    /// without it.
    authorization_endpoint: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: [&'static str; 2],
    grant_types_supported: [&'static str; 1],
    #[schemars(with = "Vec<String>")]
    response_types_supported: [&'static str; 0],
    scopes_supported: Vec<&'static str>,
    protected_resources: [String; 2],
}

/// `protectedResource` and `protectedMcpResource`
pub(in crate::http) fn protected_resource(context: &RequestContext, resource: Resource) -> Result<Response, Problem> {
    let origin = context.origin();
    // Client libraries request everything that is listed here. No tool shows secrets, so a token of a language model's
    // client does not need the scope for them.
    let scopes = match resource {
        Resource::Api => Scopes::all(),
        Resource::Mcp => Scopes::on_conversations(),
    };
    json(&ProtectedResource {
        resource: origin.resource(resource),
        authorization_servers: [origin.as_str()],
        scopes_supported: scopes.names(),
        bearer_methods_supported: ["header"],
        resource_name: env!("CARGO_PKG_NAME"),
    })
}

/// `oauthMetadata`
pub(in crate::http) fn oauth_metadata(context: &RequestContext) -> Result<Response, Problem> {
    let origin = context.origin();
    json(&AuthorizationServer {
        issuer: origin.as_str(),
        authorization_endpoint: format!("{}/oauth/authorize", origin.as_str()),
        token_endpoint: format!("{}{}", origin.as_str(), oauth_token::PATH),
        token_endpoint_auth_methods_supported: oauth_token::CLIENT_AUTHENTICATION,
        grant_types_supported: oauth_token::GRANT_TYPES,
        response_types_supported: [],
        // Client libraries request all of them, so `operator` is not among them.
        scopes_supported: Scopes::all().names(),
        protected_resources: Resource::ALL.map(|resource| origin.resource(resource)),
    })
}
