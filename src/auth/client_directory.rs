//! Finds clients by their ids, with a short cache before the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::current::Current;
use crate::domain::ClientId;
use crate::store::{Client, ClientStore, StoreError};
use crate::sync::lock;

/// All clients: one from the configuration, the others from the store.
pub struct ClientDirectory {
    /// The client of the configuration. It can change.
    configured: Option<Current<Arc<Client>>>,
    store: ClientStore,
    /// The clients that were read, and the ids that belong to no client.
    cache: Mutex<HashMap<ClientId, Answer>>,
}

/// The client that the store had for an id, and the time when the read began.
type Answer = (Instant, Option<Arc<Client>>);

impl ClientDirectory {
    /// The time for which a client that was read is reused. A revocation takes effect within this time.
    const CACHED_FOR: Duration = Duration::from_mins(1);
    /// The most answers in the cache. At the limit all are dropped.
    const MAX_CACHED: usize = 10_000;
    /// The longest wait for a read whose result is not needed.
    const MAX_UNUSED_READ: Duration = Duration::from_secs(1);

    /// A directory over a store. The configured client is not in the store, so that the service can start while the
    /// store is down.
    #[must_use]
    pub fn new(configured: Option<Client>, store: ClientStore) -> Self {
        Self { configured: configured.map(|client| Arc::new(client).into()), store, cache: Mutex::default() }
    }

    /// The same with a configured client that can change.
    #[must_use]
    pub fn with_first(first: Current<Arc<Client>>, store: ClientStore) -> Self {
        Self { configured: Some(first), store, cache: Mutex::default() }
    }

    /// The client with this id. An answer may be a minute old.
    ///
    /// # Errors
    /// [`StoreError`] if the client is not in the cache and the store fails.
    pub async fn find(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        if let Some(client) = self.configured(id) {
            return Ok(Some(client));
        }
        let cached = lock(&self.cache).get(id).filter(|(read_at, _)| read_at.elapsed() < Self::CACHED_FOR).cloned();
        if let Some((_, client)) = cached {
            return Ok(client);
        }
        // A change that is made during the read may be missing in its result.
        let read_at = Instant::now();
        let found = self.store.get(id).await?.map(Arc::new);
        let mut cache = lock(&self.cache);
        if cache.len() >= Self::MAX_CACHED {
            cache.clear();
        }
        cache.insert(id.clone(), (read_at, found.clone()));
        Ok(found)
    }

    /// The client with this id, for a login. Every id costs one read of the store, so that the time of a login does not
    /// tell which clients exist.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails, except for the configured client.
    pub async fn find_for_login(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        let stored = self.store.get(id);
        match self.configured(id) {
            // This client can log in while the store is down, so the result of the read does not matter.
            Some(client) => {
                let _ = tokio::time::timeout(Self::MAX_UNUSED_READ, stored).await;
                Ok(Some(client))
            }
            None => Ok(stored.await?.map(Arc::new)),
        }
    }

    /// The client of the configuration, which is not in the store.
    pub(super) fn first(&self) -> Option<Arc<Client>> {
        self.configured.as_ref().map(Current::get)
    }

    /// The clients in the store.
    pub(super) const fn store(&self) -> &ClientStore {
        &self.store
    }

    /// Reads the client again the next time: this process has changed it.
    pub(super) fn forget(&self, id: &ClientId) {
        lock(&self.cache).remove(id);
    }

    fn configured(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.first().filter(|client| client.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scopes;
    use crate::testing::{Faults, SimulatedTable};

    const READ: Duration = Duration::from_millis(8);

    struct Slow;

    impl Faults for Slow {
        fn latency(&self) -> Duration {
            READ
        }
    }

    fn client(id: &str) -> Client {
        Client::without_keys(id.parse().unwrap(), Scopes::all())
    }

    async fn directory() -> ClientDirectory {
        let store = ClientStore::new(Arc::new(SimulatedTable::new(Slow)));
        store.insert(&client("stored")).await.unwrap();
        ClientDirectory::new(Some(client("configured")), store)
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_takes_the_same_time_for_every_id() {
        let directory = directory().await;
        for id in ["stored", "configured", "nobody", "stored", "configured", "nobody"] {
            directory.find(&"stored".parse().unwrap()).await.unwrap();
            let began = Instant::now();
            let found = directory.find_for_login(&id.parse().unwrap()).await.unwrap();
            assert_eq!((began.elapsed(), found.is_some()), (READ, id != "nobody"), "{id}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_during_a_slow_read_is_seen_a_minute_after_it() {
        struct VerySlow;
        impl Faults for VerySlow {
            fn latency(&self) -> Duration {
                Duration::from_secs(5)
            }
        }
        let directory = ClientDirectory::new(None, ClientStore::new(Arc::new(SimulatedTable::new(VerySlow))));
        let a_minute_later = Instant::now() + Duration::from_mins(1);
        assert!(directory.find(&"late".parse().unwrap()).await.unwrap().is_none());
        directory.store().insert(&client("late")).await.unwrap();
        tokio::time::sleep_until(a_minute_later).await;
        assert!(directory.find(&"late".parse().unwrap()).await.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_a_minute_also_if_there_is_no_such_client() {
        let directory = directory().await;
        for id in ["stored", "nobody"] {
            for (wait, read) in [(0, READ), (0, Duration::ZERO), (59, Duration::ZERO), (60, READ)] {
                tokio::time::advance(Duration::from_secs(wait)).await;
                let began = Instant::now();
                assert_eq!(directory.find(&id.parse().unwrap()).await.unwrap().is_some(), id == "stored");
                assert_eq!(began.elapsed(), read, "{id} after {wait} s");
            }
        }
    }
}
