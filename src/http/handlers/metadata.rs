//! The metadata by which a client that was refused finds out how to log in: `protectedResource` and
//! `protectedMcpResource` (RFC 9728) name the authorization server, and `oauthMetadata` (RFC 8414) describes it.

use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use super::oauth::{authorize, register, revoke, token};
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
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: String,
    revocation_endpoint: String,
    response_types_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 3],
    code_challenge_methods_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    client_id_metadata_document_supported: bool,
    authorization_response_iss_parameter_supported: bool,
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
    let at = |path: &str| format!("{}{path}", origin.as_str());
    json(&AuthorizationServer {
        issuer: origin.as_str(),
        authorization_endpoint: at(authorize::PATH),
        token_endpoint: at(token::PATH),
        registration_endpoint: at(register::PATH),
        revocation_endpoint: at(revoke::PATH),
        response_types_supported: ["code"],
        grant_types_supported: token::GRANT_TYPES,
        code_challenge_methods_supported: ["S256"],
        token_endpoint_auth_methods_supported: token::CLIENT_AUTHENTICATION,
        revocation_endpoint_auth_methods_supported: ["none"],
        client_id_metadata_document_supported: true,
        authorization_response_iss_parameter_supported: true,
        // Client libraries request all of them, so `operator` is not among them.
        scopes_supported: Scopes::all().names(),
        protected_resources: Resource::ALL.map(|resource| origin.resource(resource)),
    })
}
