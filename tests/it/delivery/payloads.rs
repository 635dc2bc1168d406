//! Large payloads: they are read before an attempt is claimed, and a lost one ends its conversation visibly.

use std::time::Duration;

use mcp_scheduler::domain::{ConversationId, ErrorClass, Outcome, Status};
use mcp_scheduler::scheduler::{ListFilter, ListQuery, SchedulerError};
use mcp_scheduler::store::{ConversationStore, Operation, StoreError, Table as _};
use mcp_scheduler::testing::Fault;

use crate::support::delivery_harness::{CLIENT, DeliveryHarness, led_to};

fn large_text() -> String {
    "Grüße ".repeat(10_000)
}

/// Removes the row of a payload, or replaces it by a value that is no payload.
async fn lose(harness: &DeliveryHarness, id: ConversationId, value: Option<&str>) {
    let partition = ConversationStore::partitions().nth(usize::from(id.partition())).unwrap();
    let (key, if_match) = (format!("p~{CLIENT}~{id}"), None);
    let change = match value {
        Some(value) => Operation::Replace { key, value: value.to_owned(), if_match },
        None => Operation::Delete { key, if_match },
    };
    harness.rows.commit(partition, vec![change]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_large_text_arrives_as_it_was_scheduled_at_every_attempt() {
    let harness = DeliveryHarness::new();
    harness.endpoint.always_fails();
    let due = harness.schedule(Duration::ZERO, |request| request.conversation_text = Some(large_text())).await;
    harness.start_worker();
    tokio::time::sleep(Duration::from_mins(3)).await;
    let calls = harness.endpoint.calls();
    assert_eq!(calls.len(), 4);
    for call in calls {
        let body: serde_json::Value = serde_json::from_slice(call.request.body.as_deref().unwrap()).unwrap();
        assert_eq!(body["conversationText"], large_text());
    }
    assert_eq!(harness.read(due.id).await.attempts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_lost_payload_ends_the_conversation_as_failed_with_the_reason() {
    for damaged in [None, Some("{}"), Some(r#"{"v":1,"row":{"text":7}}"#)] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(Duration::ZERO, |request| request.conversation_text = Some(large_text())).await;
        lose(&harness, due.id, damaged).await;
        let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
        assert_eq!(led_to(&delivered), Some(Status::Failed), "{damaged:?}");
        assert!(harness.endpoint.calls().is_empty(), "nothing is sent");
        let conversation = harness.read(due.id).await;
        let [attempt] = conversation.attempts() else { panic!("one attempt is on record") };
        let result = &attempt.result;
        assert_eq!((result.outcome, result.error), (Outcome::PermanentFailure, Some(ErrorClass::PayloadLost)));
        assert!(harness.due_rows().await.is_empty(), "no sweep finds it again");
        // The list shows it, and a look-up says that it cannot be read.
        let query = ListQuery { filter: ListFilter::of(Status::Failed), limit: 10, cursor: None };
        assert_eq!(harness.scheduler.list(&harness.client, query).await.unwrap().conversations, [conversation]);
        let read = harness.scheduler.get(&harness.client, due.id).await;
        assert!(matches!(read, Err(SchedulerError::Internal(StoreError::Corrupt { .. }))), "{read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_payload_is_lost_can_be_cancelled() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::from_hours(1), |request| request.conversation_text = Some(large_text())).await;
    lose(&harness, due.id, None).await;
    harness.scheduler.cancel(&harness.client, due.id).await.unwrap();
    assert_eq!(harness.read(due.id).await.status(), Status::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_read_now_uses_no_attempt() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |request| request.conversation_text = Some(large_text())).await;
    harness.table.next_calls(&[Fault::None, Fault::Refused]);
    let delivered = harness.deliverer().deliver(&due, None).await;
    assert!(matches!(delivered, Err(StoreError::Unavailable(_))), "{delivered:?}");
    assert_eq!(harness.read(due.id).await.attempts_begun(), 0);
    let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
    assert_eq!(led_to(&delivered), Some(Status::Completed));
}
