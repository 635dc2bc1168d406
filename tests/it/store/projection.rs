//! A kind of row that a newer version adds, and conversations that an older version wrote.

use std::sync::Arc;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{
    Claim, Conversation, ConversationId, EndpointPolicy, LeaseToken, Timestamp, WholeConversation,
};
use mcp_scheduler::store::{ConversationStore, KeyRange, Projection, StoreError, Table};
use mcp_scheduler::testing::{SimulatedTable, sealer};

const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);

/// Two versions of the service on one table: the newer one writes one more kind of row.
struct TwoVersions {
    table: Arc<SimulatedTable>,
    older: ConversationStore,
    newer: ConversationStore,
}

impl TwoVersions {
    fn new() -> Self {
        let table = Arc::new(SimulatedTable::new(()));
        let newer = Projection::default().with(|conversation: &Conversation| {
            let key = format!("t~{}~{}", conversation.status().as_str(), conversation.id());
            Ok((!conversation.status().is_final()).then(|| (key, String::new())))
        });
        Self {
            older: ConversationStore::new(Arc::clone(&table) as _, sealer()),
            newer: ConversationStore::new(Arc::clone(&table) as _, sealer()).with_projection(newer),
            table,
        }
    }

    /// The keys of the kind that only the newer version writes.
    async fn extra_keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for partition in ConversationStore::partitions() {
            let rows = self.table.scan(partition, &KeyRange::prefix("t~"), 10).await.unwrap();
            keys.extend(rows.into_iter().map(|row| row.key));
        }
        keys
    }

    async fn cancel(&self, store: &ConversationStore, whole: &WholeConversation) {
        let conversation = &whole.conversation;
        let read = store.get(conversation.client(), conversation.id()).await.unwrap().unwrap();
        let next = read.value.cancel(NOW).unwrap();
        store.replace(read.revision, &next).await.unwrap();
    }
}

fn conversation() -> WholeConversation {
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some(NOW.to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(NOW, &EndpointPolicy::default()).unwrap();
    WholeConversation::new(ConversationId::new(NOW, &[7; 10]), "ann".parse().unwrap(), new, NOW)
}

#[tokio::test]
async fn a_conversation_of_an_older_version_gets_the_new_row_with_its_next_change() {
    let (versions, new) = (TwoVersions::new(), conversation());
    versions.older.insert(&new).await.unwrap();
    assert!(versions.extra_keys().await.is_empty());
    let read = versions.newer.get(new.conversation.client(), new.conversation.id()).await.unwrap().unwrap();
    let claimed = read.value.claim(LeaseToken::new([1; 8]), NOW, std::time::Duration::ZERO).unwrap();
    let Claim::Attempt(claimed) = claimed else { panic!("it is the first attempt") };
    versions.newer.replace(read.revision, claimed.conversation()).await.unwrap();
    assert_eq!(versions.extra_keys().await, [format!("t~InProgress~{}", new.conversation.id())]);
}

#[tokio::test]
async fn a_row_that_an_older_version_never_wrote_is_not_deleted_blindly() {
    let (versions, new) = (TwoVersions::new(), conversation());
    versions.older.insert(&new).await.unwrap();
    // A deletion of the missing row would be a conflict, and the conversation could never be changed.
    versions.cancel(&versions.newer, &new).await;
    assert!(versions.extra_keys().await.is_empty());
}

#[tokio::test]
async fn a_conversation_of_a_newer_version_is_left_to_it() {
    let (versions, new) = (TwoVersions::new(), conversation());
    versions.newer.insert(&new).await.unwrap();
    assert_eq!(versions.extra_keys().await, [format!("t~Scheduled~{}", new.conversation.id())]);
    let read = versions.older.get(new.conversation.client(), new.conversation.id()).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    versions.cancel(&versions.newer, &new).await;
    assert!(versions.extra_keys().await.is_empty());
}
