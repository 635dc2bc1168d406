//! `issueOauthToken`: exchanges an API key for a token by the client credentials grant of OAuth (RFC 6749 §4.4), for a
//! resource if the client names one (RFC 8707).
//!
//! Errors have the form of OAuth (RFC 6749 §5.2), because OAuth libraries read no other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::Span;
use url::form_urlencoded;
use warp::reply::Response;

use crate::api::Problem;
use crate::auth::{AuthError, IssuedToken, TokenGrant};
use crate::domain::{Scopes, Secret};
use crate::http::{RequestContext, json};
use crate::json::text;
use crate::public_url::{PublicUrl, Resource};

/// The path of the token endpoint.
pub(in crate::http) const PATH: &str = "/oauth/token";
/// The grants that the token endpoint supports.
pub(in crate::http) const GRANT_TYPES: [&str; 1] = ["client_credentials"];
/// The ways in which a client may send its API key (RFC 7591 §2).
pub(in crate::http) const CLIENT_AUTHENTICATION: [&str; 2] = ["client_secret_basic", "client_secret_post"];

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthToken")]
pub(in crate::http) struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String")]
    scope: Scopes,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthError")]
pub(in crate::http) struct ErrorResponse<'a> {
    error: &'static str,
    error_description: &'a str,
}

pub(in crate::http) async fn issue_oauth_token(mut context: RequestContext) -> Result<Response, Problem> {
    let mut response = match issue(&mut context).await {
        Ok(IssuedToken { token, expires_in, scopes }) => {
            json(&TokenResponse { access_token: token.expose(), token_type: "Bearer", expires_in, scope: scopes })?
        }
        Err(refusal) => refusal.into_response()?,
    };
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

async fn issue(context: &mut RequestContext) -> Result<IssuedToken, Refusal> {
    const NO_FORM: &str = "The body must be application/x-www-form-urlencoded in UTF-8.";
    let body = context.form().await?.ok_or_else(|| Refusal::invalid_request(NO_FORM))?;
    let form = Form::parse(&body)?;
    let grant = form.grant(context.services().authenticator.public_url())?;
    let (client, key) = form.credentials(context.headers())?;
    let (source, services) = (context.source(), context.services());
    Ok(services.authenticator.issue(&client, &key, grant, source, &*services.entropy).await?)
}

/// The form of a login, for the documentation. [`Form`] reads it.
#[derive(JsonSchema)]
#[schemars(rename = "OauthTokenRequest")]
#[allow(dead_code)] // only its schema is used
pub(in crate::http) struct TokenForm {
    /// The grant.
    #[schemars(extend("enum" = GRANT_TYPES))]
    grant_type: String,
    /// The id of the client, unless it is sent by HTTP Basic.
    client_id: Option<String>,
    /// The API key, unless it is sent by HTTP Basic.
    client_secret: Option<String>,
    /// The scopes of the token, separated by spaces, if it needs fewer than all.
    scope: Option<String>,
    /// The resource that the token is for (RFC 8707): the address of the service, or that of its /mcp.
    resource: Option<String>,
}

/// The parameters of a request. Parameters without a value and unknown parameters are ignored (RFC 6749 §3.2).
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
    resources: Vec<String>,
}

impl Form {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty()) {
            let parameter = match &*name {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "scope" => &mut form.scope,
                "resource" => {
                    form.resources.push(value.into_owned());
                    continue;
                }
                _ => continue,
            };
            if parameter.replace(value.into_owned()).is_some() {
                return Err(Refusal::invalid_request(format!("{name} is given twice.")));
            }
        }
        Ok(form)
    }

    fn grant(&self, public_url: &PublicUrl) -> Result<TokenGrant, Refusal> {
        let grant_type = self.grant_type.as_deref();
        let grant_type = grant_type.ok_or_else(|| Refusal::invalid_request("grant_type is required."))?;
        if !GRANT_TYPES.contains(&grant_type) {
            return Err(Refusal::UnsupportedGrantType);
        }
        let scopes = self.scope.as_deref().map_or(Ok(Scopes::all()), str::parse);
        let mut audience = Vec::new();
        for identifier in &self.resources {
            let (origin, resource) = public_url.find(identifier).ok_or_else(|| Refusal::invalid_target(public_url))?;
            let identifier = origin.resource(resource);
            if !audience.contains(&identifier) {
                audience.push(identifier);
            }
        }
        Ok(TokenGrant { scopes: scopes.map_err(|_| Refusal::InvalidScope)?, audience })
    }

    /// The client's id and key: from the `Authorization` header or from the form, not from both.
    fn credentials(self, headers: &HeaderMap) -> Result<(String, Secret<String>), Refusal> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            let shown = self.client_id.zip(self.client_secret.map(Secret::new));
            return shown.ok_or(Refusal::InvalidClient);
        };
        if values.next().is_some() || self.client_secret.is_some() {
            return Err(Refusal::invalid_request(
                "Send the API key once: by HTTP Basic or as client_secret, not both.",
            ));
        }
        let (client, key) = value.to_str().ok().and_then(basic).ok_or(Refusal::InvalidClient)?;
        match self.client_id {
            Some(other) if other != client => {
                Err(Refusal::invalid_request("client_id must be the user name of HTTP Basic, or be left out."))
            }
            _ => Ok((client, key)),
        }
    }
}

/// Reads HTTP Basic in the form of OAuth, where id and key are percent-encoded first (RFC 6749 §2.3.1).
///
/// A `+` stands for itself and not for a space, because no key contains a space. Therefore a key without a `%` is also
/// read correctly from a library that leaves out the encoding.
fn basic(authorization: &str) -> Option<(String, Secret<String>)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (client, key) = text.split_once(':')?;
    let decoded = |part| Some(percent_decode_str(part).decode_utf8().ok()?.into_owned());
    Some((decoded(client)?, Secret::new(decoded(key)?)))
}

/// The reason why no token is issued.
enum Refusal {
    InvalidRequest(String),
    InvalidClient,
    TooManyFailures {
        retry_after: u64,
    },
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget(String),
    /// A problem that is not one of OAuth, such as a store that cannot be reached.
    Other(Problem),
}

impl Refusal {
    fn invalid_request(description: impl Into<String>) -> Self {
        Self::InvalidRequest(description.into())
    }

    fn invalid_target(public_url: &PublicUrl) -> Self {
        let [api, mcp] = Resource::ALL.map(|resource| public_url.origin(None).resource(resource));
        Self::InvalidTarget(format!("The resource must be {api} or {mcp}."))
    }

    /// The descriptions use only the characters that RFC 6749 §5.2 allows, and repeat no value of the request.
    fn into_response(self) -> Result<Response, Problem> {
        let challenge = (WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="mcp-scheduler", charset="UTF-8""#));
        let wait = |seconds: u64| (RETRY_AFTER, HeaderValue::from(seconds));
        let (status, header, error, description) = match self {
            Self::InvalidRequest(why) => (StatusCode::BAD_REQUEST, None, "invalid_request", why),
            Self::InvalidClient => {
                let why = "The client id or the API key is wrong or missing. Send both by HTTP Basic, or as client_id and client_secret.";
                (StatusCode::UNAUTHORIZED, Some(challenge), "invalid_client", why.to_owned())
            }
            Self::TooManyFailures { retry_after } => {
                let why = format!("Too many logins had wrong credentials. Retry in {retry_after} seconds.");
                (StatusCode::TOO_MANY_REQUESTS, Some(wait(retry_after)), "invalid_client", why)
            }
            Self::UnsupportedGrantType => {
                let why = format!("The grant_type must be {}.", GRANT_TYPES.join(" or "));
                (StatusCode::BAD_REQUEST, None, "unsupported_grant_type", why)
            }
            Self::InvalidScope => {
                let why = format!(
                    "The scopes are {}. The client must have at least one of the scopes that it requests.",
                    Scopes::all()
                );
                (StatusCode::BAD_REQUEST, None, "invalid_scope", why)
            }
            Self::InvalidTarget(why) => (StatusCode::BAD_REQUEST, None, "invalid_target", why),
            Self::Other(problem) => return Err(problem),
        };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: impl AsRef<[u8]>) -> Option<(String, String)> {
        let (client, key) = basic(&format!("Basic {}", STANDARD.encode(text)))?;
        Some((client, key.expose().clone()))
    }

    #[test]
    fn basic_credentials_are_decoded_twice() {
        for (text, client, key) in [
            ("a:b", "a", "b"),
            ("a:b:c", "a", "b:c"),
            ("a:", "a", ""),
            (":b", "", "b"),
            ("a%3Ab:c%25%2B%3d%2f", "a:b", "c%+=/"),
            ("a:raw+base64/=", "a", "raw+base64/="),
            ("a:50%", "a", "50%"),
            ("a:%zz", "a", "%zz"),
            ("a:%C3%A9", "a", "é"),
            ("a:é", "a", "é"),
        ] {
            assert_eq!(decoded(text), Some((client.to_owned(), key.to_owned())), "{text}");
        }
        for bad in [&b"ab"[..], b"", b"a:\xff", b"a:%ff", b"a%3Ab"] {
            assert_eq!(decoded(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_id_and_key_is_read_encoded_or_not(client in "[A-Za-z0-9._-]{1,64}", key in "[!-~]{16,256}") {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let arrived = Some((client.clone(), key.clone()));
            prop_assert_eq!(decoded(format!("{}:{}", encoded(&client), encoded(&key))), arrived.clone());
            if !key.contains('%') {
                prop_assert_eq!(decoded(format!("{client}:{key}")), arrived);
            }
        }

        #[test]
        fn no_input_panics(value in "\\PC*") {
            let _ = basic(&value);
            let _ = basic(&format!("Basic {value}"));
            let _ = Form::parse(value.as_bytes());
        }
    }

    #[test]
    fn only_the_basic_scheme_with_base64_is_read() {
        for good in ["Basic YTpi", "basic YTpi", "BASIC  YTpi "] {
            assert!(basic(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic YTpi YTpi",
            "Basic YTp",
            "Basic Y-_i",
            "Bearer YTpi",
            "BasicYTpi",
            "Basic\tYTpi",
        ] {
            assert!(basic(bad).is_none(), "{bad}");
        }
    }
}
