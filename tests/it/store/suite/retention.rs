//! Conversations that ended long ago are removed, with all of their rows.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::domain::{Conversation, ConversationId, Outcome, Timestamp};
use mcp_scheduler::store::{ConversationStore, Operation, Repetition, StoreError, Table};
use mcp_scheduler::testing::sealer;

use super::delete_whatever_is_there;
use super::idempotency::{conversation, here, keys, request};
use crate::support::listing::{NOW, attempted, client, due_at};

const DAY: Duration = Duration::from_hours(24);
const MILLISECOND: Duration = Duration::from_millis(1);

fn store(table: &Arc<dyn Table>) -> ConversationStore {
    ConversationStore::new(Arc::clone(table), sealer())
}

fn id(number: u8) -> ConversationId {
    ConversationId::new(NOW, &[number; 10]).in_partition(request(0, 0).key.partition())
}

/// Schedules a conversation. Every third one has a payload row.
async fn add(store: &ConversationStore, number: u8) {
    let text = "x".repeat(if number.is_multiple_of(3) { 5000 } else { 5 });
    store.insert(&due_at(id(number), client(), NOW, text)).await.unwrap();
}

fn cancelled(conversation: Conversation, at: Timestamp) -> Conversation {
    conversation.cancel(at).unwrap()
}

fn failed(conversation: Conversation, at: Timestamp) -> Conversation {
    attempted(conversation, Outcome::PermanentFailure, at)
}

async fn change(store: &ConversationStore, number: u8, to: impl FnOnce(Conversation) -> Conversation) {
    let read = store.get(&client(), id(number)).await.unwrap().unwrap();
    store.replace(read.revision, &to(read.value)).await.unwrap();
}

async fn exists(store: &ConversationStore, number: u8) -> bool {
    store.get(&client(), id(number)).await.unwrap().is_some()
}

async fn remove_all(store: &ConversationStore, before: Timestamp) {
    let mut behind = None;
    while let Some(last) = store.remove_ended(here(), before, behind.as_deref()).await.unwrap() {
        behind = Some(last);
    }
}

/// The numbers of main rows, due rows, payload rows, index rows and retention rows.
async fn counts(table: &dyn Table) -> [usize; 5] {
    let mut counts = [0; 5];
    for (count, prefix) in counts.iter_mut().zip(["m~", "d~", "p~", "x~", "r~"]) {
        *count = keys(table, prefix).await.len();
    }
    counts
}

pub async fn conversations_that_ended_long_ago_are_removed_and_others_stay(table: &Arc<dyn Table>) {
    let store = store(table);
    for number in 0..=80 {
        add(&store, number).await;
    }
    for number in 0..70 {
        change(&store, number, |it| if number % 2 == 0 { cancelled(it, NOW) } else { failed(it, NOW) }).await;
    }
    change(&store, 70, |it| cancelled(it, NOW + MILLISECOND)).await;
    remove_all(&store, NOW).await;
    assert_eq!(counts(&**table).await, [81, 10, 27, 81, 71], "nothing ended before this time");
    remove_all(&store, NOW + MILLISECOND).await;
    assert_eq!(counts(&**table).await, [11, 10, 3, 11, 1]);
    assert!(!exists(&store, 69).await && exists(&store, 70).await && exists(&store, 71).await);
    // The others work on, and one of them ends later.
    change(&store, 71, |it| failed(it, NOW + DAY)).await;
    remove_all(&store, NOW + DAY).await;
    assert_eq!(counts(&**table).await, [10, 9, 3, 10, 1]);
}

pub async fn a_repeated_request_finds_its_conversation_gone(table: &Arc<dyn Table>) {
    let (store, request) = (store(table), request(1, 1));
    let new = conversation(&request, 1, NOW);
    assert_eq!(store.insert_once(&new, &request).await.unwrap(), None);
    let (client, id) = (new.conversation.client(), new.conversation.id());
    let read = store.get(client, id).await.unwrap().unwrap();
    store.replace(read.revision, &cancelled(read.value, NOW)).await.unwrap();
    remove_all(&store, NOW + MILLISECOND).await;
    assert_eq!(store.find_repetition(client, &request, NOW).await.unwrap(), Some(Repetition::Gone));
    let again = conversation(&request, 2, NOW);
    assert_eq!(store.insert_once(&again, &request).await.unwrap(), Some(Repetition::Gone));
    assert_eq!(counts(&**table).await, [0; 5]);
}

pub async fn of_a_removal_and_a_redelivery_exactly_one_succeeds(table: &Arc<dyn Table>) {
    let (store, mut redelivered) = (store(table), 0);
    for number in 0..20 {
        add(&store, number).await;
        change(&store, number, |it| failed(it, NOW)).await;
        let read = store.get(&client(), id(number)).await.unwrap().unwrap();
        let next = read.value.redeliver(NOW + DAY).unwrap();
        let removal = store.remove_ended(here(), NOW + MILLISECOND, None);
        let (removed, changed) = tokio::join!(removal, store.replace(read.revision, &next));
        removed.unwrap();
        assert!(matches!(changed, Ok(_) | Err(StoreError::Conflict)), "{changed:?}");
        assert_eq!(exists(&store, number).await, changed.is_ok());
        redelivered += usize::from(changed.is_ok());
        let [main, due, _, index, retention] = counts(&**table).await;
        assert_eq!([main, due, index, retention], [redelivered, redelivered, redelivered, 0]);
    }
}

pub async fn what_a_damaged_store_has_lost_stops_no_removal(table: &Arc<dyn Table>) {
    let store = store(table);
    for number in 0..4 {
        add(&store, number).await;
        change(&store, number, |it| cancelled(it, NOW)).await;
    }
    let lost = |number: u8, prefix: &'static str| async move {
        let keys = keys(&**table, prefix).await;
        let is_of = |key: &&String| key.ends_with(&id(number).to_string()) || key.ends_with(&id(number).inverted());
        delete_whatever_is_there(keys.iter().find(is_of).unwrap())
    };
    // A main row, an index row and a payload row are missing. One retention row is left of an earlier end.
    let stray = format!("r~{:014}~{}~{}", (NOW - DAY).as_millis(), client(), id(2));
    let mut operations = vec![lost(0, "m~").await, lost(1, "x~").await, lost(3, "p~").await];
    operations.push(Operation::Insert { key: stray, value: r#"{"v":1,"row":{}}"#.to_owned() });
    table.commit(here(), operations).await.unwrap();
    remove_all(&store, NOW).await;
    assert_eq!(counts(&**table).await, [3, 0, 1, 3, 4], "only the row of an end that was not");
    remove_all(&store, NOW + MILLISECOND).await;
    // Without a main row nothing tells which other rows there were. A repair removes the index row.
    assert_eq!(counts(&**table).await, [0, 0, 1, 1, 0]);
}
