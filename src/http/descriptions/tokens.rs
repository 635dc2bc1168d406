//! The login with an API key, and the metadata by which clients find the others.

use schemars::SchemaGenerator;

use super::{body, json};
use crate::api::ProblemType;
use crate::api::openapi::{Answer, Description, Input, Tag};
use crate::http::handlers::metadata::{AuthorizationServer, ProtectedResource};
use crate::http::handlers::token::{TokenRequest, TokenResponse};

pub(in crate::http) static ISSUE_TOKEN: Description = Description {
    tag: Tag::Tokens,
    summary: "Exchange an API key for a token",
    details: "Returns a token for the header Authorization. It is valid for at most an hour.",
    input: body(
        SchemaGenerator::subschema_for::<TokenRequest>,
        &[("login", r#"{ "clientId": "local", "apiKey": "msk_local_…" }"#)],
    ),
    reads_if_match: false,
    answer: json(
        "The token.",
        SchemaGenerator::subschema_for::<TokenResponse<'_>>,
        r#"{ "token": "eyJ…", "tokenType": "Bearer", "expiresIn": 3600 }"#,
    ),
    other_answers: &[],
    problems: &[ProblemType::WrongCredentials, ProblemType::NoScope, ProblemType::TooManyFailures],
    links: &[],
};

pub(in crate::http) static OAUTH_METADATA: Description = Description {
    tag: Tag::Tokens,
    summary: "Describe the login for OAuth libraries",
    details: "The metadata of the authorization server (RFC 8414).",
    input: Input::Nothing,
    reads_if_match: false,
    answer: json(
        "The metadata.",
        SchemaGenerator::subschema_for::<AuthorizationServer<'_>>,
        r#"{ "issuer": "https://scheduler.example.com",
             "authorization_endpoint": "https://scheduler.example.com/oauth/authorize",
             "token_endpoint": "https://scheduler.example.com/oauth/token",
             "registration_endpoint": "https://scheduler.example.com/oauth/register",
             "revocation_endpoint": "https://scheduler.example.com/oauth/revoke",
             "response_types_supported": ["code"],
             "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
             "code_challenge_methods_supported": ["S256"],
             "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
             "revocation_endpoint_auth_methods_supported": ["none"],
             "client_id_metadata_document_supported": true,
             "authorization_response_iss_parameter_supported": true,
             "scopes_supported": ["conversations:read", "conversations:write", "webhooks:read"],
             "protected_resources": ["https://scheduler.example.com", "https://scheduler.example.com/mcp"] }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};

const RESOURCE: Answer = json(
    "The metadata.",
    SchemaGenerator::subschema_for::<ProtectedResource<'_>>,
    r#"{ "resource": "https://scheduler.example.com", "authorization_servers": ["https://scheduler.example.com"],
         "scopes_supported": ["conversations:read", "conversations:write"], "bearer_methods_supported": ["header"],
         "resource_name": "mcp-scheduler" }"#,
);

pub(in crate::http) static PROTECTED_RESOURCE: Description = Description {
    tag: Tag::Tokens,
    summary: "Say who issues tokens for this service",
    details: "The metadata of the protected resource (RFC 9728).",
    input: Input::Nothing,
    reads_if_match: false,
    answer: RESOURCE,
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static PROTECTED_MCP_RESOURCE: Description = Description {
    tag: Tag::Tokens,
    summary: "Say who issues tokens for the Model Context Protocol",
    details: "The metadata of the protected resource /mcp (RFC 9728).",
    input: Input::Nothing,
    reads_if_match: false,
    answer: RESOURCE,
    other_answers: &[],
    problems: &[],
    links: &[],
};
