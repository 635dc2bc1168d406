//! The use cases of a program after a login: it exchanges its code and its refresh tokens for tokens, and gives them
//! back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use super::sealed::{Code, Permission, RefreshToken};
use super::service::Logins;
use crate::auth::{AuthError, IssuedToken, Source, TokenGrant};
use crate::domain::{ClientId, Grant, GrantId, Presented, Scopes, Secret, Sha256};
use crate::store::{Etag, StoreError};

/// The program that presents a code or a refresh token.
#[derive(Clone, Copy, Debug)]
pub struct Presenter<'a> {
    /// Its `client_id`.
    pub id: &'a str,
    /// The secret that it sends. Only a program whose id is that of a client has one: an API key of the client.
    pub secret: Option<&'a Secret<String>>,
    /// Where the request came from.
    pub source: Source,
}

/// The tokens of a program.
#[derive(Debug)]
pub struct Tokens {
    /// The token for calls.
    pub access: IssuedToken,
    /// The token for further tokens.
    pub refresh: Secret<String>,
}

/// The reason why a program gets no tokens.
#[derive(Debug)]
pub enum GrantError {
    /// The code or the refresh token is not valid, or not for this program.
    InvalidGrant(&'static str),
    /// The program asks for a resource that the user was not asked about.
    InvalidTarget,
    /// The program asks for a scope that the user has not allowed.
    InvalidScope,
    /// The program's secret is wrong, or the service has a problem.
    Auth(AuthError),
}

impl From<AuthError> for GrantError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::NoScope => Self::InvalidScope,
            error => Self::Auth(error),
        }
    }
}

impl From<StoreError> for GrantError {
    fn from(error: StoreError) -> Self {
        Self::Auth(error.into())
    }
}

const NOT_VALID: &str = "The code or the refresh token is not valid any more. The user has to log in again.";
const OTHER_PROGRAM: &str = "The code or the refresh token was issued to another program.";

impl Logins {
    /// How often a change of a grant is tried while others change it.
    const MAX_TRIES: usize = 4;

    /// Exchanges a code for tokens. A second exchange of a code ends the grant of the first one.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn exchange(
        &self,
        presenter: Presenter<'_>,
        code: &str,
        verifier: &str,
        redirect_uri: Option<&str>,
        resources: Vec<String>,
    ) -> Result<Tokens, GrantError> {
        let now = self.clock.now();
        let code = self.seals.open::<Code>(code).filter(|code| code.is_in_time(now));
        let code = code.ok_or(GrantError::InvalidGrant(NOT_VALID))?;
        if redirect_uri.is_some_and(|uri| Sha256::of(uri.as_bytes()) != code.redirect_uri) {
            return Err(GrantError::InvalidGrant("The redirect_uri is not that of the authorization request."));
        }
        if !is_verifier(verifier, &code.challenge) {
            return Err(GrantError::InvalidGrant("The code_verifier does not fit the code_challenge."));
        }
        self.check_program(presenter, code.permission.program).await?;
        let permission = code.permission;
        let access = self.access_token(presenter, &permission, permission.scopes, resources).await?;
        let etag = self.begin_grant(&permission).await?;
        Ok(self.with_refresh_token(access, permission, 1, &etag))
    }

    /// Exchanges a refresh token for tokens. The refresh token is valid once: the response has another one.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn refresh(
        &self,
        presenter: Presenter<'_>,
        token: &str,
        scopes: Option<Scopes>,
        resources: Vec<String>,
    ) -> Result<Tokens, GrantError> {
        let now = self.clock.now();
        let token = self.seals.open::<RefreshToken>(token).filter(|token| token.is_in_time(now));
        let token = token.ok_or(GrantError::InvalidGrant(NOT_VALID))?;
        self.check_program(presenter, token.permission.program).await?;
        let scopes = scopes.unwrap_or(token.permission.scopes);
        if scopes & token.permission.scopes != scopes {
            return Err(GrantError::InvalidScope);
        }
        let access = self.access_token(presenter, &token.permission, scopes, resources).await?;
        let (number, etag) = self.next(&token).await?;
        Ok(self.with_refresh_token(access, token.permission, number, &etag))
    }

    /// Ends the grant of a refresh token (RFC 7009). A text that is none ends nothing.
    ///
    /// # Errors
    /// [`GrantError`] if the token belongs to another program, or the service has a problem.
    pub async fn revoke(&self, token: &str, program: Option<&str>) -> Result<(), GrantError> {
        let Some(token) = self.seals.open::<RefreshToken>(token) else { return Ok(()) };
        if program.is_some_and(|program| Sha256::of(program.as_bytes()) != token.permission.program) {
            return Err(GrantError::InvalidGrant(OTHER_PROGRAM));
        }
        Ok(self.end(token.permission.grant).await?)
    }

    async fn check_program(&self, presenter: Presenter<'_>, expected: Sha256) -> Result<(), GrantError> {
        if Sha256::of(presenter.id.as_bytes()) != expected {
            return Err(GrantError::InvalidGrant(OTHER_PROGRAM));
        }
        // Other programs have no secret here, and one that sends something all the same is not refused.
        let Ok(id) = presenter.id.parse::<ClientId>() else { return Ok(()) };
        if let Some(secret) = presenter.secret {
            self.authenticator.log_in(presenter.id, secret, presenter.source).await?;
        }
        match self.directory.find(&id).await? {
            Some(client) if !client.disabled => Ok(()),
            _ => Err(GrantError::InvalidGrant(NOT_VALID)),
        }
    }

    async fn access_token(
        &self,
        presenter: Presenter<'_>,
        permission: &Permission,
        scopes: Scopes,
        resources: Vec<String>,
    ) -> Result<IssuedToken, GrantError> {
        if resources.iter().any(|resource| !permission.audience.contains(resource)) {
            return Err(GrantError::InvalidTarget);
        }
        let audience = if resources.is_empty() { permission.audience.clone() } else { resources };
        let grant = TokenGrant { scopes, audience, program: Some(presenter.id.to_owned()) };
        let login = permission.login();
        match self.authenticator.issue_again(&permission.client, login, grant, &*self.entropy).await {
            // The client was disabled or is gone since the login.
            Err(AuthError::WrongCredentials) => Err(GrantError::InvalidGrant(NOT_VALID)),
            result => Ok(result?),
        }
    }

    fn with_refresh_token(&self, access: IssuedToken, permission: Permission, number: u32, etag: &Etag) -> Tokens {
        let token = RefreshToken::new(permission, number, etag.as_str().to_owned(), self.clock.now());
        Tokens { access, refresh: Secret::new(self.seals.seal(&token)) }
    }

    /// Adds the grant of a code. The row is what makes a code valid once.
    async fn begin_grant(&self, permission: &Permission) -> Result<Etag, GrantError> {
        let (id, grant) = (permission.grant, Grant::begun(self.clock.now()));
        match self.store.insert(id, grant, permission.login() + Grant::MAX_AGE).await {
            Err(StoreError::Conflict) => {}
            // The insertion may have been made. Whoever else had the code and its verifier is the same program.
            Err(error @ StoreError::Unknown(_)) => match self.store.read(id).await? {
                Some((stored, etag)) if stored == grant => return Ok(etag),
                Some(_) => {}
                None => return Err(error.into()),
            },
            result => return Ok(result?),
        }
        tracing::warn!(client = %permission.client, "the code of a login was used twice; its grant is over");
        self.end(id).await?;
        Err(GrantError::InvalidGrant(NOT_VALID))
    }

    /// Exchanges the refresh token in the store. Returns the number of the next one, and the etag since it was issued.
    ///
    /// The token knows the etag of its row, so the usual exchange is one commit.
    async fn next(&self, token: &RefreshToken) -> Result<(u32, Etag), GrantError> {
        let (id, number) = (token.permission.grant, token.number.saturating_add(1));
        let (mut etag, mut last) = (Etag::new(token.etag.clone()), StoreError::Conflict);
        for _ in 0..Self::MAX_TRIES {
            let now = self.clock.now();
            match self.store.replace(id, Grant::issued(number, now), etag).await {
                Ok(etag) => return Ok((number, etag)),
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(error.into()),
            }
            let Some((grant, read)) = self.store.read(id).await? else {
                return Err(GrantError::InvalidGrant(NOT_VALID));
            };
            match grant.judge(token.number, now) {
                Presented::Newest => etag = read,
                Presented::Repeated { number } => return Ok((number, read)),
                Presented::Revoked => return Err(GrantError::InvalidGrant(NOT_VALID)),
                Presented::Reused => {
                    let client = &token.permission.client;
                    tracing::warn!(%client, "a refresh token was used twice; its grant is over");
                    self.end(id).await?;
                    return Err(GrantError::InvalidGrant(NOT_VALID));
                }
            }
        }
        Err(last.into())
    }

    /// Ends a grant. Its row stays until its time is over, so that its code cannot begin it again.
    async fn end(&self, id: GrantId) -> Result<(), StoreError> {
        let mut last = StoreError::Conflict;
        for _ in 0..Self::MAX_TRIES {
            let Some((Grant::Live { .. }, etag)) = self.store.read(id).await? else { return Ok(()) };
            match self.store.replace(id, Grant::Revoked, etag).await {
                Ok(_) => return Ok(()),
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

/// Whether this is the verifier of a PKCE challenge (RFC 7636 §4.6).
fn is_verifier(verifier: &str, challenge: &str) -> bool {
    let is_text = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    is_text && URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) == challenge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifier_of_the_challenge_fits() {
        // The example of RFC 7636, appendix B.
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_verifier(verifier, challenge));
        for bad in ["", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX", challenge, &format!("{verifier}x")] {
            assert!(!is_verifier(bad, challenge), "{bad}");
        }
    }
}
