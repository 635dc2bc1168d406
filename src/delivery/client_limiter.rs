//! The share of each client in the deliveries that this process makes at one time.
//!
//! A client gets a permit while it holds fewer permits than are free. So one client alone holds up to a half of all
//! permits, two clients a third each, and `n` clients one part of `n + 1`. The rest is free for clients that come. No
//! permit is ever taken back, so deliveries that hang delay only deliveries of the same client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::retry_schedule::{Busy, RetrySchedule};
use crate::domain::ClientId;
use crate::sync::lock;

/// The permits of all clients.
pub struct ClientLimiter(Arc<Mutex<Permits>>);

struct Permits {
    free: usize,
    clients: HashMap<ClientId, Share>,
}

/// A client that holds permits. Its entry is removed with the last of them.
struct Share {
    held: usize,
    retries: RetrySchedule,
    look_ups: Arc<Semaphore>,
}

/// The right of a client to one delivery. It ends when the value is dropped.
pub struct ClientPermit {
    permits: Arc<Mutex<Permits>>,
    client: ClientId,
    held: usize,
    since: Instant,
    look_ups: Arc<Semaphore>,
}

impl ClientLimiter {
    /// Each further part of a payload of this size takes one more permit, so that the permits also limit the memory that
    /// payloads occupy.
    const BYTES_PER_PERMIT: usize = 64 * 1024;

    /// The most look-ups of names that are under way for a client. Each takes a few sockets.
    const LOOK_UPS: usize = 64;

    /// A limiter of this many permits.
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(Mutex::new(Permits { free: permits, clients: HashMap::new() })))
    }

    /// Takes a permit for a delivery of a client.
    ///
    /// # Errors
    /// [`Busy`] if the client holds its share.
    pub fn take(&self, client: &ClientId) -> Result<ClientPermit, Busy> {
        let look_ups = lock(&self.0).take(client, 1)?;
        let permits = Arc::clone(&self.0);
        Ok(ClientPermit { permits, client: client.clone(), held: 1, since: Instant::now(), look_ups })
    }
}

impl Permits {
    fn take(&mut self, client: &ClientId, count: usize) -> Result<Arc<Semaphore>, Busy> {
        let held = self.clients.get(client).map_or(0, |share| share.held);
        if held + count > self.free {
            let refused = self.clients.get_mut(client).map(|share| share.retries.refuse());
            return Err(refused.unwrap_or_else(|| RetrySchedule::new(1).refuse()));
        }
        self.free -= count;
        let new = || Share {
            held: 0,
            retries: RetrySchedule::new(self.free),
            look_ups: Arc::new(Semaphore::new(ClientLimiter::LOOK_UPS)),
        };
        let share = self.clients.entry(client.clone()).or_insert_with(new);
        share.held += count;
        Ok(Arc::clone(&share.look_ups))
    }
}

impl ClientPermit {
    /// Takes the further permits that a payload of this size needs.
    ///
    /// # Errors
    /// [`Busy`] if the client's share is too small for them now.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Busy> {
        let missing = (1 + bytes / ClientLimiter::BYTES_PER_PERMIT).saturating_sub(self.held);
        if missing > 0 {
            lock(&self.permits).take(&self.client, missing)?;
            self.held += missing;
        }
        Ok(())
    }

    /// Waits until the client may look up a name.
    pub async fn look_up(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.look_ups.acquire().await.ok()
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut permits = lock(&self.permits);
        permits.free += self.held;
        let Some(share) = permits.clients.get_mut(&self.client) else { return };
        share.retries.observe(self.since.elapsed(), share.held);
        share.held -= self.held;
        if share.held == 0 {
            permits.clients.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    fn client(number: usize) -> ClientId {
        format!("client-{number}").parse().unwrap()
    }

    /// Takes permits until the client has its share.
    fn take_all(limiter: &ClientLimiter, number: usize) -> Vec<ClientPermit> {
        std::iter::from_fn(|| limiter.take(&client(number)).ok()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_alone_holds_a_half_and_each_that_comes_finds_a_share() {
        let limiter = ClientLimiter::new(1024);
        let shares: Vec<_> = (0..6).map(|number| take_all(&limiter, number)).collect();
        assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [512, 256, 128, 64, 32, 16]);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_go_on_have_equal_shares_in_the_end() {
        let limiter = ClientLimiter::new(1000);
        let mut shares: Vec<_> = (0..4).map(|number| take_all(&limiter, number)).collect();
        for _ in 0..1000 {
            for (number, share) in shares.iter_mut().enumerate() {
                drop(share.pop());
                share.extend(take_all(&limiter, number));
            }
        }
        assert!(shares.iter().all(|share| (199..=201).contains(&share.len())), "four shares and the free one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_dropped_can_be_taken_again_and_nothing_is_left_of_a_client_without_permits() {
        let limiter = ClientLimiter::new(10);
        for _ in 0..3 {
            let share = take_all(&limiter, 1);
            assert_eq!(share.len(), 5);
            let Busy { retry_in } = limiter.take(&client(1)).err().unwrap();
            assert!((Duration::from_secs(1)..=RetrySchedule::MAX).contains(&retry_in));
        }
        assert!(lock(&limiter.0).clients.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn each_client_looks_up_64_names_at_a_time() {
        let limiter = ClientLimiter::new(1024);
        let permits = take_all(&limiter, 1);
        let look_ups: Vec<_> = permits.iter().map_while(|permit| permit.look_up().now_or_never()).collect();
        assert_eq!(look_ups.len(), 64);
        assert!(limiter.take(&client(2)).unwrap().look_up().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn large_texts_take_more_of_the_share() {
        let limiter = ClientLimiter::new(16);
        let mut large: Vec<_> = (0..3).map(|_| limiter.take(&client(1)).unwrap()).collect();
        let covered: Vec<_> = large.iter_mut().map(|permit| permit.cover(192 * 1024).is_ok()).collect();
        assert_eq!(covered, [true, true, false], "two of four permits and one of one make nine, more than a half");
        large[0].cover(192 * 1024).unwrap();
        assert_eq!(lock(&limiter.0).free, 7, "a second reading takes nothing more");
        drop(large);
        let mut small = limiter.take(&client(1)).unwrap();
        small.cover(64 * 1024 - 1).unwrap();
        assert_eq!(lock(&limiter.0).free, 15);
    }
}
