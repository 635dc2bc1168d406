//! Checked settings. No error quotes a value, because a value may be a secret.

use std::fmt;

use url::{Host, Url};

use crate::domain::Secret;

const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
const IDENTITY_HEADER: &str = "IDENTITY_HEADER";

/// A setting that is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The name of the setting.
    pub name: &'static str,
    /// The problem. It does not quote the value.
    pub problem: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

impl std::error::Error for SettingError {}

/// The endpoint that issues tokens of a managed identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySource {
    /// The setting `IDENTITY_ENDPOINT`.
    pub endpoint: String,
    /// The setting `IDENTITY_HEADER`, a secret that authenticates us to the endpoint.
    pub header: Secret<String>,
    /// The client id of a user-assigned identity. `None` for the system-assigned one.
    pub client_id: Option<String>,
}

impl IdentitySource {
    /// Reads the settings that the platform makes, with a function that returns the value of a setting.
    ///
    /// # Errors
    /// The first [`SettingError`].
    pub fn from_vars(
        get: impl Fn(&'static str) -> Option<String>,
        client_id: Option<String>,
    ) -> Result<Self, SettingError> {
        let wrong = |name, problem| SettingError { name, problem };
        let needed = |name| {
            let problem = || wrong(name, "is missing; the platform sets it for an app with an identity".to_owned());
            get(name).ok_or_else(problem)
        };
        Ok(Self {
            endpoint: endpoint(&needed(IDENTITY_ENDPOINT)?).map_err(|problem| wrong(IDENTITY_ENDPOINT, problem))?,
            header: Secret::new(needed(IDENTITY_HEADER)?),
            client_id,
        })
    }
}

/// Checks that paths can be appended to a URL, and removes the slash at its end.
///
/// # Errors
/// The problem, as a sentence that follows the setting's name.
pub fn endpoint(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "is not a URL such as https://example.table.core.windows.net")?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "http" | "https") || !plain || url.password().is_some() {
        return Err("must be an http or https URL without user, query and fragment".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The same, and refuses plain http beyond this machine, because a token must not cross a network unencrypted.
///
/// # Errors
/// The problem, as a sentence that follows the setting's name.
pub fn private_endpoint(text: &str) -> Result<String, String> {
    let endpoint = endpoint(text)?;
    let url = Url::parse(&endpoint).map_err(|e| e.to_string())?;
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "https" || loopback { Ok(endpoint) } else { Err("must be an https URL".to_owned()) }
}
