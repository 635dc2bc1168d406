//! What every client of a service of Azure needs: an HTTP client, checked URLs, and tokens of the managed identity.

mod identity;
mod settings;

use std::time::Duration;

pub use identity::{AccessToken, ManagedIdentity};
pub use settings::{IdentitySource, SettingError, endpoint, private_endpoint};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The HTTP client for services of Azure, to which the caller adds limits. It neither follows a redirect nor repeats a
/// request.
#[allow(clippy::disallowed_methods)] // the only place that creates the HTTP client for Azure
pub fn http_client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
}
