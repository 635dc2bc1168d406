//! Finds clients by their ids, with a short cache before the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ClientId;
use crate::store::{Client, ClientStore, StoreError};
use crate::sync::lock;

/// All clients: one from the configuration, the others from the store.
pub struct ClientDirectory {
    configured: Option<Arc<Client>>,
    store: ClientStore,
    cache: Mutex<HashMap<ClientId, (Instant, Arc<Client>)>>,
}

impl ClientDirectory {
    /// The time for which a client that was read is reused. A revocation takes effect within this time.
    const CACHED_FOR: Duration = Duration::from_mins(1);

    /// A directory over a store. The configured client is not in the store, so that the service can start while the
    /// store is down.
    #[must_use]
    pub fn new(configured: Option<Client>, store: ClientStore) -> Self {
        Self { configured: configured.map(Arc::new), store, cache: Mutex::default() }
    }

    /// The client with this id.
    ///
    /// # Errors
    /// [`StoreError`] if the client is not in the cache and the store fails.
    pub async fn find(&self, id: &ClientId) -> Result<Option<Arc<Client>>, StoreError> {
        if let Some(client) = self.configured.as_ref().filter(|c| c.id == *id) {
            return Ok(Some(client.clone()));
        }
        let fresh =
            |(read_at, client): &(Instant, Arc<Client>)| (read_at.elapsed() < Self::CACHED_FOR).then(|| client.clone());
        let cached = lock(&self.cache).get(id).and_then(fresh);
        if cached.is_some() {
            return Ok(cached);
        }
        let found = self.store.get(id).await?.map(Arc::new);
        let mut cache = lock(&self.cache);
        match &found {
            // Only clients that exist are cached, so guessed ids do not fill the memory.
            Some(client) => drop(cache.insert(id.clone(), (Instant::now(), client.clone()))),
            None => drop(cache.remove(id)),
        }
        Ok(found)
    }
}
