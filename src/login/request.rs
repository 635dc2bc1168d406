//! The request of a program for a login, as a user's browser brings it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::parameters::Parameters;
use super::program::{Program, host_of_id};
use super::seal::Sealable;
use crate::auth::AuthError;
use crate::domain::{RedirectUri, Scopes, Timestamp};
use crate::json::text;
use crate::public_url::{Origin, PublicUrl, Resource};

/// A request for a login in which everything was checked. The page carries it, sealed, from the question to the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    program: String,
    name: Option<String>,
    #[serde(with = "text")]
    redirect_uri: RedirectUri,
    state: Option<String>,
    challenge: String,
    #[serde(with = "text")]
    scopes: Scopes,
    audience: Vec<String>,
    issuer: String,
    expires: i64,
}

impl Sealable for AuthorizationRequest {
    const KIND: &'static str = "authorization requests";
}

/// The reason why a login does not go on.
#[derive(Debug)]
pub enum Refused {
    /// The user is told. It is not known that the request comes from the program, so the browser is not sent there.
    Shown(&'static str),
    /// The program is told: the browser goes to this address.
    Returned(String),
    /// The service has a problem.
    Failed(AuthError),
}

impl From<AuthError> for Refused {
    fn from(error: AuthError) -> Self {
        Self::Failed(error)
    }
}

impl AuthorizationRequest {
    /// The time in which the user decides.
    const LIFETIME: Duration = Duration::from_mins(10);
    /// The longest state.
    const MAX_STATE: usize = 2048;
    /// The parameters that a request has once.
    const ONCE: [&'static str; 7] =
        ["client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method", "scope"];

    /// Checks a request of a program. What comes before the address of the program is known is shown to the user, and
    /// the rest is returned to the program.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn check(
        parameters: &Parameters,
        program: Program,
        issuer: &Origin,
        public_url: &PublicUrl,
        now: Timestamp,
    ) -> Result<Self, Refused> {
        let redirect_uri = redirect_uri(parameters, &program)?;
        let mut request = Self {
            program: program.id,
            name: program.name,
            redirect_uri,
            state: parameters.get("state").filter(|state| state.len() <= Self::MAX_STATE).map(str::to_owned),
            challenge: parameters.get("code_challenge").unwrap_or_default().to_owned(),
            // A scope that an agent must never have is not given to a program. Others are ignored (RFC 6749 §3.3).
            scopes: parameters
                .get("scope")
                .map_or(Scopes::on_conversations(), |scope| Scopes::known_in(scope) & Scopes::all()),
            audience: Vec::new(),
            issuer: issuer.as_str().to_owned(),
            expires: (now + Self::LIFETIME).as_millis(),
        };
        if let Some((error, why)) = request.problem(parameters, public_url) {
            return Err(Refused::Returned(request.refusal(error, &why)));
        }
        // `problem` has found all of them.
        request.audience = parameters.resources(public_url).unwrap_or_default();
        if request.audience.is_empty() {
            request.audience.push(issuer.resource(Resource::Mcp));
        }
        Ok(request)
    }

    /// The first thing in a request that is wrong, as an error of OAuth.
    fn problem(&self, parameters: &Parameters, public_url: &PublicUrl) -> Option<(&'static str, String)> {
        let is_challenge =
            |text: &str| text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let problem = |error, why: &str| Some((error, why.to_owned()));
        if let Some(name) = parameters.repeated(&Self::ONCE) {
            return problem("invalid_request", &format!("{name} is given twice."));
        }
        if parameters.get("state").is_some_and(|state| state.len() > Self::MAX_STATE) {
            return problem("invalid_request", "state is too long.");
        }
        if parameters.get("response_type") != Some("code") {
            return problem("unsupported_response_type", "response_type must be code.");
        }
        if parameters.get("code_challenge_method") != Some("S256") || !is_challenge(&self.challenge) {
            return problem("invalid_request", "Send code_challenge of PKCE, with code_challenge_method S256.");
        }
        if self.scopes.is_empty() {
            return problem("invalid_scope", &format!("The scopes are {}.", Scopes::all()));
        }
        if parameters.resources(public_url).is_err() {
            let [api, mcp] = Resource::ALL.map(|resource| public_url.origin(None).resource(resource));
            return problem("invalid_target", &format!("resource must be {api} or {mcp}."));
        }
        None
    }

    /// The address that tells the program an error (RFC 6749 §4.1.2.1).
    #[must_use]
    pub(super) fn refusal(&self, error: &str, why: &str) -> String {
        self.returning(&[("error", error), ("error_description", why)])
    }

    /// The address that brings the program these parameters. `iss` names the service (RFC 9207), so that a program
    /// which uses several services notices when the answer of one comes for another.
    #[must_use]
    pub(super) fn returning(&self, parameters: &[(&str, &str)]) -> String {
        let uri = self.redirect_uri.as_str();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        query.extend_pairs(self.state.as_ref().map(|state| ("state", state)));
        query.append_pair("iss", &self.issuer);
        let separator = if uri.contains('?') { '&' } else { '?' };
        format!("{uri}{separator}{}", query.finish())
    }

    pub(super) fn is_in_time(&self, now: Timestamp) -> bool {
        now < Timestamp::from_millis(self.expires)
    }

    pub(super) fn program_id(&self) -> &str {
        &self.program
    }

    pub(super) fn challenge(&self) -> &str {
        &self.challenge
    }

    pub(super) fn audience(&self) -> &[String] {
        &self.audience
    }

    /// The origin of this service at which the login began.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The name that the program gives itself.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The host that answers for the program's id, if there is one.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        host_of_id(&self.program)
    }

    /// Where the browser goes after the login.
    #[must_use]
    pub const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// The scopes that the program asks for.
    #[must_use]
    pub const fn scopes(&self) -> Scopes {
        self.scopes
    }
}

/// The address of a request, if the program has registered it. A program with one address may leave it out.
fn redirect_uri(parameters: &Parameters, program: &Program) -> Result<RedirectUri, Refused> {
    if parameters.repeated(&["client_id", "redirect_uri"]).is_some() {
        return Err(Refused::Shown("The link names its program or its address twice."));
    }
    let registered = &program.redirect_uris;
    let Some(presented) = parameters.get("redirect_uri") else {
        return match registered.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(Refused::Shown("The link does not say where the login returns to.")),
        };
    };
    let presented = presented.parse().ok().filter(|uri| registered.iter().any(|known| known.allows(uri)));
    presented.ok_or(Refused::Shown("The address to which the login would return is not one of this program."))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
