//! The first client, and the tokens that the service issues.

use super::vars::{Setting, Vars, any_text, parsed};
use crate::auth::{ApiKey, SignInIssuer, SigningKeys, TokenSettings, TrustedIssuers};
use crate::domain::{ClientId, Secret};

const CLIENT_ID: Setting<ClientId> = Setting { name: "SCHEDULER_CLIENT_ID", default: "", read: parsed };
const API_KEY: Setting<ApiKey> = Setting { name: "SCHEDULER_API_KEY", default: "", read: parse_api_key };
const SIGNING_KEYS: Setting<SigningKeys> = Setting { name: "JWT_SIGNING_KEYS", default: "", read: parsed };
const ISSUER: Setting<String> = Setting { name: "JWT_ISSUER", default: "mcp-scheduler", read: any_text };
const AUDIENCE: Setting<String> = Setting { name: "JWT_AUDIENCE", default: "mcp-scheduler", read: any_text };
const TTL_SECONDS: Setting<u32> = Setting { name: "JWT_TTL_SECONDS", default: "3600", read: parse_ttl };

const TRUSTED_ISSUERS: Setting<TrustedIssuers> = Setting { name: "TRUSTED_ISSUERS", default: "", read: parsed };
const SIGN_IN_ISSUER: Setting<SignInIssuer> = Setting { name: "SIGN_IN_ISSUER", default: "", read: parsed };

pub(super) const SETTINGS: [(&str, &str); 8] = [
    CLIENT_ID.entry(),
    API_KEY.entry(),
    SIGNING_KEYS.entry(),
    ISSUER.entry(),
    AUDIENCE.entry(),
    TTL_SECONDS.entry(),
    TRUSTED_ISSUERS.entry(),
    SIGN_IN_ISSUER.entry(),
];

/// The first client, and the tokens that the service issues.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// `SCHEDULER_CLIENT_ID`. Without it and the key the first start generates a client.
    pub client_id: Option<ClientId>,
    /// `SCHEDULER_API_KEY`. It is set together with the id, unless a vault has the other one.
    pub api_key: Option<ApiKey>,
    /// `JWT_SIGNING_KEYS`. Without it the first start generates a key.
    pub signing_keys: Option<SigningKeys>,
    /// `JWT_ISSUER`, `JWT_AUDIENCE` and `JWT_TTL_SECONDS`.
    pub tokens: TokenSettings,
    /// `TRUSTED_ISSUERS`: the issuers whose tokens are accepted too.
    pub trusted_issuers: Option<TrustedIssuers>,
    /// `SIGN_IN_ISSUER`: the issuer at which users can sign in.
    pub sign_in_issuer: Option<SignInIssuer>,
}

impl AuthConfig {
    pub(super) fn read(vars: &mut Vars<'_>) -> Self {
        check_client(vars);
        Self {
            client_id: vars.read(&CLIENT_ID),
            api_key: vars.read(&API_KEY),
            signing_keys: vars.read_secret(&SIGNING_KEYS),
            tokens: TokenSettings {
                issuer: vars.read(&ISSUER).unwrap_or_default(),
                audience: vars.read(&AUDIENCE).unwrap_or_default(),
                ttl_seconds: vars.read(&TTL_SECONDS).unwrap_or_default(),
            },
            trusted_issuers: vars.read(&TRUSTED_ISSUERS),
            sign_in_issuer: vars.read(&SIGN_IN_ISSUER),
        }
    }

    /// The client of the settings, if they have both parts.
    #[must_use]
    pub fn client(&self) -> Option<(&ClientId, &ApiKey)> {
        self.client_id.as_ref().zip(self.api_key.as_ref())
    }
}

/// The settings have the id and the key or neither of them, unless a vault can have the other one.
fn check_client(vars: &mut Vars<'_>) {
    if vars.has_vault {
        return;
    }
    match (vars.is_set(&CLIENT_ID), vars.is_set(&API_KEY)) {
        (true, false) => vars.problem(API_KEY.name, "is missing; set it together with SCHEDULER_CLIENT_ID"),
        (false, true) => vars.problem(CLIENT_ID.name, "is missing; set it together with SCHEDULER_API_KEY"),
        (false, false) => vars.missing_on_azure(CLIENT_ID.name),
        (true, true) => {}
    }
}

fn parse_api_key(text: &str) -> Result<ApiKey, String> {
    ApiKey::new(Secret::new(text.to_owned())).map_err(|error| error.to_string())
}

fn parse_ttl(text: &str) -> Result<u32, String> {
    let max = TokenSettings::MAX_TTL_SECONDS;
    let ttl = text.parse().ok().filter(|ttl| (60..=max).contains(ttl));
    ttl.ok_or_else(|| format!("must be a number of seconds from 60 to {max}"))
}
