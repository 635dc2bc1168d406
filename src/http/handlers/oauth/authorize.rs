//! `authorize` and `submitAuthorization`: the page on which a user lets a program in, and the user's answer.

use http::header::{LOCATION, ORIGIN, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use warp::reply::Response;

use super::{page, sign_in};
use crate::api::Problem;
use crate::domain::{Scope, Secret};
use crate::http::RequestContext;
use crate::login::{Decided, Decision, Parameters, Refused};

/// The path of the authorization endpoint.
pub(in crate::http) const PATH: &str = "/oauth/authorize";

/// The query of an authorization request, for the documentation.
#[derive(JsonSchema)]
#[schemars(rename = "OauthAuthorization")]
#[allow(dead_code)] // only its schema is used
pub(in crate::http) struct AuthorizationQuery {
    /// The id of the program.
    client_id: Option<String>,
    /// The address to which the browser returns. The program has registered it.
    redirect_uri: Option<String>,
    /// It is code.
    response_type: Option<String>,
    /// A text that returns with the answer.
    state: Option<String>,
    /// The challenge of PKCE (RFC 7636).
    code_challenge: Option<String>,
    /// It is S256.
    code_challenge_method: Option<String>,
    /// The scopes, separated by spaces.
    scope: Option<String>,
    /// The resource that the token will be for (RFC 8707). Without it, /mcp.
    resource: Option<String>,
}

/// The form of the page, for the documentation.
#[derive(JsonSchema)]
#[schemars(rename = "OauthDecision")]
#[allow(dead_code)] // only its schema is used
pub(in crate::http) struct DecisionForm {
    /// The sealed request of the page.
    request: String,
    /// `allow`, `deny`, or `sign_in`: the user signs in at the issuer that the page names.
    decision: String,
    /// The id of the client.
    client_id: Option<String>,
    /// Its API key.
    api_key: Option<String>,
    /// A scope that the program gets. For several, it is repeated.
    scope: Option<String>,
}

/// `authorize`
pub(in crate::http) async fn authorize(context: RequestContext) -> Result<Response, Problem> {
    let parameters = Parameters::parse(context.query().as_bytes());
    match context.services().logins.begin(&parameters, context.origin()).await {
        Ok(consent) => Ok(page::consent(&consent, None)),
        Err(refused) => stop(refused),
    }
}

/// `submitAuthorization`
pub(in crate::http) async fn submit_authorization(mut context: RequestContext) -> Result<Response, Problem> {
    const ELSEWHERE: &str = "The answer does not come from the page of this service.";
    if !is_from_here(&context) {
        return Ok(page::refused(StatusCode::FORBIDDEN, ELSEWHERE));
    }
    let form = Parameters::parse(&context.form().await?.unwrap_or_default());
    let decided =
        context.services().logins.decide(form.get("request").unwrap_or_default(), decision(&form), context.source());
    answer(decided.await)
}

/// The response to the user's decision.
pub(super) fn answer(decided: Result<Decided, Refused>) -> Result<Response, Problem> {
    match decided {
        Ok(Decided::Return(address)) => to(&address),
        Ok(Decided::SignIn { address, sealed }) => Ok(sign_in::begin(&address, &sealed)),
        Ok(Decided::Again(consent, why)) => Ok(page::consent(&consent, Some(why))),
        Err(refused) => stop(refused),
    }
}

fn decision(form: &Parameters) -> Decision {
    let text = |name| form.get(name).unwrap_or_default().trim().to_owned();
    let scopes = form.all("scope").filter_map(Scope::named).collect();
    match form.get("decision") {
        Some("allow") => Decision::Allow { client: text("client_id"), key: Secret::new(text("api_key")), scopes },
        Some("sign_in") => Decision::SignIn { scopes },
        _ => Decision::Deny,
    }
}

/// Whether the page of this service has sent the form. A browser names the page's origin with every form.
fn is_from_here(context: &RequestContext) -> bool {
    let mut origins = context.headers().get_all(ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none()).and_then(|origin| origin.to_str().ok());
    let mut own = context.services().authenticator.public_url().origins();
    own.any(|own| origin == Some(own.as_str()))
}

fn stop(refused: Refused) -> Result<Response, Problem> {
    match refused {
        Refused::Shown(why) => Ok(page::refused(StatusCode::BAD_REQUEST, why)),
        Refused::Returned(address) => to(&address),
        Refused::Failed(error) => Err(error.into()),
    }
}

/// Sends the browser to an address, with GET also after a form.
fn to(address: &str) -> Result<Response, Problem> {
    let location = HeaderValue::try_from(address).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
