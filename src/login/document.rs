//! Programs whose id is the URL of a document about them (OAuth Client ID Metadata Document).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::program::Program;
use crate::auth::DocumentFetcher;
use crate::json::StrictObject;
use crate::sync::lock;

/// The documents of programs, with a cache in memory. Nothing is stored, because everybody can name documents.
pub struct Documents {
    fetcher: Arc<dyn DocumentFetcher>,
    cache: Mutex<HashMap<String, Cached>>,
    turns: Semaphore,
}

/// The program of a document that was read at a time. `None` if the document is not one of a program.
type Cached = (Instant, Option<Program>);

/// The members of a document that count.
#[derive(Deserialize)]
struct Document {
    client_id: String,
    client_name: String,
    redirect_uris: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
    /// The methods of a program that can use several. The other one is then the one that it prefers.
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    client_secret: Option<serde::de::IgnoredAny>,
}

impl Documents {
    /// The most bytes of a document.
    pub const MAX_BYTES: usize = 5 * 1024;
    /// The longest time that reading a document may take.
    pub const TIMEOUT: Duration = Duration::from_secs(5);
    /// The time for which a document is not read again, and the same for one that could not be read.
    const CACHED_FOR: Duration = Duration::from_hours(1);
    const FAILURE_CACHED_FOR: Duration = Duration::from_mins(1);
    /// The most documents in the cache. At the limit all are dropped.
    const MAX_CACHED: usize = 1000;
    /// The documents that are read at one time. More are refused.
    const MAX_AT_ONCE: usize = 8;
    /// The longest id, and the longest name that is shown.
    const MAX_ID: usize = 1024;
    const MAX_NAME: usize = 100;

    /// The documents that a fetcher reads.
    #[must_use]
    pub fn new(fetcher: Arc<dyn DocumentFetcher>) -> Self {
        Self { fetcher, cache: Mutex::default(), turns: Semaphore::new(Self::MAX_AT_ONCE) }
    }

    /// The program with this id, if its document says so.
    pub(super) async fn program(&self, id: &str) -> Option<Program> {
        if !is_id(id) {
            return None;
        }
        if let Some((read_at, program)) = lock(&self.cache).get(id)
            && read_at.elapsed() < if program.is_some() { Self::CACHED_FOR } else { Self::FAILURE_CACHED_FOR }
        {
            return program.clone();
        }
        let _turn = self.turns.try_acquire().ok()?;
        let document = self.fetcher.fetch(id).await.filter(|document| document.len() <= Self::MAX_BYTES);
        let program = document.and_then(|document| program_of(id, &document));
        let mut cache = lock(&self.cache);
        if cache.len() >= Self::MAX_CACHED {
            cache.clear();
        }
        cache.insert(id.to_owned(), (Instant::now(), program.clone()));
        program
    }
}

/// Whether an id is the URL of a document, in its one form: https, with a path, and with nothing that hides where it
/// leads.
fn is_id(id: &str) -> bool {
    let Ok(url) = Url::parse(id) else { return false };
    url.scheme() == "https"
        && url.path() != "/"
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str() == id
        && id.len() <= Documents::MAX_ID
}

fn program_of(id: &str, document: &[u8]) -> Option<Program> {
    let StrictObject(document) = serde_json::from_slice::<StrictObject<Document>>(document).ok()?;
    let methods = document.token_endpoint_auth_method.iter().chain(&document.token_endpoint_auth_methods_supported);
    let can_be_public = document.token_endpoint_auth_method.is_none() || methods.into_iter().any(|m| m == "none");
    let is_public = document.client_secret.is_none() && can_be_public;
    // An address that this service does not accept hides no other one.
    let redirect_uris: Vec<_> = document.redirect_uris.iter().filter_map(|uri| uri.parse().ok()).collect();
    let name = document.client_name.chars().take(Documents::MAX_NAME).collect();
    let is_good = document.client_id == id && is_public && !redirect_uris.is_empty();
    is_good.then(|| Program { id: id.to_owned(), name: Some(name), redirect_uris })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;

    const ID: &str = "https://a.example/client.json";

    struct Fixed(String, AtomicUsize);

    #[async_trait]
    impl DocumentFetcher for Fixed {
        async fn fetch(&self, _: &str) -> Option<Bytes> {
            self.1.fetch_add(1, SeqCst);
            Some(Bytes::from(self.0.clone())).filter(|text| !text.is_empty())
        }

        async fn send_form(&self, _: &str, _: Bytes) -> Option<Bytes> {
            None
        }
    }

    fn documents(text: &str) -> (Documents, Arc<Fixed>) {
        let fetcher = Arc::new(Fixed(text.to_owned(), AtomicUsize::new(0)));
        (Documents::new(Arc::clone(&fetcher) as _), fetcher)
    }

    fn document(more: &str) -> String {
        format!(
            r#"{{"client_id":"{ID}","client_name":"An agent","redirect_uris":["http://localhost/cb","evil://x"]{more}}}"#
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_is_read_once_in_an_hour() {
        let (documents, fetcher) = documents(&document(r#","token_endpoint_auth_method":"none","logo_uri":1"#));
        for (wait, reads) in [(0, 1), (3599, 1), (1, 2)] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            let program = documents.program(ID).await.unwrap();
            assert_eq!((program.id.as_str(), program.name.as_deref()), (ID, Some("An agent")));
            assert_eq!(program.redirect_uris, ["http://localhost/cb".parse().unwrap()]);
            assert_eq!(fetcher.1.load(SeqCst), reads, "after {wait} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_kept_for_a_minute() {
        let (documents, fetcher) = documents("");
        for (wait, reads) in [(0, 1), (59, 1), (1, 2)] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            assert_eq!((documents.program(ID).await, fetcher.1.load(SeqCst)), (None, reads), "after {wait} s");
        }
    }

    #[tokio::test]
    async fn a_document_that_is_not_of_a_public_program_is_refused() {
        let without = |member: &str| document("").replace(member, "x");
        for text in [
            without("client_id"),
            without("client_name"),
            without("redirect_uris"),
            document("").replace(ID, "https://b.example/client.json"),
            document("").replace("http://localhost/cb", "http://a.example/"),
            document(r#","client_secret":"x""#),
            document(r#","token_endpoint_auth_method":"client_secret_basic""#),
            document(r#","token_endpoint_auth_method":"a","token_endpoint_auth_methods_supported":["a","b"]"#),
            format!("[{}]", document("")),
            document(&format!(r#","x":"{}""#, "x".repeat(Documents::MAX_BYTES))),
            "no JSON".to_owned(),
        ] {
            assert_eq!(documents(&text).0.program(ID).await, None, "{text:.80}");
        }
    }

    #[tokio::test]
    async fn only_the_one_form_of_an_https_url_with_a_path_is_read() {
        for bad in [
            "https://a.example",
            "https://a.example/",
            "http://a.example/client.json",
            "https://user@a.example/client.json",
            "https://a.example/client.json#x",
            "https://a.example/x/../client.json",
            "https://A.example/client.json",
            "https://a.example:443/client.json",
            &format!("{ID}?{}", "x".repeat(1024)),
        ] {
            let (documents, fetcher) = documents(&document("").replace(ID, bad));
            assert_eq!((documents.program(bad).await, fetcher.1.load(SeqCst)), (None, 0), "{bad}");
        }
    }
}
