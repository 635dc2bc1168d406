//! The limits on logins with wrong keys.

use std::hash::{BuildHasherDefault, DefaultHasher};

use super::*;
use crate::auth::TrustedProxies;

/// With random keys of the hash, one run in some hundred would have two keys with one window.
type Throttle = LoginThrottle<BuildHasherDefault<DefaultHasher>>;

fn from(address: [u8; 4]) -> Source {
    let proxies: TrustedProxies = "none".parse().unwrap();
    proxies.source(address.into(), std::iter::empty())
}

fn here() -> Source {
    from([127, 0, 0, 1])
}

/// A source that is known to be one caller.
fn there() -> Source {
    from([203, 0, 113, 5])
}

/// Tries wrong keys until one is refused; returns the number of keys that were judged.
fn judged(throttle: &Throttle, client: &str, source: Source, now: Instant) -> u32 {
    (0..200).take_while(|_| throttle.judge(client, source, now, || false).is_ok()).count().try_into().unwrap()
}

#[test]
fn after_ten_failures_in_a_minute_not_even_the_right_key_is_judged() {
    let (throttle, start) = (Throttle::default(), Instant::now());
    assert_eq!(judged(&throttle, "a", here(), start), 10);
    let later = start + Duration::from_secs(20);
    let refused = throttle.judge("a", here(), later, || panic!("the key must not be judged"));
    assert_eq!(refused, Err(TooManyFailures { retry_after: 40 }));
    assert_eq!(throttle.check("a", here(), later), Err(TooManyFailures { retry_after: 40 }));
    assert_eq!(throttle.judge("a", here(), start + Duration::from_mins(1), || true), Ok(true));
}

#[test]
fn whoever_uses_the_limit_up_again_waits_twice_as_long_up_to_a_quarter_of_an_hour() {
    let (throttle, mut now) = (Throttle::default(), Instant::now());
    for minutes in [1, 2, 4, 8, 15, 15] {
        assert_eq!(judged(&throttle, "a", there(), now), 10);
        let refused = throttle.judge("a", there(), now, || panic!("the key must not be judged"));
        assert_eq!(refused, Err(TooManyFailures { retry_after: minutes * 60 }));
        assert_eq!(throttle.check("a", from([203, 0, 113, 6]), now), Ok(()), "another source");
        assert_eq!(throttle.check("b", there(), now), Ok(()), "another client");
        now += Duration::from_mins(minutes);
        assert_eq!(throttle.check("a", there(), now), Ok(()), "after {minutes} minutes");
    }
    now += Duration::from_mins(15);
    assert_eq!(judged(&throttle, "a", there(), now), 10);
    assert_eq!(throttle.check("a", there(), now), Err(TooManyFailures { retry_after: 60 }), "it has been quiet");
}

#[test]
fn the_wait_does_not_grow_where_a_stranger_may_have_the_same_address() {
    let (throttle, mut now) = (Throttle::default(), Instant::now());
    for _ in 0..5 {
        assert_eq!(judged(&throttle, "a", here(), now), 10);
        assert_eq!(throttle.check("a", here(), now), Err(TooManyFailures { retry_after: 60 }));
        now += Duration::from_mins(1);
    }
}

#[test]
fn a_window_that_is_not_used_up_neither_grows_nor_resets_the_wait() {
    let (throttle, mut now) = (Throttle::default(), Instant::now());
    judged(&throttle, "a", there(), now);
    for _ in 0..3 {
        now += Duration::from_mins(2);
        for _ in 0..9 {
            assert_eq!(throttle.judge("a", there(), now, || false), Ok(false));
        }
    }
    assert_eq!(throttle.judge("a", there(), now, || false), Ok(false));
    assert_eq!(throttle.check("a", there(), now), Err(TooManyFailures { retry_after: 120 }));
}

#[test]
fn a_source_with_a_recent_success_never_waits_longer_than_a_minute() {
    let (throttle, mut now) = (Throttle::default(), Instant::now());
    for minutes in [1, 2, 4] {
        judged(&throttle, "a", there(), now);
        now += Duration::from_mins(minutes);
    }
    assert_eq!(throttle.judge("a", there(), now, || true), Ok(true));
    for _ in 0..8 {
        assert_eq!(judged(&throttle, "a", there(), now), 100);
        assert_eq!(throttle.check("a", there(), now), Err(TooManyFailures { retry_after: 60 }));
        now += Duration::from_mins(1);
    }
}

#[test]
fn the_limit_of_a_source_does_not_grow() {
    let (throttle, mut now, source) = (Throttle::default(), Instant::now(), from([203, 0, 113, 5]));
    for round in 0..5 {
        let judged = |i| throttle.judge(&format!("c{round}-{i}"), source, now, || false).is_ok();
        assert_eq!((0..200).filter(|i| judged(*i)).count(), 30);
        assert_eq!(throttle.check("new", source, now), Err(TooManyFailures { retry_after: 60 }));
        now += Duration::from_mins(1);
    }
}

#[test]
fn failures_elsewhere_lock_nobody_out() {
    let (throttle, start) = (Throttle::default(), Instant::now());
    judged(&throttle, "a", here(), start);
    assert_eq!(throttle.check("a", from([127, 0, 0, 2]), start), Ok(()), "another source");
    assert_eq!(throttle.check("b", here(), start), Ok(()), "another client");
}

#[test]
fn a_source_with_a_recent_success_has_a_larger_limit() {
    let (throttle, start) = (Throttle::default(), Instant::now());
    assert_eq!(throttle.judge("a", here(), start, || true), Ok(true));
    assert_eq!(judged(&throttle, "a", here(), start), 100);
    assert_eq!(judged(&throttle, "b", here(), start), 10, "the success of another client");
    let much_later = start + Throttle::SUCCESS_COUNTS_FOR;
    assert_eq!(judged(&throttle, "a", here(), much_later), 10);
}

#[test]
fn a_source_has_a_limit_for_all_clients_that_those_who_succeeded_do_not_share() {
    let (throttle, start, source) = (Throttle::default(), Instant::now(), from([203, 0, 113, 5]));
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
    let (throttle, start) = (Throttle::default(), Instant::now());
    judged(&throttle, "a", here(), start);
    for i in 0..200_000 {
        let _ = throttle.judge(&format!("name-{i}"), here(), start, || false);
    }
    assert!(throttle.check("a", here(), start).is_err());
}

#[test]
fn a_name_that_shares_its_window_with_another_one_by_chance_waits_for_at_most_a_minute() {
    let (throttle, mut now) = (Throttle::default(), Instant::now());
    for minutes in [1, 2, 4, 8] {
        judged(&throttle, "a", there(), now);
        now += Duration::from_mins(minutes);
    }
    judged(&throttle, "a", there(), now);
    let mut failures = lock(&throttle.failures);
    let position = |key: &str| failures.position(failures.hasher.hash_one(pair(key, there())));
    let shared = position("a");
    let neighbour = (0..10_000_000).map(|i| i.to_string()).find(|name| position(name) == shared).unwrap();
    let neighbour = pair(&neighbour, there());
    let check = |failures: &Windows<_>, now| failures.check(&neighbour, Throttle::OF_PAIR, now);
    assert_eq!(check(&failures, now), Err(TooManyFailures { retry_after: 60 }));
    now += Duration::from_mins(1);
    assert_eq!(check(&failures, now), Ok(()));
    (0..10).for_each(|_| failures.count(&neighbour, Throttle::OF_PAIR, now));
    assert_eq!(check(&failures, now), Err(TooManyFailures { retry_after: 60 }), "the wait of the other name");
}

#[test]
fn the_successes_that_are_kept_are_bounded_and_the_oldest_goes_first() {
    let (throttle, start) = (Throttle::default(), Instant::now());
    for i in 0..=Throttle::MAX_SUCCESSES {
        throttle.succeeded(&i.to_string(), here(), start + Duration::from_millis(i as u64));
    }
    assert_eq!(throttle.successes.lock().unwrap().len(), Throttle::MAX_SUCCESSES);
    assert!(!throttle.has_succeeded("0", here(), start) && throttle.has_succeeded("1", here(), start));
}

#[tokio::test(start_paused = true)]
async fn look_ups_are_bounded_but_not_for_a_source_with_a_recent_success() {
    let (throttle, start) = (Throttle::default(), Instant::now());
    throttle.judge("honest", here(), start, || true).unwrap();
    let mut turns = Vec::new();
    for i in 0..Throttle::MAX_LOOK_UPS {
        turns.push(throttle.look_up(&format!("c{i}"), here(), start).await.unwrap());
    }
    let refused = throttle.look_up("one-more", here(), start).await.err();
    assert_eq!(refused, Some(TooManyFailures { retry_after: 1 }));
    assert!(throttle.look_up("honest", here(), start).await.unwrap().is_none());
    turns.clear();
    assert!(throttle.look_up("one-more", here(), start).await.unwrap().is_some());
}
