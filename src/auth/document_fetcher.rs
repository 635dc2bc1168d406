//! The port for documents on the internet: those of programs, and the keys of other issuers.

use async_trait::async_trait;
use bytes::Bytes;

/// Reads documents on the internet.
#[async_trait]
pub trait DocumentFetcher: Send + Sync + 'static {
    /// The document at a URL, without following a redirect, and at most 64 KiB. `None` if it cannot be read.
    async fn fetch(&self, url: &str) -> Option<Bytes>;
}
