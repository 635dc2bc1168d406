//! Whose turn it is: how many deliveries go to one host at a time.
//!
//! A delivery waits for its turn before it claims, so that waiting costs nothing: no attempt is counted, no lease
//! runs, and of what all hosts share it holds nothing. It does not wait for long, either. Where a host is too slow
//! for what is due, its deliveries are told when to come back, and leave the worker to others. Where it is the store
//! that is slow they stay: coming back would cost it even more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// The turns of all hosts.
#[derive(Default)]
pub struct HostLimiter(Arc<Mutex<HashMap<String, Weak<Host>>>>);

/// The right to deliver to a host. It ends with the value.
pub struct HostPermit {
    host: Arc<Host>,
    permit: OwnedSemaphorePermit,
}

/// The host is too slow; it is worth coming back after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostBusy {
    /// When to try again, from now.
    pub retry_in: Duration,
}

/// A host to which deliveries are under way or waiting. It is forgotten with the last of them.
struct Host {
    name: String,
    hosts: Weak<Mutex<HashMap<String, Weak<Host>>>>,
    turns: Arc<Semaphore>,
    load: Mutex<HostLoad>,
}

struct HostLoad {
    /// How many turns there are.
    turns: usize,
    /// How long its last exchange took.
    exchange: Duration,
    /// Whether somebody has waited in vain, and no exchange has been quick since.
    slow: bool,
    waiting: usize,
    /// How many turns are spent on an exchange now; the others are spent on the store.
    exchanging: usize,
    /// When there will be a turn for the next one to be sent away, as things go.
    next_turn: Instant,
}

impl HostLimiter {
    /// How many deliveries to one host are under way at the most.
    pub const PER_HOST: usize = 8;
    /// How many turns a host has whose exchanges are over at once. Such a turn is all claim and hardly any exchange:
    /// with eight, a herd would wait for the disk eight by eight.
    const PER_FAST_HOST: usize = 64;
    /// An exchange that is shorter earns its host another turn; one that is not costs it one of those earned.
    const FAST_RESPONSE: Duration = Duration::from_millis(20);
    /// How long one waits for a turn of a host that is busy before it is sent away.
    const MAX_WAIT: Duration = Duration::from_secs(1);
    /// An exchange that is shorter shows that a host is not slow.
    const QUICK: Duration = Duration::from_millis(100);
    /// How many wait for a host that is known to be slow: enough to have one there when a turn is over.
    const WAITING_FOR_SLOW: usize = 32;
    /// After how long one that was sent away comes back at the latest. The host may have recovered.
    const LONGEST_PAUSE: Duration = Duration::from_mins(1);

    /// Waits for a turn at a host.
    ///
    /// # Errors
    /// [`HostBusy`] if there is none soon.
    pub async fn take(&self, host: &str) -> Result<HostPermit, HostBusy> {
        let host = self.host(host);
        let permit = match Arc::clone(&host.turns).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => host.wait().await,
        };
        match permit {
            Some(permit) => Ok(HostPermit { host, permit }),
            None => Err(host.send_away()),
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
            turns: Arc::new(Semaphore::new(Self::PER_HOST)),
            load: Mutex::new(HostLoad {
                turns: Self::PER_HOST,
                exchange: Self::MAX_WAIT,
                slow: false,
                waiting: 0,
                exchanging: 0,
                next_turn: now,
            }),
        });
        hosts.insert(name.to_owned(), Arc::downgrade(&host));
        host
    }
}

/// Counts one more, until it is dropped.
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
    /// Spends the turn on an exchange, and learns from how long that takes.
    pub async fn run<T>(self, exchange: impl Future<Output = T>) -> T {
        let (begun, exchanging) = (Instant::now(), self.exchanging());
        let result = exchange.await;
        drop(exchanging);
        self.over(begun.elapsed());
        result
    }

    fn exchanging(&self) -> Counted<'_> {
        Counted::new(&self.host.load, |load| &mut load.exchanging)
    }

    fn over(self, exchange: Duration) {
        let mut load = lock(&self.host.load);
        load.exchange = exchange;
        if exchange < HostLimiter::FAST_RESPONSE && load.turns < HostLimiter::PER_FAST_HOST {
            load.turns += 1;
            self.host.turns.add_permits(1);
        } else if exchange >= HostLimiter::FAST_RESPONSE && load.turns > HostLimiter::PER_HOST {
            load.turns -= 1;
            self.permit.forget();
        }
        if exchange < HostLimiter::QUICK {
            load.slow = false;
            load.next_turn = Instant::now();
        }
    }
}

impl Host {
    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let full = {
            let load = lock(&self.load);
            load.slow && load.waiting >= HostLimiter::WAITING_FOR_SLOW
        };
        if full {
            return None;
        }
        let _waiting = Counted::new(&self.load, |load| &mut load.waiting);
        let turn = Arc::clone(&self.turns).acquire_owned();
        tokio::pin!(turn);
        loop {
            match timeout(HostLimiter::MAX_WAIT, &mut turn).await {
                Ok(permit) => return permit.ok(),
                Err(_) if self.is_busy() => return None,
                Err(_) => {}
            }
        }
    }

    /// Whether it is mostly the host that its turns are spent on.
    fn is_busy(&self) -> bool {
        let load = lock(&self.load);
        load.exchanging * 2 >= load.turns
    }

    /// Deals out the turns to come, one after the other, at the load that the host has shown.
    fn send_away(&self) -> HostBusy {
        let mut load = lock(&self.load);
        load.slow = true;
        let (now, turns) = (Instant::now(), u32::try_from(HostLimiter::PER_HOST).unwrap_or(1));
        let soonest = load.next_turn.max(now + HostLimiter::MAX_WAIT);
        load.next_turn = (soonest + load.exchange / turns).min(now + HostLimiter::LONGEST_PAUSE);
        HostBusy { retry_in: load.next_turn - now }
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
            // Another of the same name may have come in the meantime.
            if hosts.get(&self.name).is_some_and(|host| host.strong_count() == 0) {
                hosts.remove(&self.name);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes the turns that there are, up to `count`.
    fn take(turns: &HostLimiter, count: usize) -> Vec<HostPermit> {
        (0..count).map_while(|_| turns.take("a").now_or_never()).flatten().collect()
    }

    fn exchange(turns: &[HostPermit]) -> Vec<Counted<'_>> {
        turns.iter().map(HostPermit::exchanging).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_has_eight_turns_and_another_host_its_own() {
        let turns = HostLimiter::default();
        let taken = take(&turns, 20);
        assert_eq!(taken.len(), 8);
        assert!(turns.take("b").await.is_ok());
        drop(taken);
        assert_eq!(take(&turns, 8).len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_next_turn_and_who_waits_too_long_is_sent_away() {
        let turns = HostLimiter::default();
        let began = Instant::now();
        let mut taken = take(&turns, 8);
        let last = taken.pop().unwrap();
        let _busy = exchange(&taken);
        let (got, ()) = tokio::join!(turns.take("a"), last.run(tokio::time::sleep(SECOND / 2)));
        assert!(got.is_ok());
        assert_eq!(began.elapsed(), SECOND / 2);
        assert!(turns.take("a").await.is_err());
        assert_eq!(began.elapsed(), SECOND * 3 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_store_rather_than_the_host_is_not_sent_away() {
        let turns = HostLimiter::default();
        let mut claiming = take(&turns, 8);
        let exchanging = claiming.split_off(5);
        let _busy = exchange(&exchanging);
        let claims = async {
            tokio::time::sleep(10 * SECOND).await;
            drop(claiming);
        };
        let (got, ()) = tokio::join!(turns.take("a"), claims);
        assert!(got.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn those_sent_away_come_back_at_the_hosts_pace_and_within_a_minute() {
        let turns = HostLimiter::default();
        let mut taken = take(&turns, 8);
        taken.pop().unwrap().over(8 * SECOND);
        taken.extend(take(&turns, 1));
        let _busy = exchange(&taken);
        let mut pauses: Vec<_> =
            join_all((0..100).map(|_| turns.take("a"))).await.into_iter().map(|r| r.err().unwrap().retry_in).collect();
        pauses.sort();
        // Eight seconds for eight turns: one a second.
        assert_eq!(pauses[..4], [2 * SECOND, 3 * SECOND, 4 * SECOND, 5 * SECOND]);
        assert_eq!(pauses.last(), Some(&HostLimiter::LONGEST_PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_for_a_host_that_is_known_to_be_slow_until_it_is_quick_again() {
        let turns = HostLimiter::default();
        let taken = take(&turns, 8);
        let busy = exchange(&taken);
        assert!(turns.take("a").await.is_err());
        let began = Instant::now();
        let waiting = join_all((0..32).map(|_| turns.take("a")));
        let late = async {
            tokio::task::yield_now().await;
            assert!(turns.take("a").await.is_err());
            assert_eq!(began.elapsed(), Duration::ZERO, "there is no room to wait");
        };
        tokio::join!(waiting, late);
        drop(busy);
        for turn in taken {
            turn.over(SECOND / 20);
        }
        let (first, second) = (take(&turns, 8), Instant::now());
        let release = async {
            tokio::time::sleep(SECOND / 10).await;
            drop(first);
        };
        let (waited, ()) = tokio::join!(join_all((0..8).map(|_| turns.take("a"))), release);
        assert!(waited.iter().all(Result::is_ok) && second.elapsed() < SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_answers_at_once_earns_more_turns_and_loses_them_when_it_does_not() {
        let turns = HostLimiter::default();
        let _known = turns.host("a");
        for _ in 0..10 {
            for turn in take(&turns, 100) {
                turn.over(Duration::from_millis(19));
            }
        }
        let taken = take(&turns, 100);
        assert_eq!(taken.len(), 64);
        for turn in taken {
            turn.over(Duration::from_millis(20));
        }
        assert_eq!(take(&turns, 100).len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_forgotten_with_its_last_delivery() {
        let turns = HostLimiter::default();
        let taken = take(&turns, 9);
        assert_eq!(lock(&turns.0).len(), 1);
        drop(taken);
        assert!(lock(&turns.0).is_empty());
    }
}
