//! `issueOauthToken`: exchanges the code of a login, a refresh token, or an API key for a token (OAuth 2.1).

use http::HeaderValue;
use http::header::PRAGMA;
use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use super::credentials::Credentials;
use super::refusal::Refusal;
use crate::api::Problem;
use crate::auth::{IssuedToken, TokenGrant};
use crate::domain::{Scopes, Secret};
use crate::http::{RequestContext, json};
use crate::json::text;
use crate::login::{Parameters, Presenter, Tokens};

/// The path of the token endpoint.
pub(in crate::http) const PATH: &str = "/oauth/token";
/// The grants that the token endpoint supports.
pub(in crate::http) const GRANT_TYPES: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];
/// The ways in which a program says who it is (RFC 7591 §2). Programs without a choice take the first one, and most
/// have no secret.
pub(in crate::http) const CLIENT_AUTHENTICATION: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];
/// The parameters that a request has once.
const ONCE: [&str; 8] =
    ["grant_type", "client_id", "client_secret", "scope", "code", "redirect_uri", "code_verifier", "refresh_token"];

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthToken")]
pub(in crate::http) struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u32,
    /// The token for the next token. Only a program that a user has let in gets one, and it can be used once.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String")]
    scope: Scopes,
}

pub(in crate::http) async fn issue_oauth_token(mut context: RequestContext) -> Result<Response, Problem> {
    let mut response = match issue(&mut context).await {
        Ok((IssuedToken { token, expires_in, scopes }, refresh)) => json(&TokenResponse {
            access_token: token.expose(),
            token_type: "Bearer",
            expires_in,
            refresh_token: refresh.as_ref().map(|token| token.expose().as_str()),
            scope: scopes,
        })?,
        Err(refusal) => refusal.into_response()?,
    };
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// A token for calls, and perhaps one for the next token.
type Issued = (IssuedToken, Option<Secret<String>>);

async fn issue(context: &mut RequestContext) -> Result<Issued, Refusal> {
    let form = read_form(context, &ONCE).await?;
    let grant_type = form.get("grant_type").ok_or_else(|| Refusal::invalid_request("grant_type is required."))?;
    if !GRANT_TYPES.contains(&grant_type) {
        return Err(Refusal::UnsupportedGrantType);
    }
    let public_url = context.services().authenticator.public_url();
    let resources = form.resources(public_url).map_err(|_| Refusal::invalid_target(public_url))?;
    let scopes = form.get("scope").map(str::parse).transpose().map_err(|_| Refusal::InvalidScope)?;
    let credentials = Credentials::read(context.headers(), &form)?;
    if grant_type == "client_credentials" {
        let grant = TokenGrant { scopes: scopes.unwrap_or(Scopes::all()), audience: resources, program: None };
        let ((client, key), services, source) = (credentials.both()?, context.services(), context.source());
        return Ok((services.authenticator.issue(&client, &key, grant, source, &*services.entropy).await?, None));
    }
    let presenter = Presenter { id: &credentials.id, secret: credentials.secret.as_ref(), source: context.source() };
    let required = |name: &str| form.get(name).ok_or_else(|| Refusal::invalid_request(format!("{name} is required.")));
    let logins = &context.services().logins;
    let tokens = if grant_type == "refresh_token" {
        logins.refresh(presenter, required("refresh_token")?, scopes, resources).await
    } else {
        let (code, verifier) = (required("code")?, required("code_verifier")?);
        logins.exchange(presenter, code, verifier, form.get("redirect_uri"), resources).await
    };
    let Tokens { access, refresh } = tokens.map_err(|error| Refusal::of(error, public_url))?;
    Ok((access, Some(refresh)))
}

/// Reads the form of a request, in which none of these parameters is given twice.
pub(super) async fn read_form(context: &mut RequestContext, once: &[&'static str]) -> Result<Parameters, Refusal> {
    const NO_FORM: &str = "The body must be application/x-www-form-urlencoded in UTF-8.";
    let body = context.form().await?.ok_or_else(|| Refusal::invalid_request(NO_FORM))?;
    let form = Parameters::parse(&body);
    match form.repeated(once) {
        Some(name) => Err(Refusal::invalid_request(format!("{name} is given twice."))),
        None => Ok(form),
    }
}

/// The form of a request for a token, for the documentation.
#[derive(JsonSchema)]
#[schemars(rename = "OauthTokenRequest")]
#[allow(dead_code)] // only its schema is used
pub(in crate::http) struct TokenForm {
    /// The grant.
    #[schemars(extend("enum" = GRANT_TYPES))]
    grant_type: String,
    /// The id of the client or of the program, unless it is sent by HTTP Basic.
    client_id: Option<String>,
    /// The API key, unless it is sent by HTTP Basic. A program that has registered itself has none.
    client_secret: Option<String>,
    /// The scopes of the token, separated by spaces, if it needs fewer than all.
    scope: Option<String>,
    /// The resource that the token is for (RFC 8707): the address of the service, or that of its /mcp.
    resource: Option<String>,
    /// For `authorization_code`: the code.
    code: Option<String>,
    /// For `authorization_code`: the verifier of PKCE (RFC 7636).
    code_verifier: Option<String>,
    /// For `authorization_code`: the `redirect_uri` of the authorization request.
    redirect_uri: Option<String>,
    /// For `refresh_token`: the refresh token.
    refresh_token: Option<String>,
}
