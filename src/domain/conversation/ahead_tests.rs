//! Leases and pauses that a clock wrote which was ahead.

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const TOLERANCE: Duration = DeliveryPolicy::CLOCK_TOLERANCE;

/// A conversation whose attempt was claimed by a clock that showed this time.
fn delivering(claimed: Timestamp) -> Conversation {
    match scheduled(3).claim(OWNER, claimed, RETRY) {
        Ok(Claim::Attempt(claimed)) => claimed.conversation().clone(),
        other => panic!("no attempt but {other:?}"),
    }
}

/// A conversation whose attempt failed when the clock showed this time.
fn waiting(failed: Timestamp, pause: Duration) -> Conversation {
    let Ok(Claim::Attempt(claimed)) = scheduled(3).claim(OWNER, failed, RETRY) else { panic!("no attempt") };
    claimed.complete(failed, result(Outcome::Failure), pause, failed)
}

#[test]
fn a_lease_that_a_fast_clock_wrote_is_over_when_the_clock_is_right_again() {
    let now = DUE;
    let fast = delivering(now + HOUR);
    assert_eq!((fast.due_from(now), fast.claimable_from(now)), (Some(now), Some(now)));
    let Ok(Claim::Lost(next)) = fast.clone().claim(OTHER, now, RETRY) else { panic!("still leased") };
    assert_eq!(next.next_wake_at(), Some(now + RETRY), "the pause begins now");
    assert_eq!(fast.cancel(now).map(|next| next.status()), Ok(Status::Cancelled));
}

#[test]
fn a_pause_that_a_fast_clock_wrote_is_over_when_the_clock_is_right_again() {
    let now = DUE;
    let fast = waiting(now + HOUR, RETRY);
    assert_eq!(fast.due_from(now), Some(now));
    let Ok(Claim::Attempt(claimed)) = fast.claim(OTHER, now, RETRY) else { panic!("still waiting") };
    assert_eq!((claimed.due_at(), claimed.attempt().number), (now, 2));
}

#[test]
fn the_time_that_a_client_chose_is_never_ahead() {
    let long_before = Timestamp::MIN;
    assert!(!scheduled(2).is_ahead_of(long_before));
    assert_eq!(scheduled(2).due_from(long_before), Some(DUE));
    for start in [Start::Completed, Start::Failed, Start::Cancelled] {
        assert!(!start.conversation().is_ahead_of(long_before), "{start:?}");
    }
}

#[test]
fn a_pause_is_at_most_a_day_whatever_the_row_says() {
    let written = waiting(DUE, 100 * HOUR);
    assert!(written.is_ahead_of(DUE));
}

proptest! {
    /// Whoever writes a lease or a pause and reads it with the same clock, or a later one, never takes it for over.
    #[test]
    fn what_the_right_clock_wrote_is_never_ahead(
        written in 0_u64..1_000_000, early in 0_u64..=10, pause in 0_u64..=86_400_000, later in 0_u64..200_000_000, back in 0_u64..=30_000,
    ) {
        let ms = Duration::from_millis;
        let claimed = if written == 0 { DUE - ms(early) } else { DUE + ms(written) };
        let failed = DUE + ms(written);
        for (conversation, written) in [(delivering(claimed), claimed), (waiting(failed, ms(pause)), failed)] {
            // The clock may also have been corrected a little.
            for now in [written + ms(later), written - ms(back)] {
                prop_assert!(!conversation.is_ahead_of(now));
                prop_assert_eq!(conversation.due_from(now), conversation.next_wake_at());
            }
        }
    }

    /// Whatever a clock wrote that was ahead, it blocks for no longer than the tolerance.
    #[test]
    fn what_a_fast_clock_wrote_is_over_after_it_is_set_right(
        ahead in 1_u64..=1_000_000_000, pause in 0_u64..=86_400_000,
    ) {
        let ahead = TOLERANCE + Duration::from_millis(ahead);
        let waiting = waiting(DUE + ahead, Duration::from_millis(pause));
        prop_assert!(waiting.is_ahead_of(DUE));
        let leased = delivering(DUE + ahead + DeliveryPolicy::CLAIM_AHEAD);
        prop_assert!(leased.is_ahead_of(DUE));
        prop_assert_eq!(leased.due_from(DUE), Some(DUE));
    }
}
