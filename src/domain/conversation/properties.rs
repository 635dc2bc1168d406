//! Invariants that hold after any sequence of events.

use proptest::prelude::*;

use super::*;

/// The events of a sequence.
#[derive(Clone, Copy, Debug)]
enum Move {
    Claim,
    /// The worker of the attempt under way records this outcome.
    Complete(Outcome),
    Cancel,
    Redeliver,
}

fn moves() -> impl Strategy<Value = Vec<(Move, Pause)>> {
    let outcome = prop_oneof![
        1 => Just(Outcome::Success),
        1 => Just(Outcome::PermanentFailure),
        16 => Just(Outcome::Failure),
        4 => Just(Outcome::Unknown),
    ];
    let next = prop_oneof![
        8 => Just(Move::Claim),
        8 => outcome.prop_map(Move::Complete),
        1 => Just(Move::Cancel),
        2 => Just(Move::Redeliver),
    ];
    let pause = prop_oneof![(0_i64..20_000).prop_map(Pause::Millis), (-30_i64..30).prop_map(Pause::AroundTheWakeUp),];
    prop::collection::vec((next, pause), 1..120)
}

/// The time that passes before an event.
#[derive(Clone, Copy, Debug)]
enum Pause {
    Millis(i64),
    /// The event happens this many milliseconds after [`Conversation::next_wake_at`], or now if that time has passed.
    AroundTheWakeUp(i64),
}

proptest! {
    #[test]
    fn any_sequence_of_events_keeps_the_invariants(
        moves in moves(), max_attempts in prop_oneof![1_u32..5, 18_u32..25], retry in 0_u64..100_000,
        expire_after in prop::option::of(0_u64..400_000),
    ) {
        let expiry = expire_after.map(|after| Expiry::of(DUE, Duration::from_millis(after)));
        let mut conversation = Conversation { expiry, ..scheduled(max_attempts) };
        let mut now = conversation.created;
        let mut claims = 0_u8;
        // The store lets a worker complete only if the row has not changed since its claim.
        let mut claimed = None;
        for (next, pause) in moves {
            now = now.max(match (pause, conversation.next_wake_at()) {
                (Pause::AroundTheWakeUp(millis), Some(next_wake_at)) => shift(next_wake_at, millis),
                (Pause::AroundTheWakeUp(millis) | Pause::Millis(millis), _) => shift(now, millis.abs()),
            });
            let before = conversation.clone();
            let result = match next {
                Move::Claim => {
                    claims = claims.wrapping_add(1);
                    let retry = Duration::from_millis(retry);
                    before.clone().claim(LeaseToken::new([claims; 8]), now, retry).ok().map(|claim| match claim {
                        Claim::Attempt(attempt) => {
                            claimed = Some(attempt.clone());
                            attempt.conversation().clone()
                        }
                        Claim::Lost(next) | Claim::Expired(next) => next,
                    })
                }
                Move::Complete(outcome) => {
                    let current = claimed.take().filter(|claimed: &ClaimedAttempt| *claimed.conversation() == before);
                    current.map(|claimed| {
                        let started = claimed.attempt().started;
                        claimed.complete(started, result(outcome), Duration::from_millis(retry), now)
                    })
                }
                Move::Cancel => before.clone().cancel(now).ok(),
                Move::Redeliver => before.clone().redeliver(now).ok(),
            };
            if let Some(after) = result {
                check_step(&before, &after, now)?;
                conversation = after;
            }
            check_invariants(&conversation)?;
        }
    }
}

proptest! {
    /// `lengths` are the attempts that each delivery makes before its endpoint rejects the conversation for good.
    #[test]
    fn redeliveries_end_before_the_attempts_of_a_life_are_exceeded(
        max_attempts in 1_u32..=20, lengths in prop::collection::vec(1_u32..=20, 101),
    ) {
        const MAX: u32 = Conversation::MAX_ATTEMPTS_IN_LIFE;
        let mut conversation = scheduled(max_attempts);
        for length in lengths {
            for _ in 1..length.min(max_attempts) {
                conversation = end(claim(conversation), Outcome::Failure);
            }
            conversation = end(claim(conversation), Outcome::PermanentFailure);
            let begun = conversation.attempts_begun();
            prop_assert!(begun <= MAX);
            match conversation.clone().redeliver(conversation.updated) {
                Ok(again) => conversation = again,
                Err(refused) => {
                    prop_assert!(begun + max_attempts > MAX, "refused too early");
                    prop_assert_eq!(refused, RedeliveryRefused::AttemptsUsedUp { begun, more: max_attempts });
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "redelivered without end");
    }
}

/// The invariants of one conversation.
fn check_invariants(conversation: &Conversation) -> Result<(), TestCaseError> {
    let begun = conversation.attempts_begun();
    prop_assert!(conversation.attempts_used() <= conversation.policy.max_attempts);
    prop_assert!(conversation.attempts.len() <= 40);
    prop_assert_eq!(conversation.next_wake_at().is_none(), conversation.status().is_final());
    // The numbers are contiguous up to the last attempt. Only the oldest attempts may be missing.
    let under_way = conversation.in_flight();
    let all: Vec<AttemptStart> = conversation.attempts.iter().map(|a| a.start).chain(under_way).collect();
    let first = begun + 1 - u32::try_from(all.len()).unwrap();
    let numbers: Vec<u32> = all.iter().map(|a| a.number).collect();
    prop_assert_eq!(numbers, (first..=begun).collect::<Vec<_>>());
    prop_assert!(first == 1 || conversation.attempts.len() == 40, "kept too few");
    prop_assert!(all.iter().all(|a| a.started >= conversation.due), "an attempt began early");
    prop_assert!(all.is_sorted_by_key(|a| a.started));
    if let State::Delivering { attempt, lease } = &conversation.state {
        prop_assert!(lease.until >= attempt.started + conversation.policy.timeout() + DeliveryPolicy::LEASE_MARGIN);
    }
    Ok(())
}

/// The invariants of one transition.
fn check_step(before: &Conversation, after: &Conversation, now: Timestamp) -> Result<(), TestCaseError> {
    let redelivered = matches!((&before.state, &after.state), (State::Failed { .. }, State::Waiting { .. }));
    prop_assert!(redelivered || !before.status().is_final(), "a transition left the final state {:?}", before.state);
    prop_assert_eq!(after.generation - before.generation, u32::from(redelivered));
    prop_assert!(redelivered || after.attempts_before_redelivery == before.attempts_before_redelivery);
    prop_assert!(after.attempts_begun() >= before.attempts_begun());
    prop_assert!(after.attempts_begun() <= before.attempts_begun() + 1);
    // An attempt that was under way is under way or on record.
    if let Some(attempt) = before.in_flight() {
        let on_record = after.attempts.last().is_some_and(|a| a.start == attempt);
        prop_assert!(after.in_flight() == Some(attempt) || on_record);
    }
    // No other attempt starts before the lease of this one ends.
    if let (State::Delivering { lease, .. }, Some(next)) = (&before.state, after.in_flight()) {
        prop_assert!(next.started >= lease.until);
    }
    // No attempt begins too late, and only a redelivery begins the time anew.
    prop_assert!(redelivered || after.expiry == before.expiry);
    if let (Some(begun), Some(expiry), true) =
        (after.in_flight(), after.expiry, after.attempts_begun() > before.attempts_begun())
    {
        prop_assert!(begun.started <= expiry.at, "an attempt began too late");
    }
    let expired = State::Failed { reason: Expiry::REASON.to_owned() };
    prop_assert!(after.expiry.is_some() || after.state != expired);
    // A transition changes only the fields about the course of the delivery.
    let without_its_course = |conversation: &Conversation| Conversation {
        state: State::Scheduled,
        updated: now,
        attempts: Vec::new(),
        generation: 0,
        attempts_before_redelivery: 0,
        expiry: None,
        series: None,
        ..conversation.clone()
    };
    prop_assert_eq!(without_its_course(before), without_its_course(after));
    Ok(())
}
