//! The port to other services on the internet: the documents of programs, and other issuers.

use async_trait::async_trait;
use bytes::Bytes;

/// Reads documents on the internet, and sends forms.
#[async_trait]
pub trait DocumentFetcher: Send + Sync + 'static {
    /// The document at a URL, without following a redirect, and at most 64 KiB. `None` if it cannot be read.
    async fn fetch(&self, url: &str) -> Option<Bytes>;

    /// Sends a form to a URL with POST, and returns the body of the response, whatever its status, with the same limits.
    async fn send_form(&self, url: &str, form: Bytes) -> Option<Bytes>;
}
