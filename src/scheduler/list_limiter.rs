//! The limit on the lists that are read at one time.
//!
//! A list reads many rows, and on a laptop it occupies a thread while it does. Lists of one client wait for each other, in
//! the order in which they came, so a client with many lists delays only its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::ClientId;
use crate::sync::lock;

/// The limits of all clients, and the limit of the process.
pub(super) struct ListLimiter {
    clients: Mutex<HashMap<ClientId, Weak<Semaphore>>>,
    all: Arc<Semaphore>,
}

/// The right to read one list. It ends when the value is dropped.
pub(super) struct ListPermit {
    _of_client: OwnedSemaphorePermit,
    _of_process: OwnedSemaphorePermit,
    /// Keeps the client's entry while a list of the client waits or is read.
    _limit: Arc<Semaphore>,
}

impl ListLimiter {
    /// The lists of one client that are read at one time.
    const PER_CLIENT: usize = 2;
    /// The lists of all clients that are read at one time.
    const IN_ALL: usize = 4;
    /// The longest time that a list waits. A client that gets no list by then sends them faster than they can be read.
    const MAX_WAIT: Duration = Duration::from_secs(10);

    pub(super) fn new() -> Self {
        Self { clients: Mutex::default(), all: Arc::new(Semaphore::new(Self::IN_ALL)) }
    }

    /// Waits until a list of this client may be read. `None` if that takes too long.
    pub(super) async fn take(&self, client: &ClientId) -> Option<ListPermit> {
        let limit = self.limit_of(client);
        let permits = async {
            // A client waits for the process only with the few lists that its own limit lets through, so a client that
            // comes later waits for no more than these.
            let of_client = Arc::clone(&limit).acquire_owned().await.ok()?;
            let of_process = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some((of_client, of_process))
        };
        let (of_client, of_process) = tokio::time::timeout(Self::MAX_WAIT, permits).await.ok()??;
        Some(ListPermit { _of_client: of_client, _of_process: of_process, _limit: limit })
    }

    fn limit_of(&self, client: &ClientId) -> Arc<Semaphore> {
        let mut clients = lock(&self.clients);
        if let Some(limit) = clients.get(client).and_then(Weak::upgrade) {
            return limit;
        }
        clients.retain(|_, limit| limit.strong_count() > 0);
        let limit = Arc::new(Semaphore::new(Self::PER_CLIENT));
        clients.insert(client.clone(), Arc::downgrade(&limit));
        limit
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn client(name: &str) -> ClientId {
        name.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_reads_two_lists_at_a_time_and_other_clients_do_not_wait_for_it() {
        let limiter = ListLimiter::new();
        let held = [limiter.take(&client("ann")).await, limiter.take(&client("ann")).await];
        assert!(held.iter().all(Option::is_some));
        assert!(limiter.take(&client("ann")).now_or_never().is_none());
        let other = [limiter.take(&client("bob")).await, limiter.take(&client("bob")).await];
        assert!(other.iter().all(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn the_process_reads_four_lists_at_a_time() {
        let limiter = ListLimiter::new();
        let mut held = Vec::new();
        for name in ["ann", "ann", "bob", "bob"] {
            held.push(limiter.take(&client(name)).now_or_never().unwrap());
        }
        assert!(limiter.take(&client("eve")).now_or_never().is_none());
        held.pop();
        assert!(limiter.take(&client("eve")).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_waits_for_its_turn_and_is_refused_if_that_takes_too_long() {
        let limiter = ListLimiter::new();
        let first = limiter.take(&client("ann")).await;
        let _second = limiter.take(&client("ann")).await;
        let name = client("ann");
        let free_soon = async {
            tokio::time::sleep(ListLimiter::MAX_WAIT / 2).await;
            drop(first);
        };
        let (third, ()) = tokio::join!(limiter.take(&name), free_soon);
        assert!(third.is_some());
        assert!(limiter.take(&name).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_left_of_clients_whose_lists_are_read() {
        let limiter = ListLimiter::new();
        for number in 0..10 {
            drop(limiter.take(&client(&format!("client-{number}"))).await);
        }
        assert_eq!(lock(&limiter.clients).len(), 1);
    }
}
