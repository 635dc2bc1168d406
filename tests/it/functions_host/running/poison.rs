//! Messages that fail until the host moves them to the poison queue.

use std::time::Duration;

use crate::support::azurite::{self, azurite};
use crate::support::functions_host::Source;
use crate::support::host_harness::{HostHarness, PATIENCE, emptied, login, message, until};
use crate::support::proxy::Proxy;
use crate::support::recording_receiver::Receiver;

/// The setting that makes a failed message visible at once, instead of after thirty seconds.
const AT_ONCE: (&str, &str) = ("AzureFunctionsJobHost__extensions__queues__visibilityTimeout", "00:00:00");

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_no_wake_up_is_poison_after_five_tries() {
    let harness = HostHarness::new();
    let host = harness.host_with(&[AT_ONCE]).await;
    host.ready().await;
    let (queue, poison) = harness.queues();
    queue.create().await.unwrap();
    queue.put_message("<no> & \"wake-up\"").await.unwrap();
    until(&host, || host.lines(Source::Host).iter().any(|line| line.contains("time 5: status 500"))).await;
    let poisoned = message(&poison).await;
    assert_eq!(poisoned.message_text, "<no> & \"wake-up\"");
    assert_eq!((poisoned.expiration_time - poisoned.insertion_time).whole_days(), 7);
    emptied(&queue).await;
    until(&host, || host.lines(Source::Stdout).iter().filter(|line| line.contains("not a wake-up")).count() == 5).await;
    assert_eq!(host.handler_starts(), 1, "{}", host.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_runs_what_became_poison_while_the_tables_were_down() {
    // Only the tables are down: the host receives the message from the queue, and fails five times.
    let tables = Proxy::before(azurite().tables).await;
    let harness = HostHarness::on(azurite::with_tables_at(tables.address, &azurite().fresh_account()));
    let (host, receiver) = (harness.host_with(&[AT_ONCE]).await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::from_secs(8), &receiver.endpoint).await;
    tables.is_down(true);
    let (queue, poison) = harness.queues();
    let poisoned = message(&poison).await;
    assert!(poisoned.message_text.contains("\"slot\""), "{}", poisoned.message_text);
    assert!(receiver.arrivals().is_empty());
    emptied(&queue).await;
    tables.is_down(false);
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    assert_eq!(api.completed(&id, PATIENCE).await["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(receiver.arrivals().len(), 1);
}
