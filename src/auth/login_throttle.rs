//! The limit on logins with wrong keys.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use crate::domain::Timestamp;
use crate::sync::lock;

/// Counts failed logins by client and source address, in windows of a minute.
#[derive(Default)]
pub(super) struct LoginThrottle {
    failures: Mutex<HashMap<(String, IpAddr), Window>>,
}

struct Window {
    began: Timestamp,
    failures: u32,
}

impl LoginThrottle {
    const WINDOW_SECONDS: u64 = 60;
    const MAX_FAILURES: u32 = 10;
    /// The most pairs that are kept, so that an attacker with many names or addresses cannot fill the memory. At the
    /// limit all pairs are dropped, which gives every pair ten new tries.
    const MAX_PAIRS: usize = 10_000;

    /// Counts a failed login. Returns the seconds until the next login is checked, if there were too many.
    pub(super) fn failed(&self, client: &str, source: IpAddr, now: Timestamp) -> Option<u64> {
        let mut failures = lock(&self.failures);
        let open = |window: &Window| window.began.until(now).as_secs() < Self::WINDOW_SECONDS;
        if failures.len() >= Self::MAX_PAIRS {
            failures.retain(|_, window| open(window));
        }
        if failures.len() >= Self::MAX_PAIRS {
            failures.clear();
        }
        // A client id has at most 64 characters. A longer name belongs to no client and is counted by its beginning.
        let client = client.chars().take(64).collect();
        let window = failures.entry((client, source)).or_insert(Window { began: now, failures: 0 });
        if !open(window) {
            *window = Window { began: now, failures: 0 };
        }
        window.failures = window.failures.saturating_add(1);
        let passed = window.began.until(now).as_secs();
        (window.failures > Self::MAX_FAILURES).then(|| Self::WINDOW_SECONDS.saturating_sub(passed).max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_eleventh_failure_in_a_minute_is_refused_until_the_minute_is_over() {
        let (throttle, start) = (LoginThrottle::default(), Timestamp::from_millis(1_000_000));
        for _ in 0..10 {
            assert_eq!(throttle.failed("a", HERE, start), None);
        }
        assert_eq!(throttle.failed("a", HERE, start + Duration::from_secs(20)), Some(40));
        assert_eq!(throttle.failed("a", HERE, start + Duration::from_mins(1)), None);
    }

    #[test]
    fn clients_and_addresses_are_counted_apart() {
        let (throttle, now) = (LoginThrottle::default(), Timestamp::from_millis(1_000_000));
        for _ in 0..11 {
            throttle.failed("a", HERE, now);
        }
        assert_eq!(throttle.failed("b", HERE, now), None);
        assert_eq!(throttle.failed("a", IpAddr::from([127, 0, 0, 2]), now), None);
    }

    #[test]
    fn the_number_of_pairs_is_bounded() {
        let (throttle, now) = (LoginThrottle::default(), Timestamp::from_millis(1_000_000));
        for i in 0..3 * LoginThrottle::MAX_PAIRS {
            throttle.failed(&i.to_string(), HERE, now);
        }
        assert!(throttle.failures.lock().unwrap().len() <= LoginThrottle::MAX_PAIRS);
    }
}
