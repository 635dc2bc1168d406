//! The API keys that were accepted as bearer tokens.

use std::collections::HashSet;
use std::sync::Mutex;

use ring::digest::{SHA256, digest};

use crate::domain::Secret;
use crate::sync::lock;

/// Remembers the keys that were right, by their hashes. A client that sends its key with every request costs no login
/// each time. The key itself is checked each time, because it may have been retired.
#[derive(Default)]
pub(super) struct AcceptedKeys(Mutex<HashSet<Vec<u8>>>);

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
fn hash(client: &str, key: &Secret<String>) -> Vec<u8> {
    digest(&SHA256, format!("{client}:{}", key.expose()).as_bytes()).as_ref().to_vec()
}
