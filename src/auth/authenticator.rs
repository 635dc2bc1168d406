//! Exchanges API keys for tokens, and finds out from a token which client calls.

use std::sync::Arc;

use tokio::time::Instant;

use super::accepted_keys::AcceptedKeys;
use super::foreign_tokens::ForeignTokens;
use super::login_throttle::{LoginThrottle, TooManyFailures};
use super::token::{Claims, Rejected, TokenIssuer};
use super::{ClientDirectory, DocumentFetcher, SigningKeys, Source, TokenSettings, TrustedIssuers, api_key};
use crate::current::{Current, Refresh};
use crate::domain::{Call, ClientId, Program, ScheduledBy, Scope, Scopes, Secret, Timestamp, TraceContext};
use crate::metrics;
use crate::public_url::{PublicUrl, Resource};
use crate::store::{Client, StoreError};
use crate::time::{Clock, Entropy};

/// Exchanges API keys for tokens, and finds out from a token which client calls.
pub struct Authenticator {
    directory: Arc<ClientDirectory>,
    tokens: TokenIssuer,
    refresh: Refresh,
    throttle: LoginThrottle,
    accepted: AcceptedKeys,
    /// None if no other issuer is trusted.
    foreign: Option<ForeignTokens>,
    public_url: PublicUrl,
    clock: Arc<dyn Clock>,
}

/// The authenticated client of a request. Only [`Authenticator::authenticate`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    client: ClientId,
    scopes: Scopes,
    by: ScheduledBy,
}

impl Principal {
    fn new(client: ClientId, scopes: Scopes) -> Self {
        Self { client, scopes, by: ScheduledBy::default() }
    }

    /// The client. The caller may use only the conversations of this client.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// The same caller in a request that is traced.
    #[must_use]
    pub fn in_trace(self, trace: Option<TraceContext>) -> Self {
        Self { by: ScheduledBy { trace, ..self.by }, ..self }
    }

    /// The same caller in a call of an operation or of a tool.
    #[must_use]
    pub fn calling(self, call: Call) -> Self {
        Self { by: ScheduledBy { call: Some(call), ..self.by }, ..self }
    }

    /// What the record of a conversation keeps of the caller's request.
    #[must_use]
    pub const fn scheduled_by(&self) -> &ScheduledBy {
        &self.by
    }

    /// Checks that both the token and the client have a scope.
    ///
    /// # Errors
    /// [`AuthError::InsufficientScope`].
    pub fn require(&self, scope: Scope) -> Result<(), AuthError> {
        if self.allows(scope) { Ok(()) } else { Err(counted(AuthError::InsufficientScope(scope))) }
    }

    /// Whether the caller may do what needs a scope. Nothing is refused, so nothing is counted.
    #[must_use]
    pub const fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }
}

/// The rights that a login asks for.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// The scopes that the token should have. The token gets only those that the client has too.
    pub scopes: Scopes,
    /// The identifiers of the resources that the token is for. Without any, the token is for the default audience.
    pub audience: Vec<String>,
    /// The id of the program that acts for the client, if a user has logged in with it.
    pub program: Option<String>,
}

impl Default for TokenGrant {
    /// All scopes of the client, and the default audience.
    fn default() -> Self {
        Self { scopes: Scopes::all(), audience: Vec::new(), program: None }
    }
}

/// A token that was just made.
#[derive(Debug)]
pub struct IssuedToken {
    /// The JWT.
    pub token: Secret<String>,
    /// Its lifetime, in seconds.
    pub expires_in: u32,
    /// Its scopes.
    pub scopes: Scopes,
}

/// The reason why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The request has no bearer token.
    #[error("no bearer token")]
    Missing,
    /// The request has a token or a key that is not accepted. The reason is kept back, because it would help a forger.
    #[error("the token is not accepted")]
    InvalidToken,
    /// The token is valid, but it does not have the scope that the operation needs.
    #[error("the token does not have the scope {0}")]
    InsufficientScope(Scope),
    /// The client is unknown, or the key is wrong. The two look the same, so that nobody can find out which clients
    /// exist.
    #[error("the client id or the API key is wrong")]
    WrongCredentials,
    /// The client has none of the scopes that the token should have.
    #[error("the client has none of the requested scopes")]
    NoScope,
    /// Too many logins of this client from this source had a wrong key, so the key of this one was not checked.
    #[error("too many failed logins")]
    TooManyFailures {
        /// The time until another login is checked, in seconds.
        retry_after: u64,
    },
    /// The client could not be read, because the store cannot be reached. A later try may succeed.
    #[error(transparent)]
    Unavailable(StoreError),
    /// The client's row is damaged, or this program has a defect.
    #[error(transparent)]
    Internal(StoreError),
}

impl AuthError {
    /// The name in the metrics.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::WrongCredentials => "wrong_credentials",
            Self::NoScope => "no_scope",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }
}

/// Counts an error.
fn counted(error: AuthError) -> AuthError {
    metrics::record(|metrics| metrics.auth_failure(error.as_str()));
    error
}

impl From<TooManyFailures> for AuthError {
    fn from(TooManyFailures { retry_after }: TooManyFailures) -> Self {
        Self::TooManyFailures { retry_after }
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        if error.is_temporary() { Self::Unavailable(error) } else { Self::Internal(error) }
    }
}

impl Authenticator {
    /// An authenticator for the clients of a directory and the service at a public URL.
    pub fn new(
        directory: impl Into<Arc<ClientDirectory>>,
        keys: impl Into<Current<SigningKeys>>,
        settings: TokenSettings,
        public_url: PublicUrl,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tokens = TokenIssuer::new(keys.into(), settings, &public_url);
        let directory = directory.into();
        let (refresh, throttle) = (Refresh::default(), LoginThrottle::default());
        Self {
            directory,
            tokens,
            refresh,
            throttle,
            accepted: AcceptedKeys::default(),
            foreign: None,
            public_url,
            clock,
        }
    }

    /// Asks for the keys to be read again when a token names a key that is missing.
    #[must_use]
    pub fn refreshing(self, refresh: Refresh) -> Self {
        Self { refresh, ..self }
    }

    /// Accepts tokens of these issuers, too.
    #[must_use]
    pub fn trusting(self, issuers: TrustedIssuers, fetcher: Arc<dyn DocumentFetcher>) -> Self {
        Self { foreign: Some(ForeignTokens::new(issuers, fetcher)), ..self }
    }

    /// The URL by which clients know the service. Tokens name it as their audience.
    #[must_use]
    pub const fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }

    /// Exchanges a client's API key for a token.
    ///
    /// # Errors
    /// [`AuthError::WrongCredentials`]; after ten of those in a minute, for one client from one source,
    /// [`AuthError::TooManyFailures`] for up to 15 minutes, whether the key is right or not; [`AuthError::NoScope`] if
    /// the token would have no scope; [`AuthError::Unavailable`] or [`AuthError::Internal`].
    pub async fn issue(
        &self,
        client: &str,
        key: &Secret<String>,
        grant: TokenGrant,
        source: Source,
        entropy: &dyn Entropy,
    ) -> Result<IssuedToken, AuthError> {
        let known = self.log_in(client, key, source).await?;
        self.issue_to(&known, grant, entropy)
    }

    /// The client with this id, if the key is one of its keys.
    ///
    /// # Errors
    /// As [`Authenticator::issue`], without [`AuthError::NoScope`].
    pub async fn log_in(&self, client: &str, key: &Secret<String>, source: Source) -> Result<Arc<Client>, AuthError> {
        self.check_key(client, key, source).await.map_err(counted)
    }

    async fn check_key(&self, client: &str, key: &Secret<String>, source: Source) -> Result<Arc<Client>, AuthError> {
        // A client id has at most 64 characters. A longer name belongs to no client and is counted by its beginning.
        let name: String = client.chars().take(64).collect();
        self.throttle.check(&name, source, Instant::now())?;
        let known = match client.parse::<ClientId>() {
            Ok(id) => self.look_up(&id, source).await?,
            Err(_) => None,
        };
        let is_right = || api_key::verify(known.as_deref(), key);
        let verified = self.throttle.judge(&name, source, Instant::now(), is_right)?;
        known.filter(|_| verified).ok_or(AuthError::WrongCredentials)
    }

    /// Makes another token for a client that has logged in at a time in the past.
    ///
    /// # Errors
    /// [`AuthError::WrongCredentials`] if the client is gone, is disabled, or was disabled since that time;
    /// [`AuthError::NoScope`], [`AuthError::Unavailable`] or [`AuthError::Internal`].
    pub async fn issue_again(
        &self,
        client: &ClientId,
        login: Timestamp,
        grant: TokenGrant,
        entropy: &dyn Entropy,
    ) -> Result<IssuedToken, AuthError> {
        let known = self.directory.find(client).await.map_err(|error| counted(error.into()))?;
        let known =
            known.filter(|client| !client.disabled && client.tokens_valid_from.is_none_or(|from| login >= from));
        let known = known.ok_or_else(|| counted(AuthError::WrongCredentials))?;
        self.issue_to(&known, grant, entropy)
    }

    fn issue_to(&self, client: &Client, grant: TokenGrant, entropy: &dyn Entropy) -> Result<IssuedToken, AuthError> {
        let grant = TokenGrant { scopes: grant.scopes & client.scopes, ..grant };
        if grant.scopes.is_empty() {
            return Err(counted(AuthError::NoScope));
        }
        Ok(self.tokens.issue(&client.id, &grant, self.clock.now(), entropy))
    }

    /// Counts a program that registers itself.
    ///
    /// # Errors
    /// [`AuthError::TooManyFailures`] after thirty in a minute from one source that is one caller.
    pub fn count_registration(&self, source: Source) -> Result<(), AuthError> {
        self.throttle.count_registration(source, Instant::now()).map_err(|error| counted(error.into()))
    }

    async fn look_up(&self, id: &ClientId, source: Source) -> Result<Option<Arc<Client>>, AuthError> {
        let _turn = self.throttle.look_up(id.as_str(), source, Instant::now()).await?;
        Ok(self.directory.find_for_login(id).await?)
    }

    /// Finds the calling client by the values of all `Authorization` headers of a request to a part of the service: by
    /// a token, or by an API key, which counts as a login from the source.
    ///
    /// # Errors
    /// [`AuthError::Missing`], [`AuthError::InvalidToken`], [`AuthError::TooManyFailures`],
    /// [`AuthError::Unavailable`] or [`AuthError::Internal`].
    pub async fn authenticate(
        &self,
        authorization: &[&[u8]],
        resource: Resource,
        source: Source,
    ) -> Result<Principal, AuthError> {
        self.find_caller(authorization, resource, source).await.map_err(counted)
    }

    async fn find_caller(
        &self,
        authorization: &[&[u8]],
        resource: Resource,
        source: Source,
    ) -> Result<Principal, AuthError> {
        let value = match authorization {
            [] => return Err(AuthError::Missing),
            [one] => std::str::from_utf8(one).map_err(|_| AuthError::InvalidToken)?,
            _ => return Err(AuthError::InvalidToken),
        };
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Missing);
        }
        // RFC 9110 §11.4 allows more than one space.
        let token = token.trim_start_matches(' ');
        if let Some((client, key)) = api_key::in_bearer(token) {
            let client = self.find_by_key(client, Secret::new(key.to_owned()), source).await?;
            return Ok(Principal::new(client.id.clone(), client.scopes));
        }
        let Ok(claims) = self.verify(token, resource).await else { return self.find_foreign(token).await };
        let client = self.client_of_token(&claims.sub, claims.iat).await?;
        // A client that has lost a scope loses it for the tokens that it already has, too.
        let caller = Principal::new(claims.sub.clone(), claims.scope & client.scopes);
        let program = claims.client_id.as_deref().map(Program::of_id);
        Ok(Principal { by: ScheduledBy { program, ..caller.by }, ..caller })
    }

    /// The client of a token that was issued then, in seconds since 1970.
    async fn client_of_token(&self, id: &ClientId, issued: i64) -> Result<Arc<Client>, AuthError> {
        let client = self.directory.find(id).await?.filter(|client| client.accepts_token_of(issued));
        client.ok_or(AuthError::InvalidToken)
    }

    /// The client that a token of another issuer stands for. It has no scope that is about other clients.
    async fn find_foreign(&self, token: &str) -> Result<Principal, AuthError> {
        let foreign = self.foreign.as_ref().ok_or(AuthError::InvalidToken)?;
        let caller = foreign.caller(token, self.clock.now()).await.ok_or(AuthError::InvalidToken)?;
        let client = self.client_of_token(&caller.client, caller.issued).await?;
        Ok(Principal::new(caller.client, client.scopes & Scopes::all()))
    }

    /// The client with this key. A key that was right before is no login: the client comes from the cache.
    async fn find_by_key(&self, client: &str, key: Secret<String>, source: Source) -> Result<Arc<Client>, AuthError> {
        if self.accepted.contains(client, &key)
            && let Ok(id) = client.parse()
            && let Some(known) = self.directory.find(&id).await?
            && api_key::verify(Some(&known), &key)
        {
            return Ok(known);
        }
        let known = self.check_key(client, &key, source).await.map_err(|error| match error {
            AuthError::WrongCredentials => AuthError::InvalidToken,
            error => error,
        })?;
        self.accepted.insert(client, &key);
        Ok(known)
    }

    /// Verifies a token. If no key has its id, the keys are read again first: another process may have signed it with a
    /// newer one.
    async fn verify(&self, token: &str, resource: Resource) -> Result<Arc<Claims>, Rejected> {
        match self.tokens.verify(token, resource, self.clock.now()) {
            Err(Rejected::UnknownKey) => {
                self.refresh.ask_and_wait().await;
                self.tokens.verify(token, resource, self.clock.now())
            }
            result => result,
        }
    }
}
