//! Logins, and the metadata by which clients find them.

use schemars::SchemaGenerator;

use super::{body, json};
use crate::api::ProblemType;
use crate::api::openapi::{Answer, Body, Description, Input, OtherAnswer, Refusal, SchemaOf, Tag};
use crate::http::handlers::metadata::{AuthorizationServer, ProtectedResource};
use crate::http::handlers::oauth_token::{ErrorResponse, TokenForm, TokenResponse as OauthToken};
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

const ERROR: SchemaOf = SchemaGenerator::subschema_for::<ErrorResponse<'_>>;

pub(in crate::http) static ISSUE_OAUTH_TOKEN: Description = Description {
    tag: Tag::Tokens,
    summary: "Exchange an API key for a token, with an OAuth library",
    details: "The client credentials grant of OAuth (RFC 6749 §4.4). The client sends its id and its key by HTTP Basic or in the \
              form. Errors about the login have the form of OAuth.",
    input: Input::Body(Body {
        media_types: &["application/x-www-form-urlencoded"],
        schema: SchemaGenerator::subschema_for::<TokenForm>,
        examples: &[(
            "inTheForm",
            r#"{ "grant_type": "client_credentials", "client_id": "local", "client_secret": "msk_local_…" }"#,
        )],
    }),
    reads_if_match: false,
    answer: json(
        "The token.",
        SchemaGenerator::subschema_for::<OauthToken<'_>>,
        r#"{ "access_token": "eyJ…", "token_type": "Bearer", "expires_in": 3600,
             "scope": "conversations:read conversations:write" }"#,
    ),
    other_answers: &[
        OtherAnswer {
            status: 400,
            details: "The login is not valid.",
            body: Refusal::Json(
                ERROR,
                r#"{ "error": "invalid_request", "error_description": "grant_type is required." }"#,
            ),
        },
        OtherAnswer {
            status: 401,
            details: "The id or the key is wrong or missing.",
            body: Refusal::Json(
                ERROR,
                r#"{ "error": "invalid_client", "error_description": "The client id or the API key is wrong or missing." }"#,
            ),
        },
        OtherAnswer {
            status: 429,
            details: "Too many logins had wrong keys.",
            body: Refusal::Json(
                ERROR,
                r#"{ "error": "invalid_client", "error_description": "Too many logins had wrong credentials." }"#,
            ),
        },
    ],
    problems: &[],
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
             "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
             "grant_types_supported": ["client_credentials"], "response_types_supported": [],
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
