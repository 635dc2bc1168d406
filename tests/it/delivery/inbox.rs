//! The inbox: receivers have the promises that endpoints have.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::api::{CallbackRequest, RecurrenceRequest, RetryRequest, ScheduleRequest};
use mcp_scheduler::delivery::{Inbox, InboxDelivery, InboxError, ReceiveQuery};
use mcp_scheduler::domain::{ErrorClass, Outcome, Received, State, Status};
use mcp_scheduler::store::{ConversationStore, DueKey, KeyRange, Operation, Table as _};
use mcp_scheduler::testing::Fault;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::delivery_harness::{CLIENT, DeliveryHarness};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_mins(1);
const ONE: ReceiveQuery = ReceiveQuery { max: 1, lease: LEASE, wait: Duration::ZERO };
const WAITING: ReceiveQuery = ReceiveQuery { wait: Duration::from_secs(20), ..ONE };

fn for_inbox(request: &mut ScheduleRequest) {
    request.endpoint = None;
    request.deliver = Some("inbox".to_owned());
}

async fn schedule(harness: &DeliveryHarness, ahead: Duration, change: impl FnOnce(&mut ScheduleRequest)) -> DueKey {
    let both = |request: &mut ScheduleRequest| {
        for_inbox(request);
        change(request);
    };
    harness.schedule(ahead, both).await
}

async fn receive(harness: &DeliveryHarness, query: ReceiveQuery) -> Vec<InboxDelivery> {
    harness.inbox().receive(&harness.client, query).await.unwrap()
}

async fn acknowledge(
    harness: &DeliveryHarness,
    delivery: &InboxDelivery,
    received: Received,
) -> Result<(), InboxError> {
    let id = delivery.whole.conversation.id();
    harness.inbox().acknowledge(&harness.client, id, delivery.receipt, received).await
}

/// A service on one machine, and one on a storage account.
fn both() -> [DeliveryHarness; 2] {
    [DeliveryHarness::in_one_process(), DeliveryHarness::new()]
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_received_from_its_time_on_and_nothing_else_is_done_about_it() {
    for harness in both() {
        let due = schedule(&harness, MINUTE, |_| ()).await;
        harness.start();
        harness.wait_until(due.at - Duration::from_millis(1)).await;
        assert!(receive(&harness, ONE).await.is_empty(), "never early");
        tokio::time::sleep(Duration::from_millis(1)).await;
        let [delivery] = &receive(&harness, ONE).await[..] else { panic!("it is due") };
        assert_eq!((delivery.whole.conversation.id(), delivery.lease_until), (due.id, due.at + LEASE));
        assert_eq!(delivery.whole.payload.text, "Grüße");
        assert!(receive(&harness, ONE).await.is_empty(), "it is leased");
        acknowledge(&harness, delivery, Received::Done).await.unwrap();
        let record = harness.read(due.id).await;
        assert_eq!((record.status(), record.attempts().len()), (Status::Completed, 1));
        acknowledge(&harness, delivery, Received::Done).await.unwrap();
        assert_eq!(harness.read(due.id).await, record, "a repetition changes nothing");
        let opposite = acknowledge(&harness, delivery, Received::Failed).await;
        assert!(matches!(opposite, Err(InboxError::ReceiptOver)), "{opposite:?}");
        tokio::time::sleep(10 * MINUTE).await;
        assert!(harness.endpoint.calls().is_empty() && harness.due_rows().await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_waits_or_is_leased_costs_no_wake_up_and_no_due_row() {
    let harness = DeliveryHarness::new();
    schedule(&harness, 10 * SECOND, |_| ()).await;
    tokio::time::sleep(11 * SECOND).await;
    let received = receive(&harness, ONE).await;
    assert_eq!(received.len(), 1);
    assert!(harness.due_rows().await.is_empty());
    assert!(harness.queue.enqueued().is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_receivers_at_one_time_never_hold_the_same_conversation() {
    let harness = DeliveryHarness::new();
    for _ in 0..20 {
        schedule(&harness, Duration::ZERO, |_| ()).await;
    }
    let query = ReceiveQuery { max: 3, ..ONE };
    let received = join_all((0..12).map(|_| receive(&harness, query))).await.concat();
    let ids: HashSet<_> = received.iter().map(|delivery| delivery.whole.conversation.id()).collect();
    assert_eq!(ids.len(), received.len());
    let rest = join_all((0..12).map(|_| receive(&harness, query))).await.concat();
    assert_eq!(ids.len() + rest.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_receiver_is_gone_is_received_again_after_the_lease() {
    for harness in both() {
        let due = schedule(&harness, Duration::ZERO, |_| ()).await;
        harness.start();
        let lost = receive(&harness, ONE).await;
        harness.wait_until(lost[0].lease_until - Duration::from_millis(1)).await;
        assert!(receive(&harness, ONE).await.is_empty());
        tokio::time::sleep(Duration::from_millis(1)).await;
        let again = receive(&harness, ONE).await;
        assert_eq!(again[0].whole.conversation.attempts_begun(), 2);
        let late = acknowledge(&harness, &lost[0], Received::Done).await;
        assert!(matches!(late, Err(InboxError::ReceiptOver)), "{late:?}");
        acknowledge(&harness, &again[0], Received::Done).await.unwrap();
        let outcomes: Vec<_> = harness.read(due.id).await.attempts().iter().map(|a| a.result.outcome).collect();
        assert_eq!(outcomes, [Outcome::Unknown, Outcome::Success]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_start_of_a_process_ends_no_lease_of_a_receiver() {
    let harness = DeliveryHarness::in_one_process();
    schedule(&harness, Duration::ZERO, |request| request.retry = Some(RetryRequest { max_attempts: Some(1) })).await;
    let held = receive(&harness, ONE).await;
    harness.start();
    tokio::time::sleep(SECOND).await;
    assert!(receive(&harness, ONE).await.is_empty());
    acknowledge(&harness, &held[0], Received::Done).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_the_last_lease_it_fails_although_nobody_receives_it_and_can_be_redelivered() {
    for harness in both() {
        let due = schedule(&harness, Duration::ZERO, |request| {
            request.retry = Some(RetryRequest { max_attempts: Some(2) });
            let endpoint = Some("https://failed.example.com/".to_owned());
            request.on_failed = Some(CallbackRequest { endpoint, headers: None });
        })
        .await;
        harness.start();
        for _ in 0..2 {
            assert_eq!(receive(&harness, ONE).await.len(), 1);
            tokio::time::sleep(LEASE).await;
        }
        tokio::time::sleep(2 * MINUTE).await;
        let record = harness.read(due.id).await;
        let reason = ErrorClass::NotAcknowledged.describe().to_owned();
        assert_eq!((record.state(), record.attempts().len()), (&State::Failed { reason }, 2));
        let told: Value = serde_json::from_slice(harness.endpoint.calls()[0].request.body.as_deref().unwrap()).unwrap();
        assert_eq!(told["additionalInfo"]["status"], "Failed");
        assert!(receive(&harness, ONE).await.is_empty());
        harness.scheduler.redeliver(&harness.client, due.id).await.unwrap();
        let again = receive(&harness, ONE).await;
        assert_eq!(again[0].whole.conversation.attempts_begun(), 3);
        acknowledge(&harness, &again[0], Received::Done).await.unwrap();
        assert_eq!(harness.read(due.id).await.status(), Status::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn it_expires_in_the_inbox_without_a_receiver() {
    for harness in both() {
        let due = schedule(&harness, MINUTE, |request| request.expire_after = Some("5m".to_owned())).await;
        harness.start();
        harness.wait_until(due.at + 5 * MINUTE).await;
        assert_eq!(harness.read(due.id).await.status(), Status::Scheduled);
        tokio::time::sleep(2 * MINUTE).await;
        assert_eq!(harness.read(due.id).await.state(), &State::Failed { reason: "expired".to_owned() });
        assert!(receive(&harness, ONE).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_comes_too_late_gets_nothing_although_no_worker_runs() {
    let harness = DeliveryHarness::new();
    let due = schedule(&harness, Duration::ZERO, |request| request.expire_after = Some("5m".to_owned())).await;
    tokio::time::sleep(5 * MINUTE + SECOND).await;
    assert!(receive(&harness, ONE).await.is_empty());
    assert_eq!(harness.read(due.id).await.status(), Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_hides_nothing_that_is_due_behind_it() {
    let harness = DeliveryHarness::new();
    for _ in 0..500 {
        schedule(&harness, Duration::ZERO, |request| request.expire_after = Some("1s".to_owned())).await;
    }
    let due = schedule(&harness, 10 * SECOND, |_| ()).await;
    harness.wait_until(due.at).await;
    let [delivery] = &receive(&harness, ONE).await[..] else { panic!("it is due") };
    assert_eq!(delivery.whole.conversation.id(), due.id);
}

#[tokio::test(start_paused = true)]
async fn each_occurrence_is_received_once_and_the_missed_ones_as_one() {
    let harness = DeliveryHarness::in_one_process();
    let recurrence = RecurrenceRequest { cron: Some("* * * * *".to_owned()), ..RecurrenceRequest::default() };
    let due = schedule(&harness, Duration::ZERO, |request| {
        request.recurrence = Some(recurrence);
        request.expire_after = Some("90s".to_owned());
    })
    .await;
    harness.start();
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let received = receive(&harness, ONE).await;
        numbers.push(received[0].whole.conversation.occurrence());
        acknowledge(&harness, &received[0], Received::Done).await.unwrap();
        assert!(receive(&harness, ONE).await.is_empty());
        tokio::time::sleep(MINUTE).await;
    }
    tokio::time::sleep(10 * MINUTE).await;
    let late = receive(&harness, ONE).await;
    let series = late[0].whole.conversation.series().unwrap();
    numbers.push(Some(series.number));
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    assert_eq!(late[0].whole.conversation.due(), due.at + 12 * MINUTE);
    assert!(series.missed >= 9, "{}", series.missed);
}

#[tokio::test(start_paused = true)]
async fn a_commit_with_an_unknown_result_loses_nothing_and_gives_nothing_twice() {
    for fault in [Fault::RequestLost, Fault::AnswerLost] {
        let harness = DeliveryHarness::new();
        let due = schedule(&harness, Duration::ZERO, |_| ()).await;
        // 16 scans and one read come before the commit of the claim.
        harness.table.next_calls(&[[Fault::None; 17].as_slice(), &[fault]].concat());
        let first = receive(&harness, ONE).await;
        let second = receive(&harness, ONE).await;
        assert_eq!(first.len() + second.len(), 1, "{fault:?}");
        let delivery = first.iter().chain(&second).next().unwrap();
        harness.table.next_calls(&[Fault::None, fault]);
        acknowledge(&harness, delivery, Received::Done).await.unwrap();
        let record = harness.read(due.id).await;
        assert_eq!((record.status(), record.attempts().len()), (Status::Completed, 1), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_received_before_the_store_failed_is_returned() {
    let harness = DeliveryHarness::new();
    for _ in 0..3 {
        schedule(&harness, Duration::ZERO, |_| ()).await;
    }
    harness.table.next_calls(&[[Fault::None; 18].as_slice(), &[Fault::Refused; 50]].concat());
    let received = receive(&harness, ReceiveQuery { max: 3, ..ONE }).await;
    assert_eq!(received.len(), 1);
    harness.table.next_calls(&[Fault::Refused; 50]);
    assert!(harness.inbox().receive(&harness.client, ONE).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_an_arrival_for_the_time_of_the_next_and_no_longer_than_it_says_or_the_service_runs() {
    let harness = Arc::new(DeliveryHarness::in_one_process());
    let stop = CancellationToken::new();
    let inbox = harness.inbox().waiting_until(stop.clone());
    let waits = |inbox: Inbox| {
        let (client, began) = (harness.client.clone(), Instant::now());
        tokio::spawn(async move { (inbox.receive(&client, WAITING).await.unwrap().len(), began.elapsed()) })
    };
    assert_eq!(waits(inbox.clone()).await.unwrap(), (0, 20 * SECOND));

    let waiting = waits(inbox.clone());
    tokio::time::sleep(3 * SECOND).await;
    harness.schedule_for(&"bob".parse().unwrap(), Duration::ZERO, for_inbox).await;
    tokio::time::sleep(2 * SECOND).await;
    schedule(&harness, Duration::ZERO, |_| ()).await;
    assert_eq!(waiting.await.unwrap(), (1, 5 * SECOND), "an arrival of this client");

    let due = schedule(&harness, 7 * SECOND, |_| ()).await;
    assert_eq!(waits(inbox.clone()).await.unwrap(), (1, 7 * SECOND), "the time of {due:?}");

    let waiting = waits(inbox.clone());
    tokio::time::sleep(4 * SECOND).await;
    stop.cancel();
    assert_eq!(waiting.await.unwrap(), (0, 4 * SECOND), "the stop");
    assert_eq!(waits(harness.inbox()).await.unwrap(), (0, Duration::ZERO), "under the Functions host");
}

#[tokio::test(start_paused = true)]
async fn a_patch_moves_a_conversation_into_the_inbox_and_out_of_it() {
    let harness = DeliveryHarness::in_one_process();
    harness.start();
    let due = harness.schedule(MINUTE, |_| ()).await;
    let rows = |prefix: &'static str| {
        let (rows, partition) = (harness.rows.clone(), due.partition());
        async move { rows.scan(partition, &KeyRange::prefix(prefix), 10).await.unwrap().len() }
    };
    let read = harness.store.get(&harness.client, due.id).await.unwrap().unwrap();
    assert_eq!((rows("d~").await, rows("i~").await), (1, 0));
    let payload = harness.store.payload(&read).await.unwrap();
    let inbox = {
        let mut request =
            ScheduleRequest { conversation_text: Some("Grüße".to_owned()), ..ScheduleRequest::default() };
        for_inbox(&mut request);
        request.scheduled_time = Some(due.at.to_string());
        request.validate(harness.now(), harness.scheduler.endpoint_policy()).unwrap()
    };
    let update = mcp_scheduler::domain::Update {
        new: inbox,
        sets_time: false,
        sets_start: false,
        paused: None,
        definition: None,
    };
    let whole = mcp_scheduler::domain::WholeConversation { conversation: read.value.clone(), payload };
    let moved = whole.update(update, harness.now()).unwrap();
    harness.store.replace_whole(read.revision, &moved).await.unwrap();
    assert_eq!((rows("d~").await, rows("i~").await), (0, 1));
    tokio::time::sleep(2 * MINUTE).await;
    assert!(harness.endpoint.calls().is_empty());
    assert_eq!(receive(&harness, ONE).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_returns_no_more_than_a_mebibyte_of_large_texts() {
    let harness = DeliveryHarness::new();
    for _ in 0..8 {
        schedule(&harness, Duration::ZERO, |request| request.conversation_text = Some("x".repeat(190_000))).await;
    }
    let query = ReceiveQuery { max: 10, ..ONE };
    assert_eq!(receive(&harness, query).await.len(), 5);
    assert_eq!(receive(&harness, query).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_text_is_lost_fails_and_the_others_are_received() {
    let harness = DeliveryHarness::new();
    let lost = schedule(&harness, Duration::ZERO, |request| request.conversation_text = Some("x".repeat(9_000))).await;
    tokio::time::sleep(SECOND).await;
    let other = schedule(&harness, Duration::ZERO, |_| ()).await;
    let delete = Operation::Delete { key: format!("p~{CLIENT}~{}", lost.id), if_match: None };
    harness.rows.commit(ConversationStore::partition(lost.id), vec![delete]).await.unwrap();
    let received = receive(&harness, ReceiveQuery { max: 10, ..ONE }).await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].whole.conversation.id(), other.id);
    let record = harness.read(lost.id).await;
    assert_eq!(record.state(), &State::Failed { reason: ErrorClass::PayloadLost.describe().to_owned() });
}
