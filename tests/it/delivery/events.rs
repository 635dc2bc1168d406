//! `deliver: events`: a conversation is sent to the subscriptions of its client.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::{RetryRequest, ScheduleRequest};
use mcp_scheduler::delivery::{Subscribers, SubscriptionKey, Subscriptions};
use mcp_scheduler::domain::{
    Conversation, EndpointPolicy, ErrorClass, EventFilter, EventName, EventsText, Outcome, Secret, Status, Subscriber,
    Subscription, SubscriptionId, Timestamp,
};
use mcp_scheduler::maintenance::SweepReason;
use mcp_scheduler::store::{ConversationStore, DueKey, KeyRange, SubscriptionStore, Table as _};
use mcp_scheduler::testing::{conversation_in, sealer};
use mcp_scheduler::time::SystemEntropy;
use serde_json::{Value, json};

use crate::support::counting_table::CountingTable;
use crate::support::delivery_harness::{Call, DeliveryHarness, led_to};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const TO: &str = "https://agent.example.com/hook?key=1";
const OTHER: &str = "https://other.example.com/hook";

/// A secret of 24 bytes.
fn secret(byte: u8) -> Secret<Vec<u8>> {
    Secret::new(vec![byte; 24])
}

/// Whether one of the signatures of a request is by this secret.
fn is_signed_by(call: &Call, byte: u8) -> bool {
    let webhook = standardwebhooks::Webhook::from_bytes(vec![byte; 24]).unwrap();
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp"] {
        headers.insert(name, call.header(name).unwrap().parse().unwrap());
    }
    let id = call.header("webhook-id").unwrap();
    let at = call.header("webhook-timestamp").unwrap().parse().unwrap();
    let expected = webhook.sign(id, at, call.request.body.as_deref().unwrap()).unwrap();
    call.header("webhook-signature").unwrap().split(' ').any(|signature| signature == expected)
}

/// What a test changes of a subscription.
struct Wanted {
    event: EventName,
    filter: EventFilter,
    to: &'static str,
    expires: Timestamp,
    client: &'static str,
}

fn wanted(harness: &DeliveryHarness) -> Wanted {
    Wanted {
        event: EventName::Due,
        filter: EventFilter::default(),
        to: TO,
        expires: harness.now() + 30 * DAY,
        client: "ann",
    }
}

/// Stores a subscription, as if its receiver had returned the challenge.
async fn subscribe(harness: &DeliveryHarness, change: impl FnOnce(&mut Wanted)) -> SubscriptionId {
    let mut asked = wanted(harness);
    change(&mut asked);
    let Wanted { event, filter, to, expires, client } = asked;
    let id = SubscriptionId::of(format!("{client} {event} {filter:?} {to}").as_bytes());
    let subscription = Subscription { id, client: client.parse().unwrap(), event, filter, expires };
    let endpoint = EndpointPolicy::default().check(to).unwrap();
    let subscriber = Subscriber { endpoint, secret: secret(7), previous: None };
    harness.subscriptions.write(&subscription, &subscriber, None, &[]).await.unwrap();
    id
}

/// Schedules a conversation that is delivered to subscriptions.
async fn schedule(harness: &DeliveryHarness, change: impl FnOnce(&mut ScheduleRequest)) -> DueKey {
    harness
        .schedule(MINUTE, |request| {
            (request.endpoint, request.deliver) = (None, Some("events".to_owned()));
            change(request);
        })
        .await
}

/// Makes one attempt at the time of its due row, and returns the conversation.
async fn attempt(harness: &DeliveryHarness, due: &DueKey) -> Conversation {
    let due = harness.next_due(due).await.unwrap();
    harness.wait_until(due.at).await;
    let delivered = harness.deliverer().deliver(&due, None).await.unwrap();
    let conversation = harness.read(due.id).await;
    assert_eq!(led_to(&delivered), Some(conversation.status()), "{delivered:?}");
    conversation
}

fn body(call: &Call) -> Value {
    serde_json::from_slice(call.request.body.as_deref().unwrap()).unwrap()
}

fn receivers(harness: &DeliveryHarness) -> Vec<String> {
    let mut all: Vec<_> = harness.endpoint.calls().iter().map(|call| call.url.clone()).collect();
    all.sort_unstable();
    all
}

#[tokio::test(start_paused = true)]
async fn an_event_is_sent_at_its_time_and_signed_with_the_secret_of_its_subscription() {
    let harness = DeliveryHarness::new();
    let id = subscribe(&harness, |_| {}).await;
    let due = schedule(&harness, |request| request.thread_id = Some("thread-7".to_owned())).await;
    let worker = harness.start_worker();
    harness.wait_until(due.at + SECOND).await;
    worker.abort();
    let [call] = &harness.endpoint.calls()[..] else { panic!("one request") };
    assert_eq!((call.at, &*call.url), (due.at, TO), "never early, and on time");
    assert_eq!(call.header("x-mcp-subscription-id"), Some(&*id.to_string()));
    assert_eq!(call.header("webhook-id"), Some(&*due.id.to_string()));
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert!(is_signed_by(call, 7) && !is_signed_by(call, 8));
    let expected = json!({
        "eventId": due.id.to_string(),
        "name": "conversation.due",
        "timestamp": due.at.to_string(),
        "data": {
            "conversationId": due.id.to_string(),
            "conversationText": "Grüße",
            "scheduledTime": due.at.to_string(),
            "additionalInfo": null,
            "threadId": "thread-7",
        },
        "cursor": null,
    });
    assert_eq!(body(call), expected);
    let conversation = harness.read(due.id).await;
    let [attempt] = conversation.attempts() else { panic!("one attempt") };
    assert_eq!((conversation.status(), attempt.result.http_status), (Status::Completed, Some(200)));
}

#[tokio::test(start_paused = true)]
async fn each_subscription_gets_the_event_and_the_next_attempt_is_only_for_those_that_are_left() {
    let harness = DeliveryHarness::new();
    let took = subscribe(&harness, |_| {}).await;
    let later = subscribe(&harness, |asked| asked.to = OTHER).await;
    harness.endpoint.set_status("other.example.com", 503);
    let due = schedule(&harness, |_| {}).await;
    let conversation = attempt(&harness, &due).await;
    assert_eq!(receivers(&harness), [TO, OTHER]);
    assert_eq!(conversation.status(), Status::InProgress);
    let settled: Vec<_> = conversation.settled().map(|it| (it.subscription, it.took)).collect();
    assert_eq!(settled, [(took, true)], "the record of the attempt");
    harness.endpoint.set_status("other.example.com", 200);
    let conversation = attempt(&harness, &due).await;
    assert_eq!(receivers(&harness), [TO, OTHER, OTHER], "it is not sent again to who took it");
    assert_eq!(conversation.status(), Status::Completed);
    assert!(conversation.settled().any(|it| it.subscription == later && it.took));
}

#[tokio::test(start_paused = true)]
async fn without_a_subscription_attempts_fail_until_somebody_subscribes() {
    let harness = DeliveryHarness::new();
    let due = schedule(&harness, |_| {}).await;
    let conversation = attempt(&harness, &due).await;
    let result = &conversation.attempts()[0].result;
    assert_eq!((result.outcome, result.error), (Outcome::Failure, Some(ErrorClass::NoSubscription)));
    assert_eq!((conversation.status(), harness.endpoint.calls().len()), (Status::InProgress, 0));
    subscribe(&harness, |_| {}).await;
    assert_eq!(attempt(&harness, &due).await.status(), Status::Completed);
    // Without anybody it ends visibly.
    let alone = DeliveryHarness::new();
    let due = schedule(&alone, |request| request.retry = Some(RetryRequest { max_attempts: Some(1) })).await;
    assert_eq!(attempt(&alone, &due).await.status(), Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_fails_the_event_when_nobody_is_left_and_a_redelivery_asks_only_who_refused() {
    let harness = DeliveryHarness::new();
    subscribe(&harness, |_| {}).await;
    subscribe(&harness, |asked| asked.to = OTHER).await;
    harness.endpoint.set_status("agent.example.com", 410);
    harness.endpoint.set_status("other.example.com", 503);
    let due = schedule(&harness, |_| {}).await;
    assert_eq!(attempt(&harness, &due).await.status(), Status::InProgress, "somebody may still take it");
    harness.endpoint.set_status("other.example.com", 200);
    let failed = attempt(&harness, &due).await;
    assert_eq!(receivers(&harness), [TO, OTHER, OTHER], "a refusal is final");
    assert_eq!(failed.status(), Status::Failed);
    assert_eq!(failed.attempts()[1].result.error, Some(ErrorClass::SubscriberRefused));
    harness.endpoint.set_status("agent.example.com", 200);
    harness.scheduler.redeliver(&harness.client, due.id).await.unwrap();
    assert_eq!(attempt(&harness, &due).await.status(), Status::Completed);
    assert_eq!(receivers(&harness), [TO, TO, OTHER, OTHER]);
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_only_to_live_subscriptions_of_its_client_that_want_it() {
    let harness = DeliveryHarness::new();
    let due =
        schedule(&harness, |request| request.labels = Some(vec![("channel".to_owned(), "chat".to_owned())])).await;
    let filter =
        |conversation, channel: Option<&str>| EventFilter { conversation, channel: channel.map(str::to_owned) };
    subscribe(&harness, |asked| {
        (asked.to, asked.filter) = ("https://a-this.example.com/", filter(Some(due.id), Some("chat")));
    })
    .await;
    let other = schedule(&harness, |_| {}).await;
    let unwanted: [fn(&mut Wanted); 4] = [
        |asked| asked.event = EventName::Failed,
        |asked| asked.filter.channel = Some("another".to_owned()),
        |asked| asked.expires = asked.expires + MINUTE - 30 * DAY,
        |asked| asked.client = "bob",
    ];
    for change in unwanted {
        subscribe(&harness, change).await;
    }
    subscribe(&harness, |asked| asked.filter.conversation = Some(other.id)).await;
    assert_eq!(attempt(&harness, &due).await.status(), Status::Completed);
    assert_eq!(receivers(&harness), ["https://a-this.example.com/"]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_subscriber_does_not_stop_the_others() {
    let harness = DeliveryHarness::new();
    let slow = subscribe(&harness, |asked| asked.to = OTHER).await;
    harness.endpoint.set_latency("other.example.com", Duration::from_secs(20));
    let deliverer = harness.deliverer();
    let mut under_way = Vec::new();
    for _ in 0..8 {
        let due = schedule(&harness, |request| request.timeout_seconds = Some(60)).await;
        let deliverer = Arc::clone(&deliverer);
        under_way.push(tokio::spawn(async move { deliverer.deliver(&due, None).await.unwrap() }));
    }
    subscribe(&harness, |_| {}).await;
    let due = schedule(&harness, |_| {}).await;
    harness.wait_until(due.at + SECOND).await;
    deliverer.deliver(&due, None).await.unwrap();
    let conversation = harness.read(due.id).await;
    let result = &conversation.attempts()[0].result;
    assert_eq!((result.outcome, result.error), (Outcome::Failure, Some(ErrorClass::SubscriberBusy)));
    assert!(conversation.settled().all(|it| it.took && it.subscription != slow));
    assert_eq!(conversation.settled().count(), 1);
    for delivery in under_way {
        delivery.await.unwrap();
    }
    assert_eq!(attempt(&harness, &due).await.status(), Status::Completed);
}

/// Everything that happens in an hour.
async fn run(harness: &DeliveryHarness) {
    let worker = harness.start();
    let sweeper = harness.sweeper();
    for _ in 0..60 {
        let _ = sweeper.sweep(SweepReason::Timer).await;
        tokio::time::sleep(MINUTE).await;
    }
    worker.abort();
}

async fn stored(harness: &DeliveryHarness) -> Vec<Conversation> {
    let mut found = Vec::new();
    for partition in ConversationStore::partitions() {
        let rows = harness.rows.scan(partition, &KeyRange::prefix("m~"), usize::MAX).await.unwrap();
        found.extend(rows.iter().map(|row| conversation_in(row).unwrap()));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn who_has_subscribed_learns_that_a_delivery_has_failed_and_nobody_else_gets_a_callback() {
    for is_subscribed in [true, false] {
        let harness = DeliveryHarness::new();
        if is_subscribed {
            subscribe(&harness, |asked| asked.event = EventName::Failed).await;
        }
        harness.endpoint.set_status("example.com", 410);
        let due = harness.schedule(MINUTE, |_| {}).await;
        // It fails too, because nobody has subscribed to it.
        let once = || Some(RetryRequest { max_attempts: Some(1) });
        schedule(&harness, |request| request.retry = once()).await;
        run(&harness).await;
        let events: Vec<_> = harness.endpoint.calls().into_iter().filter(|call| call.url == TO).collect();
        assert_eq!((events.len(), stored(&harness).await.len()), if is_subscribed { (2, 4) } else { (0, 2) });
        let Some(event) = events.iter().find(|call| body(call)["data"]["conversationId"] == due.id.to_string()) else {
            continue;
        };
        let event_body = body(event);
        assert_eq!(event_body["name"], "conversation.failed");
        assert_eq!(event_body["data"]["status"], "Failed");
        assert_eq!(event_body["data"]["lastError"], "the endpoint answered 410, which is not tried again");
        assert_eq!(event_body["eventId"], event.header("webhook-id").unwrap());
        assert_eq!(event.record.callback_of(), Some(due.id));
        assert!(is_signed_by(event, 7));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_that_the_news_of_a_failure_has_failed() {
    let harness = DeliveryHarness::new();
    subscribe(&harness, |asked| asked.event = EventName::Failed).await;
    harness.endpoint.set_status("example.com", 410);
    harness.endpoint.set_status("agent.example.com", 410);
    harness.schedule(MINUTE, |_| {}).await;
    run(&harness).await;
    let all = stored(&harness).await;
    assert_eq!((all.len(), harness.endpoint.calls().len()), (2, 2));
    assert!(all.iter().all(|conversation| conversation.status() == Status::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_look_up_is_one_scan_of_the_rows_of_one_client() {
    let harness = DeliveryHarness::new();
    let table = Arc::new(CountingTable::new());
    let store = SubscriptionStore::new(Arc::clone(&table) as _, sealer());
    let subscribers = Subscribers::new(store.clone(), Arc::clone(&harness.clock) as _, EventsText::Draft);
    let of = Subscription {
        id: SubscriptionId::of(b"1"),
        client: harness.client.clone(),
        event: EventName::Due,
        filter: EventFilter::default(),
        expires: harness.now() + DAY,
    };
    let endpoint = EndpointPolicy::default().check(TO).unwrap();
    let subscriber = Subscriber { endpoint, secret: secret(7), previous: None };
    for (number, client) in ["ann", "bob"].iter().enumerate() {
        let of = Subscription {
            id: SubscriptionId::of(&[u8::try_from(number).unwrap()]),
            client: client.parse().unwrap(),
            ..of.clone()
        };
        store.write(&of, &subscriber, None, &[]).await.unwrap();
    }
    table.take();
    let due = schedule(&harness, |_| {}).await;
    harness.wait_until(due.at).await;
    let deliverer = Arc::into_inner(harness.deliverer()).unwrap().with_subscribers(subscribers);
    deliverer.deliver(&due, None).await.unwrap();
    let counted = table.take();
    assert_eq!((counted.scans, counted.rows, counted.keys.len()), (1, 1, 0), "{counted:?}");
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_whose_time_is_over_is_removed_when_its_client_subscribes_again() {
    let harness = DeliveryHarness::new();
    subscribe(&harness, |_| {}).await;
    subscribe(&harness, |asked| (asked.to, asked.expires) = (OTHER, asked.expires - 29 * DAY)).await;
    tokio::time::sleep(DAY).await;
    // The receiver is known, so there is no challenge.
    let (sender, entropy) = (Arc::clone(&harness.endpoint), Arc::new(SystemEntropy::new()));
    let subscriptions = Subscriptions::new(harness.subscribers(), sender, EndpointPolicy::default(), entropy);
    let filter = EventFilter { channel: Some("chat".to_owned()), ..EventFilter::default() };
    let key = SubscriptionKey { event: EventName::Due, filter, url: TO.to_owned() };
    let granted = subscriptions.subscribe(&harness.client, key, secret(9), Some(400 * DAY)).await.unwrap();
    assert_eq!(granted.refresh_before, harness.now() + 30 * DAY, "the longest time");
    let stored = harness.subscriptions.read(&harness.client).await.unwrap();
    let receivers: Vec<_> =
        stored.iter().map(|it| harness.subscriptions.open(it).unwrap().endpoint.as_str().to_owned()).collect();
    assert_eq!(receivers, [TO, TO]);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_secret_signs_for_another_day() {
    let harness = DeliveryHarness::new();
    harness.endpoint.set_status("agent.example.com", 200);
    subscribe(&harness, |_| {}).await;
    let stored = harness.subscriptions.read(&harness.client).await.unwrap().remove(0);
    let opened = harness.subscriptions.open(&stored).unwrap();
    let renewed = opened.renewed(secret(8), harness.now());
    harness.subscriptions.write(&stored.subscription, &renewed, Some(&stored), &[]).await.unwrap();
    for (ahead, is_old) in [(MINUTE, true), (DAY, false)] {
        let due = schedule(&harness, |_| {}).await;
        tokio::time::sleep(ahead.saturating_sub(MINUTE)).await;
        attempt(&harness, &due).await;
        let call = harness.endpoint.calls().pop().unwrap();
        assert_eq!((is_signed_by(&call, 8), is_signed_by(&call, 7)), (true, is_old));
    }
}
