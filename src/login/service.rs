//! The use cases of a login: a program registers itself, a user is asked and decides.

use std::sync::Arc;

use super::document::Documents;
use super::parameters::Parameters;
use super::program::Program;
use super::registration::{InvalidMetadata, Registered, RegisteredId, Registration};
use super::request::{AuthorizationRequest, Refused};
use super::seal::Seals;
use super::sealed::{Code, Permission};
use crate::auth::{AuthError, Authenticator, ClientDirectory, SignIn, Source};
use crate::domain::{ClientId, GrantId, Scopes, Secret, Timestamp};
use crate::public_url::Origin;
use crate::store::{Client, LoginStore};
use crate::time::{Clock, Entropy, random};

/// The logins of users in a browser.
pub struct Logins {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) directory: Arc<ClientDirectory>,
    pub(super) store: LoginStore,
    pub(super) seals: Seals,
    documents: Documents,
    /// None if users have API keys alone.
    pub(super) sign_in: Option<SignIn>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// The question that a user is asked.
#[derive(Debug)]
pub struct Consent {
    /// The request of the program.
    pub request: AuthorizationRequest,
    /// The same, for the form of the page.
    pub sealed: String,
    /// The issuer at which the user can sign in in the place of typing a key, by the name that the user knows.
    pub sign_in: Option<String>,
}

/// The answer of a user.
#[derive(Debug)]
pub enum Decision {
    /// The program gets nothing.
    Deny,
    /// The program may act for a client.
    Allow {
        /// The id of the client.
        client: String,
        /// Its API key.
        key: Secret<String>,
        /// The scopes that the program gets.
        scopes: Scopes,
    },
    /// The program may act for the client of the account with which the user signs in.
    SignIn {
        /// The scopes that the program gets.
        scopes: Scopes,
    },
}

/// What follows a decision.
#[derive(Debug)]
pub enum Decided {
    /// The browser goes to this address of the program.
    Return(String),
    /// The user signs in at this address of the issuer.
    SignIn {
        /// The address.
        address: String,
        /// What the browser keeps until it returns from there.
        sealed: String,
    },
    /// The user is asked again.
    Again(Box<Consent>, TryAgain),
}

/// The reason why a user is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAgain {
    /// The client id or the key is wrong.
    WrongCredentials,
    /// Too many wrong keys came before.
    TooManyFailures {
        /// The time until another key is checked, in seconds.
        retry_after: u64,
    },
    /// No scope is left that the client has.
    NoScope,
}

impl Logins {
    /// The logins of an authenticator's clients.
    pub fn new(
        authenticator: Arc<Authenticator>,
        directory: Arc<ClientDirectory>,
        store: LoginStore,
        seals: Seals,
        documents: Documents,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { authenticator, directory, store, seals, documents, sign_in: None, clock, entropy }
    }

    /// Registers a program.
    ///
    /// # Errors
    /// [`InvalidMetadata`].
    pub fn register(&self, registration: Registration) -> Result<Registered, InvalidMetadata> {
        registration.register(&self.seals, self.clock.now())
    }

    /// Begins a login: the question for the user.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn begin(&self, parameters: &Parameters, issuer: &Origin) -> Result<Consent, Refused> {
        const UNKNOWN: &str = "The link comes from a program that is not registered here. Start the login in the program again; \
                               it may have to forget this service first.";
        let id = parameters.get("client_id").ok_or(Refused::Shown("The link does not name its program."))?;
        let program = self.program(id).await?.ok_or(Refused::Shown(UNKNOWN))?;
        let (public_url, now) = (self.authenticator.public_url(), self.clock.now());
        let request = AuthorizationRequest::check(parameters, program, issuer, public_url, now)?;
        Ok(self.ask(request))
    }

    /// Goes on with a login after the user's decision about a sealed request.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn decide(&self, sealed: &str, decision: Decision, source: Source) -> Result<Decided, Refused> {
        const OVER: &str = "This page is more than ten minutes old. Start the login in the program again.";
        let now = self.clock.now();
        let request = self.seals.open::<AuthorizationRequest>(sealed).filter(|request| request.is_in_time(now));
        let request = request.ok_or(Refused::Shown(OVER))?;
        let (client, key, scopes) = match decision {
            Decision::Deny => {
                return Ok(Decided::Return(request.refusal("access_denied", "The user has denied the access.")));
            }
            Decision::SignIn { scopes } => return self.begin_sign_in(request, scopes).await,
            Decision::Allow { client, key, scopes } => (client, key, scopes),
        };
        let client = match self.authenticator.log_in(&client, &key, source).await {
            Ok(client) => client,
            Err(AuthError::WrongCredentials) => return Ok(self.again(request, TryAgain::WrongCredentials)),
            Err(AuthError::TooManyFailures { retry_after }) => {
                return Ok(self.again(request, TryAgain::TooManyFailures { retry_after }));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(self.let_in(request, &client, scopes, now))
    }

    /// Lets a program in for a client that the user has proved to be at a time.
    pub(super) fn let_in(
        &self,
        request: AuthorizationRequest,
        client: &Client,
        scopes: Scopes,
        now: Timestamp,
    ) -> Decided {
        let scopes = scopes & request.scopes() & client.scopes;
        if scopes.is_empty() {
            return self.again(request, TryAgain::NoScope);
        }
        let program = request.name().unwrap_or_default();
        tracing::info!(client = %client.id, program, returns_to = request.redirect_uri().place(), %scopes, "login of a program");
        let grant = GrantId::new(random(&*self.entropy));
        let permission = Permission::new(grant, client.id.clone(), &request, scopes, now);
        let code = self.seals.seal(&Code::new(permission, &request, now));
        Decided::Return(request.returning(&[("code", &code)]))
    }

    fn ask(&self, request: AuthorizationRequest) -> Consent {
        let sign_in = self.sign_in.as_ref().map(|sign_in| sign_in.name().to_owned());
        Consent { sealed: self.seals.seal(&request), request, sign_in }
    }

    pub(super) fn again(&self, request: AuthorizationRequest, why: TryAgain) -> Decided {
        Decided::Again(Box::new(self.ask(request)), why)
    }

    /// The program with this id: one that publishes a document, one that has registered itself, or a client that has
    /// addresses of its own.
    async fn program(&self, id: &str) -> Result<Option<Program>, AuthError> {
        if id.starts_with("https://") {
            return Ok(self.documents.program(id).await);
        }
        if let Some(registered) = self.seals.open::<RegisteredId>(id) {
            return Ok(Some(registered.into_program(id)));
        }
        let Ok(client) = id.parse::<ClientId>() else { return Ok(None) };
        let client = self.directory.find(&client).await?.filter(|client| !client.disabled);
        Ok(client.filter(|client| !client.redirect_uris.is_empty()).map(|client| Program {
            id: id.to_owned(),
            name: Some(id.to_owned()),
            redirect_uris: client.redirect_uris.clone(),
        }))
    }
}
