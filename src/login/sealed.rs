//! The values that programs carry: the code of a login, and its refresh token.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::request::AuthorizationRequest;
use super::seal::Sealable;
use crate::domain::{ClientId, Grant, GrantId, Scopes, Sha256, Timestamp};
use crate::json::text;

/// What a user has allowed a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Permission {
    #[serde(with = "text")]
    pub(super) grant: GrantId,
    /// The client that the program acts for.
    #[serde(with = "text")]
    pub(super) client: ClientId,
    /// The hash of the program's id, which can be long.
    #[serde(with = "text")]
    pub(super) program: Sha256,
    #[serde(with = "text")]
    pub(super) scopes: Scopes,
    /// The identifiers of the resources.
    pub(super) audience: Vec<String>,
    /// The time of the login, in milliseconds.
    login: i64,
}

impl Permission {
    pub(super) fn new(
        grant: GrantId,
        client: ClientId,
        request: &AuthorizationRequest,
        scopes: Scopes,
        now: Timestamp,
    ) -> Self {
        let (program, audience) = (Sha256::of(request.program_id().as_bytes()), request.audience().to_vec());
        Self { grant, client, program, scopes, audience, login: now.as_millis() }
    }

    pub(super) const fn login(&self) -> Timestamp {
        Timestamp::from_millis(self.login)
    }
}

/// The authorization code: a program exchanges it once, within a minute.
#[derive(Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) permission: Permission,
    #[serde(with = "text")]
    pub(super) redirect_uri: Sha256,
    /// The PKCE challenge, to which only the program that began the login knows the verifier.
    pub(super) challenge: String,
    expires: i64,
}

impl Sealable for Code {
    const KIND: &'static str = "authorization codes";
}

impl Code {
    const LIFETIME: Duration = Duration::from_mins(1);

    pub(super) fn new(permission: Permission, request: &AuthorizationRequest, now: Timestamp) -> Self {
        let (redirect_uri, challenge) =
            (Sha256::of(request.redirect_uri().as_str().as_bytes()), request.challenge().to_owned());
        Self { permission, redirect_uri, challenge, expires: (now + Self::LIFETIME).as_millis() }
    }

    pub(super) fn is_in_time(&self, now: Timestamp) -> bool {
        now < Timestamp::from_millis(self.expires)
    }
}

/// A refresh token.
#[derive(Serialize, Deserialize)]
pub(super) struct RefreshToken {
    pub(super) permission: Permission,
    pub(super) number: u32,
    /// The etag of the grant's row since this token was issued. With it, an exchange needs no read.
    pub(super) etag: String,
    issued: i64,
}

impl Sealable for RefreshToken {
    const KIND: &'static str = "refresh tokens";
    /// Secret scanners find leaked tokens by it, as they find API keys.
    const PREFIX: &'static str = "msr_";
}

impl RefreshToken {
    pub(super) const fn new(permission: Permission, number: u32, etag: String, now: Timestamp) -> Self {
        Self { permission, number, etag, issued: now.as_millis() }
    }

    pub(super) fn is_in_time(&self, now: Timestamp) -> bool {
        Grant::is_in_time(self.permission.login(), Timestamp::from_millis(self.issued), now)
    }
}
