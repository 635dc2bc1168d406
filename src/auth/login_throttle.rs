//! The limits on logins with wrong keys.
//!
//! A login over a limit is refused before its key is checked, so that the rate at which keys can be guessed does not
//! depend on the speed of this service. The limits use the monotonic clock: a calendar clock that is set back would
//! keep callers out for longer.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::Source;
use crate::sync::lock;

/// A login was refused, because too many before it had wrong credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyFailures {
    /// The time until another login is checked, in seconds.
    pub(super) retry_after: u64,
}

/// Counts failed logins in windows of a minute: for each client and source, and for each source.
pub(super) struct LoginThrottle {
    failures: Mutex<Windows>,
    /// The last success of each client and source.
    successes: Mutex<HashMap<(String, IpAddr), Instant>>,
    look_ups: Semaphore,
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self { failures: Mutex::default(), successes: Mutex::default(), look_ups: Semaphore::new(Self::MAX_LOOK_UPS) }
    }
}

impl LoginThrottle {
    /// The failures of one client from one source in a minute.
    const MAX_FAILURES: u32 = 10;
    /// The same, if the client has logged in from the source lately. The caller may share the source with somebody who
    /// guesses, so it has a larger limit of its own, and the limit of the source does not apply.
    const MAX_FAILURES_AFTER_SUCCESS: u32 = 100;
    /// The failures of all clients from one source in a minute.
    const MAX_FAILURES_OF_SOURCE: u32 = 30;
    /// The time for which a success counts. A client logs in again when its token ends, which is within an hour.
    const SUCCESS_COUNTS_FOR: Duration = Duration::from_hours(24);
    const MAX_SUCCESSES: usize = 10_000;
    /// The look-ups in the store that run at one time for callers without a recent success. Others wait.
    const MAX_LOOK_UPS: usize = 16;
    const MAX_LOOK_UP_WAIT: Duration = Duration::from_secs(1);

    /// Checks the limits without checking a key.
    pub(super) fn check(&self, client: &str, source: Source, now: Instant) -> Result<(), TooManyFailures> {
        self.check_in(&lock(&self.failures), client, source, now)
    }

    /// Checks the limits, then the key, and counts the result. No other login comes between the check of the limits and
    /// the count, so logins that arrive together do not exceed them.
    pub(super) fn judge(
        &self,
        client: &str,
        source: Source,
        now: Instant,
        is_right: impl FnOnce() -> bool,
    ) -> Result<bool, TooManyFailures> {
        let mut failures = lock(&self.failures);
        self.check_in(&failures, client, source, now)?;
        let right = is_right();
        if right {
            self.succeeded(client, source, now);
        } else {
            failures.count(&pair(client, source), now);
            if let Some(network) = source.counted() {
                failures.count(&network, now);
            }
        }
        Ok(right)
    }

    /// Waits for a turn to look a client up in the store. A caller with a recent success needs none.
    pub(super) async fn look_up(
        &self,
        client: &str,
        source: Source,
        now: Instant,
    ) -> Result<Option<SemaphorePermit<'_>>, TooManyFailures> {
        if self.has_succeeded(client, source, now) {
            return Ok(None);
        }
        let turn = tokio::time::timeout(Self::MAX_LOOK_UP_WAIT, self.look_ups.acquire()).await;
        turn.ok().and_then(Result::ok).map(Some).ok_or(TooManyFailures { retry_after: 1 })
    }

    fn check_in(&self, failures: &Windows, client: &str, source: Source, now: Instant) -> Result<(), TooManyFailures> {
        if self.has_succeeded(client, source, now) {
            return failures.check(&pair(client, source), Self::MAX_FAILURES_AFTER_SUCCESS, now);
        }
        if let Some(network) = source.counted() {
            failures.check(&network, Self::MAX_FAILURES_OF_SOURCE, now)?;
        }
        failures.check(&pair(client, source), Self::MAX_FAILURES, now)
    }

    fn has_succeeded(&self, client: &str, source: Source, now: Instant) -> bool {
        let last = lock(&self.successes).get(&(client.to_owned(), source.network())).copied();
        last.is_some_and(|last| now.duration_since(last) < Self::SUCCESS_COUNTS_FOR)
    }

    fn succeeded(&self, client: &str, source: Source, now: Instant) {
        let mut successes = lock(&self.successes);
        let pair = (client.to_owned(), source.network());
        if successes.len() >= Self::MAX_SUCCESSES && !successes.contains_key(&pair) {
            let oldest = successes.iter().min_by_key(|(_, time)| **time).map(|(pair, _)| pair.clone());
            oldest.and_then(|oldest| successes.remove(&oldest));
        }
        successes.insert(pair, now);
    }
}

fn pair(client: &str, source: Source) -> (&str, IpAddr) {
    (client, source.network())
}

/// The failures in the current minute of each key.
///
/// The keys are hashed into a fixed number of windows, so that callers who try many names neither fill the memory nor
/// push the counts of others out. The hash is keyed at random, so nobody can aim at the window of another key.
struct Windows {
    hasher: RandomState,
    epoch: Instant,
    slots: Vec<Window>,
}

#[derive(Clone, Copy)]
struct Window {
    /// The second after the epoch in which the window begins.
    began: u64,
    failures: u32,
}

impl Default for Windows {
    fn default() -> Self {
        let slots = vec![Window { began: 0, failures: 0 }; Self::COUNT];
        Self { hasher: RandomState::new(), epoch: Instant::now(), slots }
    }
}

impl Windows {
    const COUNT: usize = 65_536;
    const SECONDS: u64 = 60;

    fn check<K: Hash>(&self, key: &K, max: u32, now: Instant) -> Result<(), TooManyFailures> {
        let Some(window) = self.slots.get(self.position(key)) else { return Ok(()) };
        let passed = self.second(now).saturating_sub(window.began);
        if window.failures < max || passed >= Self::SECONDS {
            return Ok(());
        }
        Err(TooManyFailures { retry_after: Self::SECONDS - passed })
    }

    fn count<K: Hash>(&mut self, key: &K, now: Instant) {
        let (position, second) = (self.position(key), self.second(now));
        let Some(window) = self.slots.get_mut(position) else { return };
        if window.failures == 0 || second.saturating_sub(window.began) >= Self::SECONDS {
            *window = Window { began: second, failures: 0 };
        }
        window.failures = window.failures.saturating_add(1);
    }

    fn second(&self, now: Instant) -> u64 {
        now.duration_since(self.epoch).as_secs()
    }

    #[allow(clippy::cast_possible_truncation)] // only some of the bits are needed
    fn position<K: Hash>(&self, key: &K) -> usize {
        self.hasher.hash_one(key) as usize % self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TrustedProxies;

    fn from(address: [u8; 4]) -> Source {
        let proxies: TrustedProxies = "none".parse().unwrap();
        proxies.source(address.into(), std::iter::empty())
    }

    fn here() -> Source {
        from([127, 0, 0, 1])
    }

    /// Tries wrong keys until one is refused; returns the number of keys that were judged.
    fn judged(throttle: &LoginThrottle, client: &str, source: Source, now: Instant) -> u32 {
        (0..200).take_while(|_| throttle.judge(client, source, now, || false).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn after_ten_failures_in_a_minute_not_even_the_right_key_is_judged() {
        let (throttle, start) = (LoginThrottle::default(), Instant::now());
        assert_eq!(judged(&throttle, "a", here(), start), 10);
        let later = start + Duration::from_secs(20);
        let refused = throttle.judge("a", here(), later, || panic!("the key must not be judged"));
        assert_eq!(refused, Err(TooManyFailures { retry_after: 40 }));
        assert_eq!(throttle.check("a", here(), later), Err(TooManyFailures { retry_after: 40 }));
        assert_eq!(throttle.judge("a", here(), start + Duration::from_mins(1), || true), Ok(true));
    }

    #[test]
    fn failures_elsewhere_lock_nobody_out() {
        let (throttle, start) = (LoginThrottle::default(), Instant::now());
        judged(&throttle, "a", here(), start);
        assert_eq!(throttle.check("a", from([127, 0, 0, 2]), start), Ok(()), "another source");
        assert_eq!(throttle.check("b", here(), start), Ok(()), "another client");
    }

    #[test]
    fn a_source_with_a_recent_success_has_a_larger_limit() {
        let (throttle, start) = (LoginThrottle::default(), Instant::now());
        assert_eq!(throttle.judge("a", here(), start, || true), Ok(true));
        assert_eq!(judged(&throttle, "a", here(), start), 100);
        assert_eq!(judged(&throttle, "b", here(), start), 10, "the success of another client");
        let much_later = start + LoginThrottle::SUCCESS_COUNTS_FOR;
        assert_eq!(judged(&throttle, "a", here(), much_later), 10);
    }

    #[test]
    fn a_source_has_a_limit_for_all_clients_that_those_who_succeeded_do_not_share() {
        let (throttle, start, source) = (LoginThrottle::default(), Instant::now(), from([203, 0, 113, 5]));
        assert_eq!(throttle.judge("honest", source, start, || true), Ok(true));
        let judged = (0..200).filter(|i| throttle.judge(&format!("c{i}"), source, start, || false).is_ok()).count();
        assert_eq!(judged, 30);
        assert!(throttle.check("new", source, start).is_err());
        assert_eq!(throttle.check("honest", source, start), Ok(()));
        let uncounted = (0..200).filter(|i| throttle.judge(&format!("c{i}"), here(), start, || false).is_ok()).count();
        assert_eq!(uncounted, 200, "loopback may be a proxy with many callers");
    }

    #[test]
    fn many_names_do_not_reset_the_count_of_one() {
        let (throttle, start) = (LoginThrottle::default(), Instant::now());
        judged(&throttle, "a", here(), start);
        for i in 0..200_000 {
            let _ = throttle.judge(&format!("name-{i}"), here(), start, || false);
        }
        assert!(throttle.check("a", here(), start).is_err());
    }

    #[test]
    fn the_successes_that_are_kept_are_bounded_and_the_oldest_goes_first() {
        let (throttle, start) = (LoginThrottle::default(), Instant::now());
        for i in 0..=LoginThrottle::MAX_SUCCESSES {
            throttle.succeeded(&i.to_string(), here(), start + Duration::from_millis(i as u64));
        }
        assert_eq!(throttle.successes.lock().unwrap().len(), LoginThrottle::MAX_SUCCESSES);
        assert!(!throttle.has_succeeded("0", here(), start) && throttle.has_succeeded("1", here(), start));
    }

    #[tokio::test(start_paused = true)]
    async fn look_ups_are_bounded_but_not_for_a_source_with_a_recent_success() {
        let (throttle, start) = (LoginThrottle::default(), Instant::now());
        throttle.judge("honest", here(), start, || true).unwrap();
        let mut turns = Vec::new();
        for i in 0..LoginThrottle::MAX_LOOK_UPS {
            turns.push(throttle.look_up(&format!("c{i}"), here(), start).await.unwrap());
        }
        let refused = throttle.look_up("one-more", here(), start).await.err();
        assert_eq!(refused, Some(TooManyFailures { retry_after: 1 }));
        assert!(throttle.look_up("honest", here(), start).await.unwrap().is_none());
        turns.clear();
        assert!(throttle.look_up("one-more", here(), start).await.unwrap().is_some());
    }
}
