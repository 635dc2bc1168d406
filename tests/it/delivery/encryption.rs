//! A conversation that cannot be decrypted waits, and is delivered when its key is back.

use std::time::Duration;

use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::domain::Status;
use mcp_scheduler::store::{ConversationStore, Operation, Table as _};
use mcp_scheduler::testing::ENCRYPTION_KEY;

use crate::support::delivery_harness::{CLIENT, DeliveryHarness, led_to};

/// A key list without the key that encrypts in tests.
fn other_key() -> String {
    format!("other:{}", "77".repeat(32))
}

#[tokio::test(start_paused = true)]
async fn a_conversation_without_its_key_waits_and_is_delivered_when_the_key_is_back() {
    for text in ["small".to_owned(), "large".repeat(1000)] {
        let harness = DeliveryHarness::in_one_process();
        let due = harness.schedule(Duration::from_secs(1), |request| request.conversation_text = Some(text)).await;
        harness.encryption_keys.send_replace(other_key().parse().unwrap());
        harness.start_follower();
        tokio::time::sleep(Duration::from_mins(3)).await;
        assert!(harness.endpoint.calls().is_empty());
        harness.encryption_keys.send_replace(format!("{},{ENCRYPTION_KEY}", other_key()).parse().unwrap());
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(harness.endpoint.calls().len(), 1);
        let conversation = harness.read(due.id).await;
        assert_eq!((conversation.status(), conversation.attempts().len()), (Status::Completed, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_decrypted_is_not_lost_and_uses_no_attempt() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |request| request.conversation_text = Some("large".repeat(1000))).await;
    let (partition, key) = (ConversationStore::partition(due.id), format!("p~{CLIENT}~{}", due.id));
    let whole = harness.rows.get(partition, &key).await.unwrap().unwrap().value;
    let of_lost_key = whole.replace(r#""sealed":"test."#, r#""sealed":"lost."#);
    assert_ne!(whole, of_lost_key);
    let write = async |value: String| {
        let replace = Operation::Replace { key: key.clone(), value, if_match: None };
        harness.rows.commit(partition, vec![replace]).await.unwrap();
    };
    write(of_lost_key).await;
    let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
    let DeliveryOutcome::Undeliverable(reason) = delivered else { panic!("{delivered:?}") };
    assert!(reason.contains("with the key lost, which DATA_ENCRYPTION_KEYS does not have"), "{reason}");
    assert_eq!(harness.read(due.id).await.attempts_begun(), 0);
    write(whole).await;
    let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
    assert_eq!(led_to(&delivered), Some(Status::Completed));
}
