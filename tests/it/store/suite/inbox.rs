//! The inbox rows: they stand at the time from which a receiver gets a conversation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{
    Claim, ClaimedAttempt, ConversationId, EndpointPolicy, LeaseToken, Outcome, Received, Timestamp, WholeConversation,
};
use mcp_scheduler::store::{ConversationStore, KeyRange, StoreError, Table, Versioned};
use mcp_scheduler::testing::sealer;

use super::idempotency::NOW;

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(30);

/// A conversation in the inbox of `ann` that is due at this time. The number makes its id unique and chooses its partition.
fn waiting(number: u8, due: Timestamp) -> WholeConversation {
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some(due.to_string()),
        deliver: Some("inbox".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    let id = ConversationId::new(NOW, &[number; 10]).in_partition(number % 16);
    WholeConversation::new(id, "ann".parse().unwrap(), new, NOW)
}

async fn ready(store: &ConversationStore, now: Timestamp) -> (Vec<ConversationId>, Option<Timestamp>) {
    let page = store.inbox(&"ann".parse().unwrap(), now, 16).await.unwrap();
    (page.ready, page.next)
}

async fn read(store: &ConversationStore, of: &WholeConversation) -> Versioned<mcp_scheduler::domain::Conversation> {
    store.get(of.conversation.client(), of.conversation.id()).await.unwrap().unwrap()
}

fn claimed(read: &Versioned<mcp_scheduler::domain::Conversation>, token: u8, now: Timestamp) -> ClaimedAttempt {
    match read.value.clone().receive(LeaseToken::new([token; 8]), now, LEASE) {
        Ok(Claim::Attempt(claimed)) => claimed,
        other => panic!("{other:?}"),
    }
}

pub async fn conversations_are_found_in_the_order_of_their_times_and_each_client_finds_its_own(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let all: Vec<_> =
        [(1, 2), (2, 0), (3, 1), (4, 9)].map(|(number, ahead)| waiting(number, NOW + ahead * SECOND)).into();
    for new in &all {
        store.insert(new).await.unwrap();
    }
    let id = |index: usize| all[index].conversation.id();
    let before = NOW + SECOND - Duration::from_millis(1);
    assert_eq!(ready(&store, before).await, (vec![id(1)], Some(NOW + SECOND)));
    assert_eq!(ready(&store, NOW + 2 * SECOND).await, (vec![id(1), id(2), id(0)], Some(NOW + 9 * SECOND)));
    assert_eq!(ready(&store, NOW + 9 * SECOND).await.0.len(), 4);
    assert_eq!(store.inbox(&"an".parse().unwrap(), NOW + 9 * SECOND, 16).await.unwrap().ready, []);
}

pub async fn a_lease_moves_the_row_and_the_end_removes_it(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let new = waiting(5, NOW);
    store.insert(&new).await.unwrap();
    let before = read(&store, &new).await;
    let attempt = claimed(&before, 1, NOW);
    let revision = store.replace(before.revision, attempt.conversation()).await.unwrap();
    assert_eq!(ready(&store, NOW).await, (vec![], Some(NOW + LEASE)));
    assert_eq!(read(&store, &new).await.value, *attempt.conversation(), "the row tells everything");
    let result = attempt.acknowledged(Received::Done, NOW);
    assert_eq!(result.outcome, Outcome::Success);
    store.replace(revision, &attempt.complete(NOW, result, SECOND, NOW)).await.unwrap();
    assert_eq!(ready(&store, NOW + LEASE).await, (vec![], None));
    let partition = ConversationStore::partition(new.conversation.id());
    for prefix in ["i~", "d~"] {
        assert_eq!(table.scan(partition, &KeyRange::prefix(prefix), 10).await.unwrap(), [], "{prefix}");
    }
    assert_eq!(store.verify(partition).await.unwrap().flaws, []);
}

pub async fn of_many_receivers_exactly_one_gets_a_conversation(table: &Arc<dyn Table>) {
    let store = ConversationStore::new(Arc::clone(table), sealer());
    let new = waiting(6, NOW);
    store.insert(&new).await.unwrap();
    let before = read(&store, &new).await;
    let receivers = (1..20).map(|token| {
        let (store, before) = (store.clone(), before.clone());
        async move {
            let attempt = claimed(&before, token, NOW);
            store.replace(before.revision, attempt.conversation()).await.map(|_| attempt)
        }
    });
    let results = join_all(receivers).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|lost| matches!(lost, Err(StoreError::Conflict))), "{lost:?}");
    let winner = won.into_iter().next().unwrap().unwrap();
    assert_eq!(read(&store, &new).await.value, *winner.conversation());
}
