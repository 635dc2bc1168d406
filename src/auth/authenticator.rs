//! The authenticator: exchanges API keys for tokens, and tokens for callers.

use std::net::IpAddr;
use std::sync::Arc;

use super::login_throttle::LoginThrottle;
use super::token::TokenIssuer;
use super::{ClientDirectory, SigningKeys, TokenSettings, api_key};
use crate::domain::{ClientId, Scope, Scopes, Secret};
use crate::public_url::PublicUrl;
use crate::store::StoreError;
use crate::time::{Clock, Entropy};

/// Exchanges API keys for tokens, and tokens for callers.
pub struct Authenticator {
    directory: ClientDirectory,
    tokens: TokenIssuer,
    throttle: LoginThrottle,
    public_url: PublicUrl,
    clock: Arc<dyn Clock>,
}

/// A proven caller. Only [`Authenticator::authenticate`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    client: ClientId,
    scopes: Scopes,
}

impl Principal {
    /// Whose conversations the caller may use.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// Whether the caller may do a kind of operation.
    ///
    /// # Errors
    /// [`AuthError::InsufficientScope`] if not.
    pub const fn require(&self, scope: Scope) -> Result<(), AuthError> {
        if self.scopes.contains(scope) { Ok(()) } else { Err(AuthError::InsufficientScope(scope)) }
    }
}

/// What a token is asked for.
#[derive(Clone, Debug)]
pub struct TokenGrant {
    /// What it is to allow. What the client may not do is left out.
    pub scopes: Scopes,
    /// The identifiers of the resources that it is for; none in particular, if there is none.
    pub audience: Vec<String>,
}

impl Default for TokenGrant {
    /// All that the client may do.
    fn default() -> Self {
        Self { scopes: Scopes::all(), audience: Vec::new() }
    }
}

/// A token, fresh from the press.
#[derive(Debug)]
pub struct IssuedToken {
    /// The JWT.
    pub token: Secret<String>,
    /// How long it is good for, in seconds.
    pub expires_in: u32,
    /// What it allows.
    pub scopes: Scopes,
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No token was sent.
    #[error("no bearer token")]
    Missing,
    /// A token was sent that is not accepted; why is nobody's business.
    #[error("the token is not accepted")]
    InvalidToken,
    /// The token is good, and does not allow this.
    #[error("the token does not have the scope {0}")]
    InsufficientScope(Scope),
    /// The client is unknown or the key is wrong; which is nobody's business.
    #[error("the client id or the API key is wrong")]
    WrongCredentials,
    /// The client may do nothing of what the token was to allow.
    #[error("the client has none of the scopes")]
    InvalidScope,
    /// Too many wrong keys for this client from this place.
    #[error("too many failed logins")]
    TooManyFailures {
        /// When to try again, in seconds from now.
        retry_after: u64,
    },
    /// The clients could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authenticator {
    /// An authenticator over a directory of clients, for the service of this name.
    pub fn new(
        directory: ClientDirectory,
        keys: SigningKeys,
        settings: TokenSettings,
        public_url: PublicUrl,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tokens = TokenIssuer::new(keys, settings, &public_url);
        Self { directory, tokens, throttle: LoginThrottle::default(), public_url, clock }
    }

    /// What the service is called, and tokens for it say.
    #[must_use]
    pub const fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }

    /// Exchanges a client's API key for a token. The right key is always accepted, however many
    /// wrong ones came before it: nobody can lock a client out.
    ///
    /// # Errors
    /// [`AuthError::WrongCredentials`], or after ten of those in a minute for one client from one
    /// address [`AuthError::TooManyFailures`]; [`AuthError::InvalidScope`] if nothing would be allowed.
    pub async fn issue(
        &self,
        client: &str,
        key: &Secret<String>,
        grant: TokenGrant,
        source: IpAddr,
        entropy: &dyn Entropy,
    ) -> Result<IssuedToken, AuthError> {
        let now = self.clock.now();
        let known = match client.parse::<ClientId>() {
            Ok(id) => self.directory.find(&id).await?,
            Err(_) => None,
        };
        let verified = api_key::verify(known.as_deref(), key);
        let Some(known) = known.filter(|_| verified) else {
            return Err(match self.throttle.failed(client, source, now) {
                Some(retry_after) => AuthError::TooManyFailures { retry_after },
                None => AuthError::WrongCredentials,
            });
        };
        let grant = TokenGrant { scopes: grant.scopes & known.scopes, ..grant };
        if grant.scopes.is_empty() {
            return Err(AuthError::InvalidScope);
        }
        Ok(self.tokens.issue(&known.id, &grant, now, entropy))
    }

    /// Finds out who is calling from the values of all `Authorization` headers of a request.
    ///
    /// # Errors
    /// [`AuthError::Missing`], [`AuthError::InvalidToken`] or [`AuthError::Store`].
    pub async fn authenticate(&self, authorization: &[&[u8]]) -> Result<Principal, AuthError> {
        let value = match authorization {
            [] => return Err(AuthError::Missing),
            [one] => std::str::from_utf8(one).map_err(|_| AuthError::InvalidToken)?,
            _ => return Err(AuthError::InvalidToken),
        };
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Missing);
        }
        let now = self.clock.now();
        let claims = self.tokens.verify(token, now).ok_or(AuthError::InvalidToken)?;
        let client = self.directory.find(&claims.sub).await?.filter(|c| !c.disabled).ok_or(AuthError::InvalidToken)?;
        if client.tokens_valid_from.is_some_and(|from| claims.iat < from.as_secs()) {
            return Err(AuthError::InvalidToken);
        }
        // Both: a client that may do less than before does less with the tokens it has, too.
        Ok(Principal { client: claims.sub.clone(), scopes: claims.scope & client.scopes })
    }
}
