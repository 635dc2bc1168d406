//! The protocol of idempotency keys: one key leads to one conversation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{
    ClientId, ConversationId, EndpointPolicy, IdempotentRequest, Sha256, Timestamp, WholeConversation,
};
use mcp_scheduler::store::{ConversationStore, KeyRange, Partition, Repetition, StoreError, Table};
use mcp_scheduler::testing::sealer;

use super::{delete_whatever_is_there, insert};

pub const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);
const TOMORROW: Timestamp = Timestamp::from_millis(NOW.as_millis() + 24 * 3_600_000);
const SECOND: Duration = Duration::from_secs(1);
/// The last digit of all keys of these cases.
const PARTITION: u8 = 0xb;

/// A request with the key and the fingerprint of these numbers.
pub fn request(key: u8, fingerprint: u8) -> IdempotentRequest {
    let mut hash = [key; 32];
    hash[31] = PARTITION;
    IdempotentRequest { key: Sha256::new(hash), fingerprint: Sha256::new([fingerprint; 32]) }
}

/// The conversation that a request schedules at this time. The number makes its id unique.
pub fn conversation(request: &IdempotentRequest, number: u8, now: Timestamp) -> WholeConversation {
    conversation_of("ann", request, number, now)
}

fn conversation_of(client: &str, request: &IdempotentRequest, number: u8, now: Timestamp) -> WholeConversation {
    let schedule = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some((now + SECOND).to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = schedule.validate(now, &EndpointPolicy::default()).unwrap();
    let id = ConversationId::new(now, &[number; 10]).in_partition(request.key.partition());
    WholeConversation::new(id, client.parse().unwrap(), new, now)
}

pub fn here() -> Partition {
    ConversationStore::partitions().nth(PARTITION.into()).unwrap()
}

/// The keys of the rows with this prefix.
pub async fn keys(table: &dyn Table, prefix: &str) -> Vec<String> {
    let rows = table.scan(here(), &KeyRange::prefix(prefix), 1000).await.unwrap();
    rows.into_iter().map(|row| row.key).collect()
}

/// The numbers of conversations, due rows, key rows and expiry rows.
pub async fn counts(table: &dyn Table) -> [usize; 4] {
    let mut counts = [0; 4];
    for (count, prefix) in counts.iter_mut().zip(["m~", "d~", "k~", "e~"]) {
        *count = keys(table, prefix).await.len();
    }
    counts
}

/// The id of the conversation that an insert led to.
pub fn led_to(new: &WholeConversation, result: Result<Option<Repetition>, StoreError>) -> ConversationId {
    match result.unwrap() {
        None => new.conversation.id(),
        Some(Repetition::Same { conversation, .. }) => conversation.id(),
        Some(other) => panic!("{other:?}"),
    }
}

fn store(table: &Arc<dyn Table>) -> ConversationStore {
    ConversationStore::new(Arc::clone(table), sealer())
}

async fn remove_all(store: &ConversationStore, now: Timestamp) {
    let mut behind = None;
    while let Some(last) = store.remove_expired(here(), now, behind.as_deref()).await.unwrap() {
        behind = Some(last);
    }
}

pub async fn a_repetition_finds_the_conversation_and_adds_nothing(table: &Arc<dyn Table>) {
    let (store, request) = (store(table), request(1, 1));
    let first = conversation(&request, 1, NOW);
    assert_eq!(store.find_repetition(first.conversation.client(), &request, NOW).await.unwrap(), None);
    assert_eq!(store.insert_once(&first, &request).await.unwrap(), None);
    let found = Repetition::Same { conversation: Box::new(first.conversation.clone()), due: first.conversation.due() };
    for (number, at) in [(2, NOW), (3, NOW + SECOND), (4, TOMORROW - Duration::from_millis(1))] {
        let again = conversation(&request, number, at);
        assert_eq!(store.insert_once(&again, &request).await.unwrap().as_ref(), Some(&found));
        let client = first.conversation.client();
        assert_eq!(store.find_repetition(client, &request, at).await.unwrap().as_ref(), Some(&found));
    }
    assert_eq!(counts(&**table).await, [1, 1, 1, 1]);
}

pub async fn another_request_with_the_key_is_told_apart(table: &Arc<dyn Table>) {
    let (store, first) = (store(table), request(1, 1));
    assert_eq!(store.insert_once(&conversation(&first, 1, NOW), &first).await.unwrap(), None);
    let other = request(1, 2);
    let new = conversation(&other, 2, NOW);
    assert_eq!(store.insert_once(&new, &other).await.unwrap(), Some(Repetition::Other));
    let found = store.find_repetition(new.conversation.client(), &other, NOW).await.unwrap();
    assert_eq!(found, Some(Repetition::Other));
    assert_eq!(counts(&**table).await, [1, 1, 1, 1]);
}

pub async fn every_client_has_keys_of_its_own(table: &Arc<dyn Table>) {
    let (store, request) = (store(table), request(1, 1));
    for (number, client) in [(1, "ann"), (2, "an"), (3, "bob")] {
        let new = conversation_of(client, &request, number, NOW);
        assert_eq!(store.insert_once(&new, &request).await.unwrap(), None, "{client}");
    }
    assert_eq!(counts(&**table).await, [3, 3, 3, 3]);
}

pub async fn a_conversation_that_is_gone_is_not_scheduled_again(table: &Arc<dyn Table>) {
    let (store, request) = (store(table), request(1, 1));
    store.insert_once(&conversation(&request, 1, NOW), &request).await.unwrap();
    for key in [keys(&**table, "m~").await, keys(&**table, "d~").await].concat() {
        table.commit(here(), vec![delete_whatever_is_there(&key)]).await.unwrap();
    }
    let again = store.insert_once(&conversation(&request, 2, NOW), &request).await.unwrap();
    assert_eq!(again, Some(Repetition::Gone));
    assert_eq!(counts(&**table).await, [0, 0, 1, 1]);
}

pub async fn an_expired_key_belongs_to_the_next_request(table: &Arc<dyn Table>) {
    let (store, first, next) = (store(table), request(1, 1), request(1, 2));
    store.insert_once(&conversation(&first, 1, NOW), &first).await.unwrap();
    let client: ClientId = "ann".parse().unwrap();
    assert_eq!(store.find_repetition(&client, &next, TOMORROW).await.unwrap(), None);
    let new = conversation(&next, 2, TOMORROW);
    assert_eq!(store.insert_once(&new, &next).await.unwrap(), None);
    assert_eq!(counts(&**table).await, [2, 2, 1, 1]);
    // The first request is now another one.
    let again = conversation(&first, 3, TOMORROW);
    assert_eq!(store.insert_once(&again, &first).await.unwrap(), Some(Repetition::Other));
    // The time of the new key counts.
    remove_all(&store, TOMORROW + SECOND).await;
    assert_eq!(led_to(&again, store.insert_once(&again, &next).await), new.conversation.id());
    // A damaged store may have lost the expiry row.
    let expiry = keys(&**table, "e~").await;
    table.commit(here(), vec![delete_whatever_is_there(&expiry[0])]).await.unwrap();
    let later = conversation(&next, 4, TOMORROW + Duration::from_hours(24));
    assert_eq!(store.insert_once(&later, &next).await.unwrap(), None);
    assert_eq!(counts(&**table).await, [3, 3, 1, 1]);
}

pub async fn expired_keys_are_removed_and_others_stay(table: &Arc<dyn Table>) {
    let store = store(table);
    for number in 0..110 {
        let at = if number < 105 { NOW } else { NOW + SECOND };
        let request = request(number, 1);
        store.insert_once(&conversation(&request, number, at), &request).await.unwrap();
    }
    remove_all(&store, TOMORROW - Duration::from_millis(1)).await;
    assert_eq!(counts(&**table).await, [110, 110, 110, 110]);
    remove_all(&store, TOMORROW).await;
    assert_eq!(counts(&**table).await, [110, 110, 5, 5], "the conversations stay");
    let left = request(107, 1);
    let again = conversation(&left, 200, TOMORROW);
    let before = conversation(&left, 107, NOW + SECOND).conversation.id();
    assert_eq!(led_to(&again, store.insert_once(&again, &left).await), before);
    remove_all(&store, TOMORROW + SECOND).await;
    assert_eq!(counts(&**table).await, [110, 110, 0, 0]);
}

pub async fn rows_that_a_removal_does_not_know_or_does_not_find_stop_nothing(table: &Arc<dyn Table>) {
    let store = store(table);
    let of_newer = |n: usize| insert(&format!("e~{:014}~m~ann~{n}", NOW.as_millis() + 1), r#"{"v":1,"row":{}}"#);
    table.commit(here(), (0..99).map(of_newer).collect()).await.unwrap();
    let newer_form = insert(&format!("e~{:014}~k~ann~1", NOW.as_millis()), r#"{"v":3,"row":{}}"#);
    table.commit(here(), vec![newer_form]).await.unwrap();
    let requests: Vec<_> = (1..4).map(|number| request(number, 1)).collect();
    for (number, request) in (1..).zip(&requests) {
        store.insert_once(&conversation(request, number, NOW), request).await.unwrap();
    }
    let lost = keys(&**table, "k~").await.remove(1);
    table.commit(here(), vec![delete_whatever_is_there(&lost)]).await.unwrap();
    remove_all(&store, TOMORROW).await;
    assert_eq!(counts(&**table).await, [3, 3, 0, 100]);
}

const MANY: u8 = 16;

/// Runs the same request many times at once, and returns the ids that it led to.
async fn repeat(
    store: &ConversationStore,
    request: IdempotentRequest,
    first: u8,
    now: Timestamp,
) -> Vec<ConversationId> {
    let tasks = (first..first + MANY).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let new = conversation(&request, number, now);
            led_to(&new, store.insert_once(&new, &request).await)
        })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

pub async fn of_many_requests_with_one_key_exactly_one_schedules(table: &Arc<dyn Table>) {
    let store = store(table);
    for round in 1..4 {
        let number = 40 * round;
        let mut first = repeat(&store, request(round, 1), number, NOW).await;
        first.dedup();
        assert_eq!(first.len(), 1);
        // All of them find the key expired, while it is being removed.
        let ((), mut second) =
            tokio::join!(remove_all(&store, TOMORROW), repeat(&store, request(round, 2), number + MANY, TOMORROW));
        second.dedup();
        assert_eq!(second.len(), 1);
        assert_ne!(first, second);
        let round = usize::from(round);
        assert_eq!(counts(&**table).await, [2 * round, 2 * round, round, round]);
    }
}
