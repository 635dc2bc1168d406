//! The commit that ends a delivery and adds its callback.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::domain::{Conversation, WholeConversation};
use mcp_scheduler::store::{ConversationStore, KeyRange, StoreError, Table, Versioned};
use mcp_scheduler::testing::sealer;

use super::idempotency::{NOW, conversation, here, request};

/// A callback of the conversation with the number 1. Its own number makes its id unique.
fn callback(number: u8) -> WholeConversation {
    conversation(&request(1, 1), number, NOW).as_callback_of(conversation(&request(1, 1), 1, NOW).conversation.id())
}

async fn inserted(store: &ConversationStore) -> Versioned<Conversation> {
    let new = conversation(&request(1, 1), 1, NOW);
    store.insert(&new).await.unwrap();
    read(store).await
}

async fn read(store: &ConversationStore) -> Versioned<Conversation> {
    let expected = conversation(&request(1, 1), 1, NOW).conversation;
    store.get(expected.client(), expected.id()).await.unwrap().unwrap()
}

async fn count(table: &dyn Table, prefix: &str) -> usize {
    table.scan(here(), &KeyRange::prefix(prefix), 1000).await.unwrap().len()
}

pub async fn a_conversation_is_replaced_and_another_one_added_in_one_commit(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let before = inserted(&store).await;
    let (over, new) = (before.value.clone().cancel(NOW).unwrap(), callback(2));
    let revision = store.replace_and_insert(before.revision.clone(), &over, std::slice::from_ref(&new)).await.unwrap();
    let current = read(&store).await;
    assert_eq!((&current.value, &current.revision), (&over, &revision));
    let added = store.get(new.conversation.client(), new.conversation.id()).await.unwrap().unwrap();
    assert_eq!((&added.value, store.payload(&added).await.unwrap()), (&new.conversation, new.payload));
    assert_eq!((count(&**table, "m~").await, count(&**table, "d~").await), (2, 1));
    // A repetition of the commit adds nothing, also with another id.
    let again = store.replace_and_insert(before.revision.clone(), &over, &[callback(3)]).await.unwrap();
    assert_eq!(again, revision, "the first commit was its own");
    let later = before.value.cancel(NOW + Duration::from_secs(1)).unwrap();
    let refused = store.replace_and_insert(before.revision, &later, &[callback(4)]).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!((count(&**table, "m~").await, count(&**table, "d~").await), (2, 1));
}

pub async fn if_the_other_one_exists_nothing_is_replaced(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let before = inserted(&store).await;
    let new = callback(2);
    store.insert(&new).await.unwrap();
    let over = before.value.clone().cancel(NOW).unwrap();
    let refused = store.replace_and_insert(before.revision.clone(), &over, std::slice::from_ref(&new)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(read(&store).await.revision, before.revision);
    assert_eq!((count(&**table, "m~").await, count(&**table, "d~").await), (2, 2));
}

pub async fn of_many_ends_of_one_delivery_one_adds_a_conversation(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let before = inserted(&store).await;
    let ends = (2..20).map(|number| {
        let (store, before) = (store.clone(), before.clone());
        async move {
            let over = before.value.cancel(NOW + Duration::from_secs(number.into())).unwrap();
            store.replace_and_insert(before.revision, &over, &[callback(number)]).await
        }
    });
    let results = join_all(ends).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!((count(&**table, "m~").await, count(&**table, "d~").await), (2, 1));
}
