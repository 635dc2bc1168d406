//! Conversations in a store, and the pages of their lists.

use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{
    AttemptResult, Claim, ClientId, Conversation, ConversationId, EndpointPolicy, LeaseToken, NewConversation, Outcome,
    Timestamp, WholeConversation,
};
use mcp_scheduler::store::{ConversationStore, KeyRange, ListFilter, ListPlace, Listing, Operation, Table};
use mcp_scheduler::testing::as_version_1;

/// 2030-01-01T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);

pub fn client() -> ClientId {
    "ann".parse().unwrap()
}

/// The id of a number. The ids of following numbers are in different partitions.
pub fn id(number: u32) -> ConversationId {
    let random = number.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    ConversationId::new(NOW + Duration::from_millis(number.into()), &[random; 10])
}

/// A conversation of a client that is due at this time.
pub fn due_at(id: ConversationId, of: ClientId, due: Timestamp, text: String) -> WholeConversation {
    WholeConversation::new(id, of, new_at(due, text), NOW)
}

/// What a client wants to be delivered at this time.
pub fn new_at(due: Timestamp, text: String) -> NewConversation {
    let request = ScheduleRequest {
        conversation_text: Some(text),
        scheduled_time: Some(due.to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    request.validate(due, &EndpointPolicy::default()).unwrap()
}

/// Schedules a conversation.
pub async fn schedule(store: &ConversationStore, number: u32, due: Timestamp) -> ConversationId {
    let id = id(number);
    store.insert(&due_at(id, client(), due, "x".to_owned())).await.unwrap();
    id
}

/// Changes a conversation by a transition.
pub async fn change(store: &ConversationStore, id: ConversationId, to: impl FnOnce(Conversation) -> Conversation) {
    let read = store.get(&client(), id).await.unwrap().unwrap();
    store.replace(read.revision, &to(read.value)).await.unwrap();
}

pub fn claimed(conversation: Conversation) -> Conversation {
    let at = conversation.next_wake_at().unwrap();
    match conversation.claim(LeaseToken::new([1; 8]), at, Duration::ZERO).unwrap() {
        Claim::Attempt(claimed) => claimed.conversation().clone(),
        Claim::Lost(next) | Claim::Expired(next) => next,
    }
}

/// The conversation after an attempt with this outcome that ended at this time.
pub fn attempted(conversation: Conversation, outcome: Outcome, end: Timestamp) -> Conversation {
    let at = conversation.next_wake_at().unwrap();
    let claim = conversation.claim(LeaseToken::new([1; 8]), at, Duration::ZERO).unwrap();
    let Claim::Attempt(claimed) = claim else { panic!("no attempt is under way") };
    let result = AttemptResult { outcome, ..AttemptResult::unknown(1) };
    claimed.complete(at, result, Duration::from_hours(1), end)
}

pub fn ids(listing: &Listing) -> Vec<ConversationId> {
    listing.conversations.iter().map(Conversation::id).collect()
}

/// A page of a list, from its beginning or from a place.
pub async fn page(
    store: &ConversationStore,
    filter: &ListFilter,
    now: Timestamp,
    limit: usize,
    place: Option<ListPlace>,
) -> Listing {
    let place = match place {
        Some(place) => place,
        None => store.list_from_start(&(&client()).into(), filter, now).await.unwrap(),
    };
    store.list(&(&client()).into(), filter, limit, &place).await.unwrap()
}

/// All pages of a list.
pub async fn pages(
    store: &ConversationStore,
    filter: &ListFilter,
    now: Timestamp,
    limit: usize,
) -> Vec<Vec<ConversationId>> {
    let (mut all, mut place) = (Vec::new(), None);
    loop {
        let page = page(store, filter, now, limit, place).await;
        all.push(ids(&page));
        assert!(all.len() < 10_000, "the list has no end");
        place = page.next;
        if place.is_none() {
            return all;
        }
    }
}

/// The keys of the index rows.
pub async fn index_keys(table: &dyn Table) -> Vec<String> {
    let mut keys = Vec::new();
    for partition in ConversationStore::partitions() {
        let rows = table.scan(partition, &KeyRange::prefix("x~"), usize::MAX).await.unwrap();
        keys.extend(rows.into_iter().map(|row| row.key));
    }
    keys
}

/// Copies conversations as an earlier release wrote them: with main rows of its projection and without index rows.
pub async fn copy_as_earlier_release(from: &dyn Table, to: &dyn Table, projection: u32, change: fn(String) -> String) {
    for partition in ConversationStore::partitions() {
        for prefix in ["m~", "d~", "p~"] {
            for row in from.scan(partition, &KeyRange::prefix(prefix), usize::MAX).await.unwrap() {
                let value = if prefix == "d~" { row.value } else { as_version_1(&row, projection).unwrap() };
                let value = change(value);
                to.commit(partition, vec![Operation::Insert { key: row.key, value }]).await.unwrap();
            }
        }
    }
}
