//! The limits on logins with wrong keys.
//!
//! A login over a limit is refused before its key is checked, so that the rate at which keys can be guessed does not
//! depend on the speed of this service. The limits use the monotonic clock: a calendar clock that is set back would
//! keep callers out for longer.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
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

/// Counts failed logins in windows of time: for each client and source, and for each source.
///
/// The hasher is a parameter so that in tests two keys do not get the same window by chance.
pub(super) struct LoginThrottle<S = RandomState> {
    failures: Mutex<Windows<S>>,
    /// The last success of each client and source.
    successes: Mutex<HashMap<(String, IpAddr), Instant>>,
    look_ups: Semaphore,
}

impl<S: BuildHasher + Default> Default for LoginThrottle<S> {
    fn default() -> Self {
        Self { failures: Mutex::default(), successes: Mutex::default(), look_ups: Semaphore::new(Self::MAX_LOOK_UPS) }
    }
}

impl<S: BuildHasher> LoginThrottle<S> {
    /// The limit of one client from one source. Whoever uses it up again and again waits longer each time.
    const OF_PAIR: Limit = Limit { failures: 10, longest: Window::LONGEST };
    /// The same, if many callers may share the address. The wait does not grow, because a stranger could keep the
    /// client out with ten requests in a quarter of an hour.
    const OF_SHARED_PAIR: Limit = Limit { failures: 10, longest: Window::SHORTEST };
    /// The same, if the client has logged in from the source lately. The caller may share the source with somebody who
    /// guesses, so it has a larger limit of its own and never waits longer than a minute, and the limit of the source
    /// does not apply.
    const OF_PAIR_AFTER_SUCCESS: Limit = Limit { failures: 100, longest: Window::SHORTEST };
    /// The limit of all clients from one source. They may have nothing to do with each other, so it does not grow.
    const OF_SOURCE: Limit = Limit { failures: 30, longest: Window::SHORTEST };
    /// The programs that may register themselves from one source. None is refused for what others do.
    const OF_REGISTRATIONS: Limit = Limit { failures: 30, longest: Window::SHORTEST };
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
            failures.count(&pair(client, source), self.limit_of_pair(client, source, now), now);
            if let Some(network) = source.counted() {
                failures.count(&network, Self::OF_SOURCE, now);
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

    /// Counts a program that registers itself. A source that may be many callers has no limit.
    pub(super) fn count_registration(&self, source: Source, now: Instant) -> Result<(), TooManyFailures> {
        let Some(network) = source.counted() else { return Ok(()) };
        let (key, mut counted) = (("registration", network), lock(&self.failures));
        counted.check(&key, Self::OF_REGISTRATIONS, now)?;
        counted.count(&key, Self::OF_REGISTRATIONS, now);
        Ok(())
    }

    fn check_in(
        &self,
        failures: &Windows<S>,
        client: &str,
        source: Source,
        now: Instant,
    ) -> Result<(), TooManyFailures> {
        let has_succeeded = self.has_succeeded(client, source, now);
        if let Some(network) = source.counted().filter(|_| !has_succeeded) {
            failures.check(&network, Self::OF_SOURCE, now)?;
        }
        failures.check(&pair(client, source), self.limit_of_pair(client, source, now), now)
    }

    fn limit_of_pair(&self, client: &str, source: Source, now: Instant) -> Limit {
        match source.counted() {
            _ if self.has_succeeded(client, source, now) => Self::OF_PAIR_AFTER_SUCCESS,
            Some(_) => Self::OF_PAIR,
            None => Self::OF_SHARED_PAIR,
        }
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

/// A limit on failures.
#[derive(Clone, Copy)]
struct Limit {
    /// The failures in one window after which logins are refused until the window ends.
    failures: u32,
    /// The longest window, in seconds.
    longest: u64,
}

/// The failures in the current window of each key.
///
/// The keys are hashed into a fixed number of windows, so that callers who try many names neither fill the memory nor
/// push the counts of others out. The hash is keyed at random, so nobody can aim at the window of another key.
struct Windows<S> {
    hasher: S,
    epoch: Instant,
    slots: Vec<Window>,
}

#[derive(Clone, Copy)]
struct Window {
    /// The hash of the key for which the window began. Only this key waits longer than the shortest window: other keys
    /// have the same window by chance.
    key: u64,
    /// The second after the epoch in which the window begins.
    began: u64,
    /// The length in seconds.
    length: u64,
    failures: u32,
}

impl Window {
    /// The shortest and the longest window, in seconds.
    const SHORTEST: u64 = 60;
    const LONGEST: u64 = 15 * 60;

    /// The second in which the window ends for a key with this limit.
    fn end(self, key: u64, limit: Limit) -> u64 {
        let longest = if self.key == key { limit.longest } else { Self::SHORTEST };
        self.began + self.length.min(longest)
    }

    /// The window of a failure after the end of this one. After a window that was used up, the next one is twice as
    /// long. A quarter of an hour without failures shortens it again.
    fn next(self, key: u64, limit: Limit, second: u64) -> Self {
        let is_quiet = second >= self.end(key, limit) + Self::LONGEST;
        let length = match self.failures {
            _ if is_quiet || self.key != key => Self::SHORTEST,
            failures if failures >= limit.failures => self.length * 2,
            _ => self.length,
        };
        Self { key, began: second, length: length.min(limit.longest), failures: 0 }
    }
}

impl<S: BuildHasher + Default> Default for Windows<S> {
    fn default() -> Self {
        let slots = vec![Window { key: 0, began: 0, length: Window::SHORTEST, failures: 0 }; Self::COUNT];
        Self { hasher: S::default(), epoch: Instant::now(), slots }
    }
}

impl<S: BuildHasher> Windows<S> {
    const COUNT: usize = 65_536;

    fn check<K: Hash>(&self, key: &K, limit: Limit, now: Instant) -> Result<(), TooManyFailures> {
        let key = self.hasher.hash_one(key);
        let Some(window) = self.slots.get(self.position(key)) else { return Ok(()) };
        let remaining = window.end(key, limit).saturating_sub(self.second(now));
        if window.failures < limit.failures || remaining == 0 {
            return Ok(());
        }
        Err(TooManyFailures { retry_after: remaining })
    }

    fn count<K: Hash>(&mut self, key: &K, limit: Limit, now: Instant) {
        let key = self.hasher.hash_one(key);
        let (position, second) = (self.position(key), self.second(now));
        let Some(window) = self.slots.get_mut(position) else { return };
        if window.failures == 0 || second >= window.end(key, limit) {
            *window = window.next(key, limit, second);
        }
        window.failures = window.failures.saturating_add(1);
    }

    fn second(&self, now: Instant) -> u64 {
        now.duration_since(self.epoch).as_secs()
    }

    #[allow(clippy::cast_possible_truncation)] // only some of the bits are needed
    const fn position(&self, key: u64) -> usize {
        key as usize % self.slots.len()
    }
}

#[cfg(test)]
#[path = "login_throttle_tests.rs"]
mod tests;
