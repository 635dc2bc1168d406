//! The share of each client in the deliveries that this process makes at one time.
//!
//! A client gets a permit while it holds fewer permits than are free. So one client alone holds up to a half of all
//! permits, two clients a third each, and `n` clients one part of `n + 1`. The rest is free for clients that come. No
//! permit is ever taken back, so deliveries that hang delay only deliveries of the same client. Of the clients that wait,
//! the one that holds least is served first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::domain::ClientId;
use crate::sync::lock;

/// The permits of all clients.
pub struct ClientLimiter(Arc<Mutex<Permits>>);

struct Permits {
    all: usize,
    free: usize,
    clients: BTreeMap<ClientId, Share>,
}

/// A client that holds permits or waits for some. Its entry is removed with the last of them.
struct Share {
    held: usize,
    waiting: VecDeque<Waiter>,
    look_ups: Arc<Semaphore>,
}

/// A delivery that waits for so many permits.
struct Waiter {
    wanted: usize,
    ready: oneshot::Sender<ClientPermit>,
}

/// The right of a client to one delivery. It ends when the value is dropped.
pub struct ClientPermit {
    permits: Arc<Mutex<Permits>>,
    client: ClientId,
    held: usize,
    look_ups: Arc<Semaphore>,
}

impl ClientLimiter {
    /// Each further part of a text of this size takes one more permit, so that the permits also limit the memory that
    /// texts occupy.
    const BYTES_PER_PERMIT: usize = 64 * 1024;

    /// The most look-ups of names that are under way for a client. Each takes a few sockets.
    const LOOK_UPS: usize = 64;

    /// A limiter of this many permits.
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(Mutex::new(Permits { all: permits, free: permits, clients: BTreeMap::new() })))
    }

    /// The permits that a delivery with a text of this size needs.
    pub const fn needed(bytes: usize) -> usize {
        1 + bytes / Self::BYTES_PER_PERMIT
    }

    /// Waits for permits for a delivery of a client. `None` if there were none until the deadline.
    pub async fn acquire(&self, client: &ClientId, wanted: usize, deadline: Option<Instant>) -> Option<ClientPermit> {
        let ready = {
            let mut permits = lock(&self.0);
            // No client ever holds more than a half, so nobody could wait for more.
            let wanted = wanted.min(permits.all / 2).max(1);
            let share = permits.clients.entry(client.clone()).or_insert_with(Share::new);
            let (sender, ready) = oneshot::channel();
            share.waiting.push_back(Waiter { wanted, ready: sender });
            ready
        };
        grant(&self.0);
        match deadline {
            Some(deadline) => timeout_at(deadline, ready).await.ok()?.ok(),
            None => ready.await.ok(),
        }
    }
}

/// Gives free permits to deliveries that wait.
fn grant(all: &Arc<Mutex<Permits>>) {
    loop {
        let refused = {
            let mut permits = lock(all);
            let Some((client, waiter)) = permits.next() else { return };
            let permit = permits.take(all, client, waiter.wanted);
            // The delivery may have given up at this moment. Its permit is dropped without the lock.
            waiter.ready.send(permit).err()
        };
        drop(refused);
    }
}

impl Permits {
    /// Takes the delivery that is served next from its queue.
    fn next(&mut self) -> Option<(ClientId, Waiter)> {
        let free = self.free;
        self.clients.retain(|_, share| {
            while share.waiting.pop_front_if(|waiter| waiter.ready.is_closed()).is_some() {}
            share.held > 0 || !share.waiting.is_empty()
        });
        let fits = |share: &Share| share.waiting.front().is_some_and(|waiter| share.held + waiter.wanted <= free);
        let served = self.clients.iter_mut().filter(|(_, share)| fits(share)).min_by_key(|(_, share)| share.held);
        let (client, share) = served?;
        Some((client.clone(), share.waiting.pop_front()?))
    }

    fn take(&mut self, all: &Arc<Mutex<Self>>, client: ClientId, count: usize) -> ClientPermit {
        self.free -= count;
        let share = self.clients.entry(client.clone()).or_insert_with(Share::new);
        share.held += count;
        ClientPermit { permits: Arc::clone(all), client, held: count, look_ups: Arc::clone(&share.look_ups) }
    }
}

impl Share {
    fn new() -> Self {
        Self { held: 0, waiting: VecDeque::new(), look_ups: Arc::new(Semaphore::new(ClientLimiter::LOOK_UPS)) }
    }
}

impl ClientPermit {
    /// The number of permits.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Waits until the client may look up a name.
    pub async fn look_up(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.look_ups.acquire().await.ok()
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        {
            let mut permits = lock(&self.permits);
            permits.free += self.held;
            if let Some(share) = permits.clients.get_mut(&self.client) {
                share.held -= self.held;
            }
        }
        grant(&self.permits);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    fn client(number: usize) -> ClientId {
        format!("client-{number}").parse().unwrap()
    }

    fn try_acquire(limiter: &ClientLimiter, number: usize, wanted: usize) -> Option<ClientPermit> {
        // Without `unconstrained`, tokio lets a task wait that has taken 128 permits.
        unconstrained(limiter.acquire(&client(number), wanted, None)).now_or_never().flatten()
    }

    /// Takes permits until the client has its share.
    fn take_all(limiter: &ClientLimiter, number: usize) -> Vec<ClientPermit> {
        std::iter::from_fn(|| try_acquire(limiter, number, 1)).collect()
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
    async fn a_delivery_that_waits_has_the_permit_that_becomes_free() {
        let limiter = ClientLimiter::new(10);
        let mut share = take_all(&limiter, 1);
        assert_eq!(share.len(), 5);
        let (one, other) = (client(1), client(1));
        let mut first = std::pin::pin!(limiter.acquire(&one, 1, None));
        let mut second = std::pin::pin!(limiter.acquire(&other, 1, None));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        drop(share.pop());
        assert!(first.now_or_never().flatten().is_some(), "they are served in their order");
        assert!(second.now_or_never().flatten().is_some(), "and the first permit is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_that_holds_least_is_served_first() {
        let limiter = ClientLimiter::new(12);
        let mut many = take_all(&limiter, 1);
        let few = take_all(&limiter, 2);
        assert_eq!((many.len(), few.len()), (6, 3));
        let (one, three) = (client(1), client(3));
        let mut waits = std::pin::pin!(limiter.acquire(&one, 1, None));
        assert!(waits.as_mut().now_or_never().is_none());
        let mut comes = std::pin::pin!(limiter.acquire(&three, 2, None));
        assert!(comes.as_mut().now_or_never().is_some_and(|permit| permit.is_some()));
        drop(many.pop());
        assert!(waits.as_mut().now_or_never().is_none(), "five are held, and two are free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_waits_until_its_deadline_and_nothing_is_left_of_it() {
        let limiter = ClientLimiter::new(10);
        let share = take_all(&limiter, 1);
        let deadline = Instant::now() + Duration::from_secs(45);
        assert!(limiter.acquire(&client(1), 1, Some(deadline)).await.is_none());
        assert_eq!(Instant::now(), deadline);
        drop(share);
        assert_eq!(lock(&limiter.0).free, 10);
        assert!(lock(&limiter.0).clients.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn each_client_looks_up_64_names_at_a_time() {
        let limiter = ClientLimiter::new(1024);
        let permits = take_all(&limiter, 1);
        let look_ups: Vec<_> =
            permits.iter().map_while(|permit| unconstrained(permit.look_up()).now_or_never()).collect();
        assert_eq!(look_ups.len(), 64);
        assert!(unconstrained(try_acquire(&limiter, 2, 1).unwrap().look_up()).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn large_texts_take_more_of_the_share() {
        let needed = [0, 64 * 1024 - 1, 64 * 1024, 192 * 1024].map(ClientLimiter::needed);
        assert_eq!(needed, [1, 1, 2, 4]);
        let limiter = ClientLimiter::new(16);
        let large: Vec<_> = (0..3).filter_map(|_| try_acquire(&limiter, 1, 4)).collect();
        assert_eq!(large.len(), 2, "eight are a half");
        let limiter = ClientLimiter::new(4);
        assert!(try_acquire(&limiter, 1, 4).is_some(), "a text that needs more than a half has the half");
    }
}
