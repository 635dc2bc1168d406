//! The program that asks a user for access.

use url::Url;

use crate::domain::RedirectUri;

/// The program that asks a user for access: what OAuth calls the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its `client_id`.
    pub id: String,
    /// The name that it gives itself. Nobody has checked it.
    pub name: Option<String>,
    /// The addresses to which a login may return the browser.
    pub redirect_uris: Vec<RedirectUri>,
}

/// The host that answers for a program's id. Only an id that is the URL of a document has one.
pub(super) fn host_of_id(id: &str) -> Option<String> {
    Url::parse(id).ok().filter(|url| url.scheme() == "https")?.host_str().map(str::to_owned)
}
