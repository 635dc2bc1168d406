//! The limit on deliveries that are under way to one host.
//!
//! A delivery takes a permit before it claims. While it waits, no attempt is counted, no lease runs, and it takes no
//! share of the limit over all hosts. It waits a second. If the host is then still the bottleneck, the delivery
//! learns when to try again and makes room for deliveries to other hosts. If the store is the bottleneck, the delivery
//! keeps waiting, because another try would load the store even more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::sync::lock;

/// The permits of all hosts.
#[derive(Default)]
pub struct HostLimiter(Arc<Mutex<HashMap<String, Weak<Host>>>>);

/// The right to deliver to a host. It ends when the value is dropped.
pub struct HostPermit {
    host: Arc<Host>,
    permit: OwnedSemaphorePermit,
}

/// The host has no permit for this delivery soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBusy {
    /// The time from now after which the delivery should try again.
    pub retry_in: Duration,
}

/// A host to which deliveries are under way or waiting. Its entry is removed with the last of them.
struct Host {
    name: String,
    hosts: Weak<Mutex<HashMap<String, Weak<Host>>>>,
    permits: Arc<Semaphore>,
    load: Mutex<HostLoad>,
}

struct HostLoad {
    /// The number of permits, taken or free.
    permits: usize,
    /// The duration of the last exchange.
    last_exchange: Duration,
    /// Whether a delivery has waited in vain, and no exchange has been shorter than
    /// [`HostLimiter::RECOVERED_RESPONSE`] since.
    slow: bool,
    waiting: usize,
    /// The number of permits whose delivery is in its exchange. The deliveries of the others use the store.
    exchanging: usize,
    /// The time at which the delivery that was last refused tries again.
    last_retry: Instant,
}

impl HostLimiter {
    /// The most deliveries that are under way to one host, unless it answers fast.
    pub const PER_HOST: usize = 8;
    /// The most deliveries that are under way to a host that answers within [`Self::FAST_RESPONSE`]. They hold a
    /// permit mostly while our own commit is synced, so a limit of 8 would serialise bursts.
    const PER_FAST_HOST: usize = 64;
    /// An exchange that is shorter adds a permit to its host. One that is longer removes an added permit.
    const FAST_RESPONSE: Duration = Duration::from_millis(20);
    /// The longest time that a delivery waits for a permit of a busy host.
    const MAX_WAIT: Duration = Duration::from_secs(1);
    /// An exchange that is shorter shows that its host is not slow any more.
    const RECOVERED_RESPONSE: Duration = Duration::from_millis(100);
    /// The most deliveries that wait for a slow host: enough that one is there when a permit becomes free.
    const MAX_WAITING_FOR_SLOW: usize = 32;
    /// The longest time after which a refused delivery tries again. The host may have recovered by then.
    const MAX_RETRY_IN: Duration = Duration::from_mins(1);

    /// Takes a permit of a host, and waits for it if necessary.
    ///
    /// # Errors
    /// [`HostBusy`] if the host has no permit soon.
    pub async fn take(&self, host: &str) -> Result<HostPermit, HostBusy> {
        let host = self.host(host);
        let permit = match Arc::clone(&host.permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => host.wait().await,
        };
        match permit {
            Some(permit) => Ok(HostPermit { host, permit }),
            None => Err(host.refuse()),
        }
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = lock(&self.0);
        if let Some(host) = hosts.get(name).and_then(Weak::upgrade) {
            return host;
        }
        let now = Instant::now();
        let host = Arc::new(Host {
            name: name.to_owned(),
            hosts: Arc::downgrade(&self.0),
            permits: Arc::new(Semaphore::new(Self::PER_HOST)),
            load: Mutex::new(HostLoad {
                permits: Self::PER_HOST,
                last_exchange: Self::MAX_WAIT,
                slow: false,
                waiting: 0,
                exchanging: 0,
                last_retry: now,
            }),
        });
        hosts.insert(name.to_owned(), Arc::downgrade(&host));
        host
    }
}

/// Adds one to a count until it is dropped.
struct Counted<'a> {
    load: &'a Mutex<HostLoad>,
    count: fn(&mut HostLoad) -> &mut usize,
}

impl<'a> Counted<'a> {
    fn new(load: &'a Mutex<HostLoad>, count: fn(&mut HostLoad) -> &mut usize) -> Self {
        *count(&mut lock(load)) += 1;
        Self { load, count }
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

    fn exchanging(&self) -> Counted<'_> {
        Counted::new(&self.host.load, |load| &mut load.exchanging)
    }

    fn finish(self, exchange: Duration) {
        let mut load = lock(&self.host.load);
        load.last_exchange = exchange;
        if exchange < HostLimiter::FAST_RESPONSE && load.permits < HostLimiter::PER_FAST_HOST {
            load.permits += 1;
            self.host.permits.add_permits(1);
        } else if exchange >= HostLimiter::FAST_RESPONSE && load.permits > HostLimiter::PER_HOST {
            load.permits -= 1;
            self.permit.forget();
        }
        if exchange < HostLimiter::RECOVERED_RESPONSE {
            load.slow = false;
            load.last_retry = Instant::now();
        }
    }
}

impl Host {
    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let full = {
            let load = lock(&self.load);
            load.slow && load.waiting >= HostLimiter::MAX_WAITING_FOR_SLOW
        };
        if full {
            return None;
        }
        let _waiting = Counted::new(&self.load, |load| &mut load.waiting);
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

    /// Spreads refused deliveries over time, at the rate that the last exchange suggests.
    fn refuse(&self) -> HostBusy {
        let mut load = lock(&self.load);
        load.slow = true;
        let (now, permits) = (Instant::now(), u32::try_from(HostLimiter::PER_HOST).unwrap_or(1));
        let earliest = load.last_retry.max(now + HostLimiter::MAX_WAIT);
        load.last_retry = (earliest + load.last_exchange / permits).min(now + HostLimiter::MAX_RETRY_IN);
        HostBusy { retry_in: load.last_retry - now }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        *(self.count)(&mut lock(self.load)) -= 1;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(hosts) = self.hosts.upgrade() {
            let mut hosts = lock(&hosts);
            // A new entry of the same name may have replaced this one in the meantime.
            if hosts.get(&self.name).is_some_and(|host| host.strong_count() == 0) {
                hosts.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes the free permits, up to `count`.
    fn take(limiter: &HostLimiter, count: usize) -> Vec<HostPermit> {
        (0..count).map_while(|_| limiter.take("a").now_or_never()).flatten().collect()
    }

    fn exchange(permits: &[HostPermit]) -> Vec<Counted<'_>> {
        permits.iter().map(HostPermit::exchanging).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_has_eight_permits_and_another_host_its_own() {
        let limiter = HostLimiter::default();
        let taken = take(&limiter, 20);
        assert_eq!(taken.len(), 8);
        assert!(limiter.take("b").await.is_ok());
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
        let (got, ()) = tokio::join!(limiter.take("a"), last.run(tokio::time::sleep(SECOND / 2)));
        assert!(got.is_ok());
        assert_eq!(started.elapsed(), SECOND / 2);
        assert!(limiter.take("a").await.is_err());
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
        let (got, ()) = tokio::join!(limiter.take("a"), claims);
        assert!(got.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn refused_deliveries_try_again_at_the_rate_of_the_host_and_within_a_minute() {
        let limiter = HostLimiter::default();
        let mut taken = take(&limiter, 8);
        taken.pop().unwrap().finish(8 * SECOND);
        taken.extend(take(&limiter, 1));
        let _busy = exchange(&taken);
        let mut pauses: Vec<_> = join_all((0..100).map(|_| limiter.take("a")))
            .await
            .into_iter()
            .map(|r| r.err().unwrap().retry_in)
            .collect();
        pauses.sort();
        // Eight seconds for eight permits: one a second.
        assert_eq!(pauses[..4], [2 * SECOND, 3 * SECOND, 4 * SECOND, 5 * SECOND]);
        assert_eq!(pauses.last(), Some(&HostLimiter::MAX_RETRY_IN));
    }

    #[tokio::test(start_paused = true)]
    async fn few_deliveries_wait_for_a_slow_host_until_it_has_recovered() {
        let limiter = HostLimiter::default();
        let taken = take(&limiter, 8);
        let busy = exchange(&taken);
        assert!(limiter.take("a").await.is_err());
        let started = Instant::now();
        let waiting = join_all((0..32).map(|_| limiter.take("a")));
        let late = async {
            tokio::task::yield_now().await;
            assert!(limiter.take("a").await.is_err());
            assert_eq!(started.elapsed(), Duration::ZERO, "there is no room to wait");
        };
        tokio::join!(waiting, late);
        drop(busy);
        for permit in taken {
            permit.finish(SECOND / 20);
        }
        let (first, second) = (take(&limiter, 8), Instant::now());
        let release = async {
            tokio::time::sleep(SECOND / 10).await;
            drop(first);
        };
        let (waited, ()) = tokio::join!(join_all((0..8).map(|_| limiter.take("a"))), release);
        assert!(waited.iter().all(Result::is_ok) && second.elapsed() < SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_host_gains_permits_and_loses_them_when_it_becomes_slow() {
        let limiter = HostLimiter::default();
        let _known = limiter.host("a");
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
