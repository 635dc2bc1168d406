//! The API keys that were accepted as bearer tokens.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::domain::{Secret, Sha256};
use crate::sync::lock;

/// Remembers the keys that were right, by their hashes. A client that sends its key with every request costs no login
/// each time. The key itself is checked each time, because it may have been retired.
#[derive(Default)]
pub(super) struct AcceptedKeys(Mutex<HashSet<Sha256>>);

impl AcceptedKeys {
    /// The most keys. At the limit all are dropped.
    const MAX: usize = 1000;

    pub(super) fn contains(&self, client: &str, key: &Secret<String>) -> bool {
        lock(&self.0).contains(&hash(client, key))
    }

    pub(super) fn insert(&self, client: &str, key: &Secret<String>) {
        let mut accepted = lock(&self.0);
        if accepted.len() >= Self::MAX {
            accepted.clear();
        }
        accepted.insert(hash(client, key));
    }
}

/// No client id has a colon.
fn hash(client: &str, key: &Secret<String>) -> Sha256 {
    Sha256::of(format!("{client}:{}", key.expose()).as_bytes())
}
