//! Errors in the form of OAuth (RFC 6749 §5.2), because OAuth libraries read no other.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use tracing::Span;
use warp::reply::Response;

use super::token::GRANT_TYPES;
use crate::api::Problem;
use crate::auth::AuthError;
use crate::domain::Scopes;
use crate::http::json;
use crate::login::{GrantError, InvalidMetadata};
use crate::public_url::{PublicUrl, Resource};

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthError")]
pub(in crate::http) struct ErrorResponse<'a> {
    error: &'static str,
    error_description: &'a str,
}

/// The reason why a program or a client is refused.
pub(super) enum Refusal {
    InvalidRequest(String),
    InvalidClient,
    InvalidGrant(&'static str),
    TooManyFailures {
        retry_after: u64,
    },
    UnsupportedGrantType,
    UnsupportedTokenType,
    InvalidScope,
    InvalidTarget(String),
    InvalidMetadata(InvalidMetadata),
    /// A problem that is not one of OAuth, such as a store that cannot be reached.
    Other(Problem),
}

impl Refusal {
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::InvalidRequest(description.into())
    }

    pub(super) fn invalid_target(public_url: &PublicUrl) -> Self {
        let [api, mcp] = Resource::ALL.map(|resource| public_url.origin(None).resource(resource));
        Self::InvalidTarget(format!("The resource must be {api} or {mcp}."))
    }

    pub(super) fn of(error: GrantError, public_url: &PublicUrl) -> Self {
        match error {
            GrantError::InvalidGrant(why) => Self::InvalidGrant(why),
            GrantError::InvalidTarget => Self::invalid_target(public_url),
            GrantError::InvalidScope => Self::InvalidScope,
            GrantError::Auth(error) => error.into(),
        }
    }

    /// The code of the error and its description. The descriptions use only the characters that RFC 6749 §5.2 allows,
    /// and repeat no value of the request.
    fn explain(self) -> Result<(&'static str, String), Problem> {
        Ok(match self {
            Self::InvalidRequest(why) => ("invalid_request", why),
            Self::InvalidClient => (
                "invalid_client",
                "The client id or the API key is wrong or missing. Send both by HTTP Basic, or as client_id and client_secret."
                    .to_owned(),
            ),
            Self::InvalidGrant(why) => ("invalid_grant", why.to_owned()),
            Self::TooManyFailures { retry_after } => {
                ("invalid_client", format!("Too many logins had wrong credentials. Retry in {retry_after} seconds."))
            }
            Self::UnsupportedGrantType => {
                ("unsupported_grant_type", format!("The grant_type must be {}.", GRANT_TYPES.join(" or ")))
            }
            Self::UnsupportedTokenType => (
                "unsupported_token_type",
                "Only a refresh token can be revoked. A token for calls ends by itself, within an hour.".to_owned(),
            ),
            Self::InvalidScope => (
                "invalid_scope",
                format!(
                    "The scopes are {}. The client must have at least one of the scopes that it requests.",
                    Scopes::all()
                ),
            ),
            Self::InvalidTarget(why) => ("invalid_target", why),
            Self::InvalidMetadata(InvalidMetadata::RedirectUri(why)) => ("invalid_redirect_uri", why),
            Self::InvalidMetadata(InvalidMetadata::Other(why)) => ("invalid_client_metadata", why),
            Self::Other(problem) => return Err(problem),
        })
    }

    pub(super) fn into_response(self) -> Result<Response, Problem> {
        let (status, header) = match self {
            Self::InvalidClient => {
                let challenge = HeaderValue::from_static(r#"Basic realm="mcp-scheduler", charset="UTF-8""#);
                (StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, challenge)))
            }
            Self::TooManyFailures { retry_after } => {
                (StatusCode::TOO_MANY_REQUESTS, Some((RETRY_AFTER, HeaderValue::from(retry_after))))
            }
            _ => (StatusCode::BAD_REQUEST, None),
        };
        let (error, description) = self.explain()?;
        Span::current().record("error.type", error);
        let mut response = json(&ErrorResponse { error, error_description: &description })?;
        *response.status_mut() = status;
        response.headers_mut().extend(header);
        Ok(response)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Other(problem)
    }
}

impl From<InvalidMetadata> for Refusal {
    fn from(invalid: InvalidMetadata) -> Self {
        Self::InvalidMetadata(invalid)
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::WrongCredentials => Self::InvalidClient,
            AuthError::TooManyFailures { retry_after } => Self::TooManyFailures { retry_after },
            AuthError::NoScope => Self::InvalidScope,
            other => Self::Other(other.into()),
        }
    }
}
