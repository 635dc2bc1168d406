//! A login in which the user signs in at another issuer, and types in no API key (docs/decisions/0022-sign-in.md).

use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use super::request::{AuthorizationRequest, Refused};
use super::seal::Sealable;
use super::service::{Decided, Logins, TryAgain};
use crate::auth::{AuthError, PendingSignIn, SignIn, SignInError};
use crate::domain::Scopes;
use crate::json::text;

/// A login that goes on at the issuer. The browser keeps it, sealed, until it returns.
#[derive(Serialize, Deserialize)]
struct Begun {
    request: AuthorizationRequest,
    /// What the user has ticked.
    #[serde(with = "text")]
    scopes: Scopes,
    pending: PendingSignIn,
}

impl Sealable for Begun {
    const KIND: &'static str = "sign-ins";
}

const NO_ISSUER: &str = "Nobody can sign in here. Start the login in the program again, and use an API key.";
const UNAVAILABLE: &str =
    "The place where you sign in cannot be reached now. Try again in a minute, or use an API key.";
const TOO_LONG: &str = "The request of the program is too long to sign in with. Use an API key.";
const NOT_BEGUN: &str = "This browser has not begun this login, has begun another one since, or needed more than ten minutes. \
                         Start the login in the program again.";
const NOT_SIGNED_IN: &str = "The place where you sign in has not confirmed who you are. Start the login in the program again, \
                             or ask the operator of this service.";
const NO_CLIENT: &str = "Your account may not use this service. Ask its operator to add the account.";

impl Logins {
    /// The path to which an issuer returns the browser.
    pub const SIGNED_IN: &str = "/oauth/signed-in";
    /// The longest sealed login, in bytes: browsers drop a cookie of more than 4,096.
    const MAX_BEGUN: usize = 3800;

    /// Lets users sign in at an issuer, too.
    #[must_use]
    pub fn with_sign_in(mut self, sign_in: SignIn) -> Self {
        self.sign_in = Some(sign_in);
        self
    }

    /// Sends the browser to the issuer.
    pub(super) async fn begin_sign_in(
        &self,
        request: AuthorizationRequest,
        scopes: Scopes,
    ) -> Result<Decided, Refused> {
        let sign_in = self.sign_in.as_ref().ok_or(Refused::Shown(NO_ISSUER))?;
        let scopes = scopes & request.scopes();
        if scopes.is_empty() {
            return Ok(self.again(request, TryAgain::NoScope));
        }
        let pending = PendingSignIn::new(format!("{}{}", request.issuer(), Self::SIGNED_IN), &*self.entropy);
        let address = sign_in.address(&pending).await.ok_or(Refused::Shown(UNAVAILABLE))?;
        let sealed = self.seals.seal(&Begun { request, scopes, pending });
        if sealed.len() > Self::MAX_BEGUN {
            return Err(Refused::Shown(TOO_LONG));
        }
        Ok(Decided::SignIn { address, sealed })
    }

    /// Goes on with a login when the browser returns from the issuer. `sealed` is what the browser has kept.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn complete_sign_in(&self, sealed: Option<&str>, answer: &Parameters) -> Result<Decided, Refused> {
        let now = self.clock.now();
        let begun = sealed.and_then(|sealed| self.seals.open::<Begun>(sealed));
        // Without this, somebody could lead the browser of a user who is signed in at the issuer to the end of a login that he
        // has begun himself, and act for that user.
        let begun = begun.filter(|begun| {
            begun.request.is_in_time(now) && answer.get("state").is_some_and(|state| begun.pending.has_state(state))
        });
        let (Begun { request, scopes, pending }, sign_in) =
            begun.zip(self.sign_in.as_ref()).ok_or(Refused::Shown(NOT_BEGUN))?;
        if answer.get("error") == Some("access_denied") {
            return Ok(Decided::Return(request.refusal("access_denied", "The user has not signed in.")));
        }
        let is_from_issuer = answer.get("iss").is_none_or(|issuer| sign_in.is_from(issuer));
        let Some(code) = answer.get("code").filter(|_| is_from_issuer) else {
            tracing::warn!(error = answer.get("error"), "the issuer has not let a user sign in");
            return Err(Refused::Shown(NOT_SIGNED_IN));
        };
        let client = sign_in.client_of(code, &pending, now).await.map_err(|error| Refused::Shown(why(error)))?;
        let client = self.directory.find_for_login(&client).await.map_err(AuthError::from)?;
        let client = client.filter(|client| !client.disabled).ok_or(Refused::Shown(NO_CLIENT))?;
        Ok(self.let_in(request, &client, scopes, now))
    }
}

const fn why(error: SignInError) -> &'static str {
    match error {
        SignInError::Unavailable => UNAVAILABLE,
        SignInError::Refused => NOT_SIGNED_IN,
        SignInError::UnknownAccount => NO_CLIENT,
    }
}
