//! The queue on Azure Queue Storage, in real time.

use std::time::Duration;

use azure_core::RetryOptions;
use azure_storage::{CloudLocation, StorageCredentials};
use azure_storage_queues::operations::Message;
use azure_storage_queues::{QueueClient, QueueServiceClientBuilder};
use mcp_scheduler::store::{
    AzureNames, AzureStore, PartitionSet, Receipt, StoreError, WakeUp, WakeUpQueue as _, WakeUpReceiver as _,
};
use tokio::time::{sleep, timeout};

use crate::store::suite::TestQueue;
use crate::support::azurite::{self, ACCOUNT, KEY, azurite};
use crate::support::proxy::Mishap::{AnswerLost, Refused, RequestLost};
use crate::support::proxy::Proxy;

pub fn test_queue() -> TestQueue {
    let queue = azurite::store().wake_ups();
    TestQueue {
        receiver: queue.clone(),
        queue,
        // Storage cuts the fraction of a second, and a poll takes up to one more.
        early: Duration::from_secs(1),
        late: Duration::from_secs(4),
        keep: Box::new(()),
    }
}

crate::store::suite::queue_suite!(tokio::test, crate::store::azurite::queue::test_queue());

fn wake_up() -> WakeUp {
    WakeUp::of_slot("2030-01-31T08:30:00Z".parse().unwrap(), PartitionSet::ALL)
}

/// A store, its queue and its poison queue. The queues are clients of the storage service, without our code.
async fn store_and_raw_queues() -> (AzureStore, QueueClient, QueueClient) {
    let names = azurite::fresh_names();
    let store = azurite::store_at(&azurite().connection_string(), &names);
    store.create().await.unwrap();
    let (queue, poison) = raw(&names);
    (store, queue, poison)
}

fn raw(names: &AzureNames) -> (QueueClient, QueueClient) {
    let uri = format!("http://{}/{ACCOUNT}", azurite().queues);
    let location = CloudLocation::Custom { account: ACCOUNT.to_owned(), uri };
    let credentials = StorageCredentials::access_key(ACCOUNT, azure_core::auth::Secret::new(KEY));
    let service = QueueServiceClientBuilder::with_location(location, credentials).retry(RetryOptions::none()).build();
    (service.queue_client(&names.wake_ups), service.queue_client(format!("{}-poison", names.wake_ups)))
}

/// Receives all visible messages, and hides them for a second.
async fn receive_raw(queue: &QueueClient) -> Vec<Message> {
    queue.get_messages().number_of_messages(32).visibility_timeout(Duration::from_secs(1)).await.unwrap().messages
}

/// The number of messages, hidden or not.
async fn count(queue: &QueueClient) -> usize {
    queue.get_metadata().await.unwrap().approximate_messages_count
}

#[tokio::test]
async fn a_wake_up_is_a_message_of_plain_text_that_never_expires() {
    let (store, queue, _) = store_and_raw_queues().await;
    store.wake_ups().enqueue(&wake_up(), Duration::ZERO).await.unwrap();
    let messages = receive_raw(&queue).await;
    assert_eq!(messages.len(), 1);
    assert_eq!(Some(messages[0].message_text.as_str()), wake_up().to_message().as_deref());
    assert_eq!(messages[0].expiration_time.year(), 9999);
}

#[tokio::test]
async fn a_message_of_the_first_release_is_received_and_none_is_written() {
    let (store, queue, _) = store_and_raw_queues().await;
    let id = "0189c0de-0000-7000-8000-000000000001";
    let text = format!(r#"{{"v":1,"job":{{"client":"ann","id":"{id}","generation":7}}}}"#);
    queue.put_message(text).await.unwrap();
    let received = store.wake_ups().receive(8).await.unwrap().remove(0);
    assert_eq!(received.wake_up, WakeUp::Conversation { client: "ann".parse().unwrap(), id: id.parse().unwrap() });
    let written = store.wake_ups().enqueue(&received.wake_up, Duration::ZERO).await;
    assert!(matches!(written, Err(StoreError::Refused(_))), "{written:?}");
    assert_eq!(count(&queue).await, 1);
}

#[tokio::test]
async fn the_fraction_of_a_delay_is_cut() {
    let (store, queue, _) = store_and_raw_queues().await;
    store.wake_ups().enqueue(&wake_up(), Duration::from_millis(2_900)).await.unwrap();
    sleep(Duration::from_millis(800)).await;
    assert_eq!(receive_raw(&queue).await.len(), 0);
    sleep(Duration::from_millis(1_900)).await;
    assert_eq!(receive_raw(&queue).await.len(), 1);
}

#[tokio::test]
async fn the_first_enqueue_creates_the_queue_and_a_receiver_waits_for_it() {
    let wake_ups = azurite::store().wake_ups();
    assert!(timeout(Duration::from_millis(300), wake_ups.receive(1)).await.is_err());
    wake_ups.enqueue(&wake_up(), Duration::ZERO).await.unwrap();
    assert_eq!(wake_ups.receive(1).await.unwrap()[0].wake_up, wake_up());
}

#[tokio::test]
async fn a_received_wake_up_is_hidden_until_it_is_deleted() {
    let (store, queue, _) = store_and_raw_queues().await;
    store.wake_ups().enqueue(&wake_up(), Duration::ZERO).await.unwrap();
    let received = store.wake_ups().receive(8).await.unwrap();
    assert_eq!(receive_raw(&queue).await.len(), 0);
    store.wake_ups().delete(&received[0]).await.unwrap();
    assert_eq!(count(&queue).await, 0);
}

#[tokio::test]
async fn deleting_a_message_that_is_gone_or_was_received_again_is_no_error() {
    let (store, queue, _) = store_and_raw_queues().await;
    let wake_ups = store.wake_ups();
    wake_ups.enqueue(&wake_up(), Duration::ZERO).await.unwrap();
    let mut received = wake_ups.receive(1).await.unwrap().remove(0);
    let good = received.receipt.clone();
    received.receipt = Receipt { pop_receipt: format!("{}x", good.pop_receipt), ..good.clone() };
    wake_ups.delete(&received).await.unwrap();
    assert_eq!(count(&queue).await, 1);
    received.receipt = good;
    wake_ups.delete(&received).await.unwrap();
    wake_ups.delete(&received).await.unwrap();
}

#[tokio::test]
async fn messages_that_are_no_wake_ups_delay_nothing_and_are_not_poison_at_once() {
    let (store, queue, poison) = store_and_raw_queues().await;
    for text in ["not a wake-up", r#"{"v":3,"job":"of the future"}"#, "<&>\u{fffd}"] {
        queue.put_message(text).await.unwrap();
    }
    store.wake_ups().enqueue(&wake_up(), Duration::ZERO).await.unwrap();
    let received = store.wake_ups().receive(8).await.unwrap();
    assert_eq!(received.iter().map(|received| &received.wake_up).collect::<Vec<_>>(), [&wake_up()]);
    store.wake_ups().delete(&received[0]).await.unwrap();
    assert_eq!(count(&queue).await, 3);
    assert!(poison.peek_messages().await.is_err(), "there is no such queue yet");
    assert_eq!(store.wake_ups().poison_queue_length().await.unwrap(), 0);
}

#[tokio::test]
async fn a_message_that_is_no_wake_up_is_poison_when_it_is_received_for_the_fifth_time() {
    const TEXT: &str = "<not> & a \"wake-up\"";
    let (store, queue, poison) = store_and_raw_queues().await;
    queue.put_message(TEXT).await.unwrap();
    for _ in 1..=4 {
        assert_eq!(receive_raw(&queue).await.len(), 1);
        sleep(Duration::from_millis(1_100)).await;
    }
    let poisons = async {
        while count(&queue).await > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let wake_ups = store.wake_ups();
    tokio::select! {
        _ = wake_ups.receive(8) => panic!("it is no wake-up"),
        () = poisons => {}
    }
    let poisoned = poison.get_messages().await.unwrap().messages;
    assert_eq!(poisoned.len(), 1);
    assert_eq!((poisoned[0].message_text.as_str(), poisoned[0].expiration_time.year()), (TEXT, 9999));
    assert_eq!((count(&queue).await, store.wake_ups().poison_queue_length().await.unwrap()), (0, 1));
}

#[tokio::test]
async fn an_enqueue_is_not_repeated_and_its_error_says_what_is_known() {
    let proxy = Proxy::before(azurite().queues).await;
    let connection = azurite::connection_string(azurite().tables, proxy.address);
    let store = azurite::store_at(&connection, &azurite::fresh_names());
    store.create().await.unwrap();
    for (mishap, known) in [(AnswerLost, false), (RequestLost, false), (Refused(500), false), (Refused(503), true)] {
        proxy.seen();
        proxy.then([mishap]);
        let result = store.wake_ups().enqueue(&wake_up(), Duration::ZERO).await;
        match result {
            Err(StoreError::Unavailable(_)) if known => {}
            Err(StoreError::Unknown(_)) if !known => {}
            other => panic!("{mishap:?} gave {other:?}"),
        }
        assert_eq!(proxy.seen().len(), 1);
    }
    assert_eq!(store.wake_ups().receive(8).await.unwrap().len(), 1, "only the wake-up whose answer was lost");
}

#[tokio::test]
async fn a_receiver_of_an_empty_queue_polls_less_and_less_often() {
    let proxy = Proxy::before(azurite().queues).await;
    let connection = azurite::connection_string(azurite().tables, proxy.address);
    let store = azurite::store_at(&connection, &azurite::fresh_names());
    store.create().await.unwrap();
    proxy.seen();
    assert!(timeout(Duration::from_secs(4), store.wake_ups().receive(8)).await.is_err());
    // The polls are at 0, 0.1, 0.3, 0.7, 1.5, 2.5 and 3.5 s.
    let calls = proxy.seen().len();
    assert!((3..=7).contains(&calls), "{calls} calls in four seconds");
}
