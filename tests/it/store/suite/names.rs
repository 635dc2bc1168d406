//! The protocol of names: one name leads to one conversation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::domain::{ConversationName, IdempotentRequest, Named, Sha256, WholeConversation};
use mcp_scheduler::store::{ConversationStore, KeyRange, Partition, StoreError, Table};
use mcp_scheduler::testing::sealer;

use super::idempotency::{NOW, conversation};

pub fn name() -> ConversationName {
    "daily-report".parse().unwrap()
}

/// A conversation with the name. The number makes its id unique.
pub fn named(number: u8) -> WholeConversation {
    let hash = Sha256::new([ConversationStore::name_partition(&name()); 32]);
    let new = conversation(&IdempotentRequest { key: hash, fingerprint: hash }, number, NOW);
    new.named(Named { name: name(), definition: Some(hash) })
}

fn partition() -> Partition {
    ConversationStore::partitions().nth(ConversationStore::name_partition(&name()).into()).unwrap()
}

/// The numbers of conversations, due rows and name rows.
pub async fn counts(table: &dyn Table) -> [usize; 3] {
    let mut counts = [0; 3];
    for (count, prefix) in counts.iter_mut().zip(["m~", "d~", "n~"]) {
        *count = table.scan(partition(), &KeyRange::prefix(prefix), 1000).await.unwrap().len();
    }
    counts
}

pub async fn a_name_leads_to_the_conversation_that_got_it_last(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let [first, second, third] = [1, 2, 3].map(named);
    let client = first.conversation.client();
    assert!(store.name_holder(client, &name()).await.unwrap().is_none());
    store.insert_named(&first, &name(), None).await.unwrap();
    let holder = store.name_holder(client, &name()).await.unwrap().unwrap();
    assert_eq!(holder.id, first.conversation.id());
    assert_eq!(store.get(client, holder.id).await.unwrap().unwrap().value, first.conversation);
    let refused = store.insert_named(&second, &name(), None).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(counts(&**table).await, [1; 3], "nothing was added");
    store.insert_named(&second, &name(), Some(holder.clone())).await.unwrap();
    assert_eq!(store.name_holder(client, &name()).await.unwrap().unwrap().id, second.conversation.id());
    let refused = store.insert_named(&third, &name(), Some(holder)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(counts(&**table).await, [2, 2, 1]);
    assert!(store.name_holder(&"bob".parse().unwrap(), &name()).await.unwrap().is_none());
}

pub async fn of_many_conversations_exactly_one_gets_a_name(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let inserts = (1..20).map(|number| {
        let store = store.clone();
        async move { store.insert_named(&named(number), &name(), None).await }
    });
    let results = join_all(inserts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(counts(&**table).await, [1; 3]);
}

pub async fn a_name_is_removed_with_its_conversation_and_stays_for_another(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let [first, second] = [1, 2].map(named);
    let client = first.conversation.client();
    let partition = partition();
    let cancel_and_remove = async |id| {
        let read = store.get(client, id).await.unwrap().unwrap();
        store.replace(read.revision, &read.value.cancel(NOW).unwrap()).await.unwrap();
        store.remove_ended(partition, NOW + Duration::from_millis(1), None).await.unwrap();
    };
    store.insert_named(&first, &name(), None).await.unwrap();
    let holder = store.name_holder(client, &name()).await.unwrap();
    store.insert_named(&second, &name(), holder).await.unwrap();
    cancel_and_remove(first.conversation.id()).await;
    assert_eq!(counts(&**table).await, [1; 3], "the name leads to the second");
    cancel_and_remove(second.conversation.id()).await;
    assert_eq!(counts(&**table).await, [0; 3]);
}
