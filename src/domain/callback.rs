//! Where the news of an ended delivery goes.

use super::{Endpoint, Headers};

/// An endpoint that is told how a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The URL, as the caller wrote it.
    pub endpoint: Endpoint,
    /// The caller's headers for it.
    pub headers: Headers,
}

/// The callbacks of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// The one for a delivery that failed.
    pub on_failed: Option<Callback>,
    /// The one for a delivery that the endpoint accepted.
    pub on_completed: Option<Callback>,
}

impl Callbacks {
    /// The size of all endpoints and headers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let both = self.on_failed.iter().chain(&self.on_completed);
        both.map(|callback| callback.endpoint.as_str().len() + callback.headers.bytes()).sum()
    }
}
