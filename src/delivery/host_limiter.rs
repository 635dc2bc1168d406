//! The limit on deliveries that are under way to one host.
//!
//! A host is the address and port that the endpoint's name leads to, and each client has its own limit for it: many
//! clients may deliver to different customers behind one address, and many names may lead to one machine.
//!
//! A delivery takes a permit before it claims, so while it waits no attempt is counted and no lease runs. It waits a
//! second. If the host is then still the bottleneck, the delivery learns when to try again and makes room for
//! deliveries to other hosts. If the store is the bottleneck, the delivery keeps waiting, because another try would
//! load the store even more.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::retry_schedule::{Busy, RetrySchedule};
use crate::domain::ClientId;
use crate::sync::lock;

type Hosts = Mutex<HashMap<Key, Weak<Host>>>;
type Key = (ClientId, SocketAddr);

/// The permits of all hosts.
#[derive(Default)]
pub struct HostLimiter(Arc<Hosts>);

/// The right to deliver to a host. It ends when the value is dropped.
pub struct HostPermit {
    host: Arc<Host>,
    permit: OwnedSemaphorePermit,
}

/// A host to which a client has deliveries under way or waiting. Its entry is removed with the last of them.
struct Host {
    key: Key,
    hosts: Weak<Hosts>,
    permits: Arc<Semaphore>,
    load: Mutex<HostLoad>,
}

struct HostLoad {
    /// The number of permits, taken or free.
    permits: usize,
    /// The number of permits whose delivery is in its exchange. The deliveries of the others use the store.
    exchanging: usize,
    retries: RetrySchedule,
}

impl HostLimiter {
    /// The most deliveries of a client that are under way to one host, unless it answers fast.
    pub const PER_HOST: usize = 8;
    /// The most deliveries of a client that are under way to a host that answers within [`Self::FAST_RESPONSE`]. They
    /// hold a permit mostly while our own commit is synced, so a limit of 8 would serialise bursts.
    const PER_FAST_HOST: usize = 64;
    /// An exchange that is shorter adds a permit to its host. One that is longer removes an added permit.
    const FAST_RESPONSE: Duration = Duration::from_millis(20);
    /// The longest time that a delivery waits for a permit of a busy host.
    const MAX_WAIT: Duration = Duration::from_secs(1);

    /// Takes a permit of a client for a host, and waits for it if necessary.
    ///
    /// # Errors
    /// [`Busy`] if the host has no permit soon.
    pub async fn take(&self, client: &ClientId, address: SocketAddr) -> Result<HostPermit, Busy> {
        let host = self.host((client.clone(), address));
        match host.wait().await {
            Some(permit) => Ok(HostPermit { host, permit }),
            None => Err(lock(&host.load).retries.refuse()),
        }
    }

    fn host(&self, key: Key) -> Arc<Host> {
        let mut hosts = lock(&self.0);
        if let Some(host) = hosts.get(&key).and_then(Weak::upgrade) {
            return host;
        }
        let host = Arc::new(Host {
            key: key.clone(),
            hosts: Arc::downgrade(&self.0),
            permits: Arc::new(Semaphore::new(Self::PER_HOST)),
            load: Mutex::new(HostLoad {
                permits: Self::PER_HOST,
                exchanging: 0,
                retries: RetrySchedule::new(Self::PER_HOST),
            }),
        });
        hosts.insert(key, Arc::downgrade(&host));
        host
    }
}

/// Counts an exchange that is under way until it is dropped.
struct Exchanging<'a>(&'a Mutex<HostLoad>);

impl<'a> Exchanging<'a> {
    fn new(load: &'a Mutex<HostLoad>) -> Self {
        lock(load).exchanging += 1;
        Self(load)
    }
}

impl Drop for Exchanging<'_> {
    fn drop(&mut self) {
        lock(self.0).exchanging -= 1;
    }
}

impl HostPermit {
    /// Runs an exchange under this permit, and adjusts the limit of the host to its duration.
    pub async fn run<T>(self, exchange: impl Future<Output = T>) -> T {
        let (started, exchanging) = (Instant::now(), self.exchanging());
        let result = exchange.await;
        drop(exchanging);
        self.finish(started.elapsed());
        result
    }

    fn exchanging(&self) -> Exchanging<'_> {
        Exchanging::new(&self.host.load)
    }

    fn finish(self, exchange: Duration) {
        let mut load = lock(&self.host.load);
        let permits = load.permits;
        load.retries.observe(exchange, permits);
        if exchange < HostLimiter::FAST_RESPONSE && load.permits < HostLimiter::PER_FAST_HOST {
            load.permits += 1;
            self.host.permits.add_permits(1);
        } else if exchange >= HostLimiter::FAST_RESPONSE && load.permits > HostLimiter::PER_HOST {
            load.permits -= 1;
            self.permit.forget();
        }
    }
}

impl Host {
    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        tokio::pin!(permit);
        loop {
            match timeout(HostLimiter::MAX_WAIT, &mut permit).await {
                Ok(permit) => return permit.ok(),
                Err(_) if self.is_busy() => return None,
                Err(_) => {}
            }
        }
    }

    /// Whether at least half of the permits are in an exchange, so that the host and not the store is the bottleneck.
    fn is_busy(&self) -> bool {
        let load = lock(&self.load);
        load.exchanging * 2 >= load.permits
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(hosts) = self.hosts.upgrade() {
            let mut hosts = lock(&hosts);
            // A new entry with the same key may have replaced this one in the meantime.
            if hosts.get(&self.key).is_some_and(|host| host.strong_count() == 0) {
                hosts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ann() -> ClientId {
        "ann".parse().unwrap()
    }

    fn address(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(203, 0, 113, last), port))
    }

    /// Takes the free permits of Ann for one host, up to `count`.
    fn take(limiter: &HostLimiter, count: usize) -> Vec<HostPermit> {
        // Without the limit after which tokio lets a task wait although there are permits.
        let take = |_| unconstrained(limiter.take(&ann(), address(1, 443))).now_or_never();
        (0..count).map_while(take).flatten().collect()
    }

    async fn is_refused(limiter: &HostLimiter) -> bool {
        limiter.take(&ann(), address(1, 443)).await.is_err()
    }

    fn exchange(permits: &[HostPermit]) -> Vec<Exchanging<'_>> {
        permits.iter().map(HostPermit::exchanging).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_client_has_eight_permits_for_each_address_and_port() {
        let limiter = HostLimiter::default();
        let taken = take(&limiter, 20);
        assert_eq!(taken.len(), 8);
        let bob = "bob".parse().unwrap();
        for (client, address) in [(&bob, address(1, 443)), (&ann(), address(2, 443)), (&ann(), address(1, 8443))] {
            assert!(limiter.take(client, address).now_or_never().is_some_and(|taken| taken.is_ok()));
        }
        assert!(take(&limiter, 1).is_empty());
        drop(taken);
        assert_eq!(take(&limiter, 8).len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_delivery_gets_the_next_permit_and_is_refused_after_a_second() {
        let limiter = HostLimiter::default();
        let started = Instant::now();
        let mut taken = take(&limiter, 8);
        let last = taken.pop().unwrap();
        let _busy = exchange(&taken);
        let (refused, ()) = tokio::join!(is_refused(&limiter), last.run(tokio::time::sleep(SECOND / 2)));
        assert!(!refused);
        assert_eq!(started.elapsed(), SECOND / 2);
        let _other = take(&limiter, 1);
        assert!(is_refused(&limiter).await);
        assert_eq!(started.elapsed(), SECOND * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_that_waits_for_the_store_rather_than_the_host_is_not_refused() {
        let limiter = HostLimiter::default();
        let mut claiming = take(&limiter, 8);
        let exchanging = claiming.split_off(5);
        let _busy = exchange(&exchanging);
        let claims = async {
            tokio::time::sleep(10 * SECOND).await;
            drop(claiming);
        };
        let (refused, ()) = tokio::join!(is_refused(&limiter), claims);
        assert!(!refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_host_gains_permits_and_loses_them_when_it_becomes_slow() {
        let limiter = HostLimiter::default();
        let _known = limiter.host((ann(), address(1, 443)));
        for _ in 0..10 {
            for permit in take(&limiter, 100) {
                permit.finish(Duration::from_millis(19));
            }
        }
        let taken = take(&limiter, 100);
        assert_eq!(taken.len(), 64);
        for permit in taken {
            permit.finish(Duration::from_millis(20));
        }
        assert_eq!(take(&limiter, 100).len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn the_entry_of_a_host_is_removed_with_its_last_delivery() {
        let limiter = HostLimiter::default();
        let taken = take(&limiter, 9);
        assert_eq!(lock(&limiter.0).len(), 1);
        drop(taken);
        assert!(lock(&limiter.0).is_empty());
    }
}
