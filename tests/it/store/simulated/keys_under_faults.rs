//! Idempotency keys while the calls of the table fail.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::domain::{ConversationId, Timestamp};
use mcp_scheduler::store::{ConversationStore, Repetition, StoreError};
use mcp_scheduler::testing::Fault::{AnswerLost, None as Nothing, Refused, RequestLost};
use mcp_scheduler::testing::{Fault, Faults, SimulatedTable, sealer};

use super::faults::FaultScript;
use crate::store::suite::idempotency::{NOW, conversation, counts, here, keys, led_to, request};
use crate::support::simulation::seeded_rng::SeededRng;

const TOMORROW: Timestamp = Timestamp::from_millis(NOW.as_millis() + 24 * 3_600_000);

struct Faulty {
    faults: FaultScript,
    table: SimulatedTable,
    store: ConversationStore,
}

impl Faulty {
    fn new() -> Self {
        let faults = FaultScript::default();
        let table = SimulatedTable::new(faults.clone());
        Self { store: ConversationStore::new(Arc::new(table.clone()), sealer()), table, faults }
    }

    async fn insert<const N: usize>(
        &self,
        number: u8,
        now: Timestamp,
        faults: [Fault; N],
    ) -> Result<Option<Repetition>, StoreError> {
        self.faults.then(faults);
        let result = self.store.insert_once(&conversation(&request(1, 1), number, now), &request(1, 1)).await;
        assert!(self.faults.is_used_up(), "{faults:?} are more than the calls");
        result
    }

    /// The id of the conversation that a request without faults leads to.
    async fn id(&self, number: u8, now: Timestamp) -> ConversationId {
        led_to(&conversation(&request(1, 1), number, now), self.insert(number, now, []).await)
    }
}

fn id(number: u8, now: Timestamp) -> ConversationId {
    conversation(&request(1, 1), number, now).conversation.id()
}

#[tokio::test]
async fn an_insert_whose_result_is_unknown_is_proved_by_a_second_commit_or_a_read() {
    let unknown = [RequestLost, AnswerLost];
    for first in unknown {
        let faulty = Faulty::new();
        assert_eq!(faulty.insert(1, NOW, [first]).await.unwrap(), None, "{first:?}");
        assert_eq!(counts(&faulty.table).await, [1; 4], "{first:?}");
    }
    for faults in
        [[RequestLost, AnswerLost], [AnswerLost, RequestLost], [AnswerLost, AnswerLost], [AnswerLost, Refused]]
    {
        let faulty = Faulty::new();
        assert_eq!(faulty.insert(1, NOW, faults).await.unwrap(), None, "{faults:?}");
        assert_eq!(counts(&faulty.table).await, [1; 4], "{faults:?}");
    }
}

#[tokio::test]
async fn an_insert_that_cannot_be_proved_is_unknown_and_can_be_repeated() {
    for (faults, added) in [
        ([RequestLost, RequestLost, Nothing], false),
        ([RequestLost, Refused, Nothing], false),
        ([AnswerLost, RequestLost, Refused], true),
        ([AnswerLost, Nothing, Refused], true),
        ([RequestLost, AnswerLost, Refused], true),
    ] {
        let faulty = Faulty::new();
        let result = faulty.insert(1, NOW, faults).await;
        assert!(matches!(result, Err(StoreError::Unknown(_))), "{faults:?} gave {result:?}");
        // The client repeats its request, which gets an id of its own.
        let expected = id(if added { 1 } else { 2 }, NOW);
        assert_eq!(faulty.id(2, NOW).await, expected, "{faults:?}");
        assert_eq!(counts(&faulty.table).await, [1; 4], "{faults:?}");
    }
}

#[tokio::test]
async fn an_insert_is_unavailable_only_if_nothing_was_added() {
    let faulty = Faulty::new();
    assert!(matches!(faulty.insert(1, NOW, [Refused]).await, Err(StoreError::Unavailable(_))));
    assert_eq!(counts(&faulty.table).await, [0; 4]);
    faulty.insert(1, NOW, []).await.unwrap();
    // The key exists, and cannot be read.
    let repeated = faulty.insert(2, NOW, [Nothing, Refused]).await;
    assert!(matches!(repeated, Err(StoreError::Unavailable(_))), "{repeated:?}");
}

#[tokio::test]
async fn the_key_of_another_request_is_not_taken_for_its_own() {
    for faults in [[Nothing, Nothing], [RequestLost, Nothing], [AnswerLost, RequestLost], [RequestLost, RequestLost]] {
        let faulty = Faulty::new();
        faulty.insert(1, NOW, []).await.unwrap();
        let result = faulty.insert(2, NOW, faults).await;
        assert_eq!(led_to(&conversation(&request(1, 1), 2, NOW), result), id(1, NOW), "{faults:?}");
        let other = conversation(&request(1, 2), 3, NOW);
        faulty.faults.then(faults);
        let result = faulty.store.insert_once(&other, &request(1, 2)).await.unwrap();
        assert_eq!(result, Some(Repetition::Other), "{faults:?}");
        assert_eq!(counts(&faulty.table).await, [1; 4], "{faults:?}");
    }
}

#[tokio::test]
async fn an_expired_key_is_replaced_once_whatever_is_lost() {
    // A conflict, two reads, and the commit that replaces the key.
    for faults in [
        [Nothing, Nothing, Nothing, Nothing],
        [Nothing, Nothing, Nothing, RequestLost],
        [Nothing, Nothing, Nothing, AnswerLost],
        [RequestLost, Nothing, Nothing, Nothing],
        [AnswerLost, Nothing, Nothing, Nothing],
    ] {
        let faulty = Faulty::new();
        faulty.insert(1, NOW, []).await.unwrap();
        assert_eq!(faulty.insert(2, TOMORROW, faults).await.unwrap(), None, "{faults:?}");
        assert_eq!(counts(&faulty.table).await, [2, 2, 1, 1], "{faults:?}");
        assert_eq!(faulty.id(3, TOMORROW).await, id(2, TOMORROW), "{faults:?}");
        let expiry = keys(&faulty.table, "e~").await.remove(0);
        assert!(expiry.starts_with(&format!("e~{:014}", TOMORROW.as_millis() + 24 * 3_600_000)), "{expiry}");
    }
}

#[tokio::test]
async fn a_removal_whose_result_is_unknown_can_be_repeated() {
    for fault in [RequestLost, AnswerLost, Refused] {
        let faulty = Faulty::new();
        faulty.insert(1, NOW, []).await.unwrap();
        faulty.faults.then([Nothing, fault]);
        assert!(faulty.store.remove_expired(here(), TOMORROW, None).await.is_err(), "{fault:?}");
        faulty.store.remove_expired(here(), TOMORROW, None).await.unwrap();
        assert_eq!(counts(&faulty.table).await, [1, 1, 0, 0], "{fault:?}");
    }
}

/// Faults and durations at random.
struct Random(SeededRng);

impl Faults for Random {
    fn next(&self) -> Fault {
        self.0.pick(&[Nothing, Nothing, Nothing, Refused, RequestLost, AnswerLost])
    }

    fn latency(&self) -> Duration {
        self.0.up_to(Duration::from_millis(40))
    }
}

/// Three clients repeat one request until each has an answer, while its expired predecessor is removed.
#[tokio::test(start_paused = true)]
async fn one_key_leads_to_one_conversation_whatever_fails() {
    for seed in 0..500 {
        let table = SimulatedTable::new(Random(SeededRng::new(seed)));
        let store = ConversationStore::new(Arc::new(table), sealer());
        let clients = (0..3_u8).map(|client| {
            let store = &store;
            async move {
                for number in 0..80 {
                    let new = conversation(&request(1, 1), 80 * client + number, TOMORROW);
                    let result = store.insert_once(&new, &request(1, 1)).await;
                    if result.is_ok() {
                        return led_to(&new, result);
                    }
                }
                panic!("seed {seed}: no answer");
            }
        });
        let _ = store.insert_once(&conversation(&request(1, 1), 255, NOW), &request(1, 1)).await;
        let removal = store.remove_expired(here(), TOMORROW, None);
        let (mut led_to, _) = tokio::join!(join_all(clients), removal);
        led_to.dedup();
        assert_eq!(led_to.len(), 1, "seed {seed}: {led_to:?}");
        assert_ne!(led_to[0], id(255, NOW), "seed {seed}");
    }
}
