//! The number of storage operations that a conversation costs, counted on the wire.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::delivery::{Deliverer, DeliveryOutcome};
use mcp_scheduler::domain::{
    Callback, ClientId, Conversation, EndpointPolicy, Headers, IdempotentRequest, NewConversation, Sha256, Status,
    Timestamp,
};
use mcp_scheduler::outbound::{EndpointResponse, Exchange, OutboundRequest, Route, RouteError, Sender};
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{AzureStore, ConversationStore, DueBound, DueKey, Slot, WakeUps};
use mcp_scheduler::testing::sealer;
use mcp_scheduler::time::{Clock as _, SystemClock, SystemEntropy};

use crate::support::app::signer;
use crate::support::azurite::{self, azurite};
use crate::support::delivery_harness::{led_to, route_by_name};
use crate::support::proxy::Proxy;

struct Account {
    store: AzureStore,
    tables: Proxy,
    queues: Proxy,
    wake_ups: Arc<WakeUps>,
    scheduler: Scheduler,
    client: ClientId,
}

impl Account {
    async fn new() -> Self {
        let (tables, queues) = (Proxy::before(azurite().tables).await, Proxy::before(azurite().queues).await);
        let connection = azurite::connection_string(tables.address, queues.address);
        let store = azurite::store_at(&connection, &azurite::fresh_names());
        store.create().await.unwrap();
        let wake_ups = Arc::new(WakeUps::new(store.wake_ups(), Arc::new(SystemClock)));
        let scheduler = Scheduler::new(
            ConversationStore::new(store.conversations(), sealer()),
            Arc::clone(&wake_ups) as _,
            EndpointPolicy::default(),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy::new()),
        );
        let account = Self { store, tables, queues, wake_ups, scheduler, client: "ann".parse().unwrap() };
        account.operations();
        account
    }

    async fn schedule(&self, ahead: Duration) -> Conversation {
        self.schedule_text(ahead, 100_000).await
    }

    async fn schedule_text(&self, ahead: Duration, bytes: usize) -> Conversation {
        let new = self.new_conversation(SystemClock.now() + ahead, bytes);
        self.scheduler.schedule(&self.client, new).await.unwrap()
    }

    fn new_conversation(&self, at: Timestamp, bytes: usize) -> NewConversation {
        let request = ScheduleRequest {
            conversation_text: Some("x".repeat(bytes)),
            scheduled_time: Some(at.to_string()),
            endpoint: Some("https://example.com/hook".to_owned()),
            ..ScheduleRequest::default()
        };
        request.validate(self.scheduler.now(), self.scheduler.endpoint_policy()).unwrap()
    }

    fn deliverer(&self) -> Deliverer {
        Deliverer::new(
            ConversationStore::new(self.store.conversations(), sealer()),
            Arc::clone(&self.wake_ups) as _,
            Arc::new(Accepting),
            signer(),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy::new()),
        )
    }

    /// The number of operations on tables and on the queue since the last call.
    fn operations(&self) -> (usize, usize) {
        (self.tables.seen().len(), self.queues.seen().len())
    }
}

struct Accepting;

#[async_trait]
impl Sender for Accepting {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        route_by_name(endpoint)
    }

    async fn send(&self, _: OutboundRequest, _: Route) -> Exchange {
        let answer = EndpointResponse { status: 200, retry_after: None, excerpt: String::new(), body: None };
        Exchange { duration_ms: 1, result: Ok(answer) }
    }
}

#[tokio::test]
async fn to_schedule_takes_one_commit_and_one_put() {
    let account = Account::new().await;
    account.schedule(Duration::from_mins(2)).await;
    assert_eq!(account.tables.seen(), ["POST /devstoreaccount1/$batch"]);
    let puts = account.queues.seen();
    assert!(puts.len() == 1 && puts[0].starts_with("POST ") && puts[0].ends_with("/messages"), "{puts:?}");
    account.schedule(Duration::ZERO).await;
    assert_eq!(account.operations(), (1, 1));
}

#[tokio::test]
async fn to_schedule_for_a_time_that_a_sweep_sees_takes_one_commit() {
    let account = Account::new().await;
    for ahead in [Duration::from_mins(5), Duration::from_hours(24 * 400)] {
        account.schedule(ahead).await;
        assert_eq!(account.operations(), (1, 0));
    }
}

#[tokio::test]
async fn to_schedule_with_an_idempotency_key_takes_one_commit_and_its_repetition_two_reads_more() {
    let account = Account::new().await;
    let at = SystemClock.now() + Duration::from_hours(1);
    let request = IdempotentRequest { key: Sha256::new([7; 32]), fingerprint: Sha256::new([8; 32]) };
    for operations in [1, 3] {
        let new = account.new_conversation(at, 1000);
        account.scheduler.schedule_once(&account.client, new, &request).await.unwrap();
        assert_eq!(account.operations(), (operations, 0));
    }
}

/// They are in five partitions at most. Each has a transaction that goes at once, and one with all others.
#[tokio::test]
async fn to_schedule_a_hundred_side_by_side_takes_two_transactions_for_each_of_their_partitions() {
    let account = Account::new().await;
    account.schedule_text(Duration::from_hours(1), 1_000).await;
    account.operations();
    join_all((0..100).map(|_| account.schedule_text(Duration::from_hours(1), 1_000))).await;
    let (tables, queues) = account.operations();
    assert!(tables <= 10, "{tables} transactions");
    assert_eq!(queues, 0);
}

/// The second wake-up of a second names all partitions that the first did not name.
#[tokio::test]
async fn to_schedule_many_for_one_second_takes_two_puts() {
    let account = Account::new().await;
    let second = Slot::of(SystemClock.now() + Duration::from_mins(2)).start();
    // More than get the same partition in a row.
    for _ in 0..40 {
        account.schedule_text(SystemClock.now().until(second), 1_000).await;
    }
    assert_eq!(account.operations(), (40, 2));
}

#[tokio::test]
async fn to_deliver_takes_three_table_operations_and_one_more_for_a_large_text() {
    let account = Account::new().await;
    let deliverer = account.deliverer();
    for (bytes, operations) in [(1_000, 3), (100_000, 4)] {
        let conversation = account.schedule_text(Duration::ZERO, bytes).await;
        account.operations();
        let due = DueKey { at: conversation.due(), client: account.client.clone(), id: conversation.id() };
        assert_eq!(led_to(&deliverer.deliver(&due, None).await.unwrap()), Some(Status::Completed));
        assert_eq!(account.operations(), (operations, 0), "{bytes} bytes");
        assert_eq!(deliverer.deliver(&due, None).await.unwrap(), DeliveryOutcome::NothingToDo);
        assert_eq!(account.operations(), (1, 0), "a duplicate takes a read");
    }
}

/// The end that has a callback takes no operation more than one that has none, unless the payload with the callbacks must be
/// read for it. The callback is then delivered as any other conversation.
#[tokio::test]
async fn a_callback_takes_a_put_and_three_table_operations() {
    let account = Account::new().await;
    let deliverer = account.deliverer();
    let at = SystemClock.now();
    let mut new = account.new_conversation(at, 1_000);
    let endpoint = EndpointPolicy::default().check("https://example.com/news").unwrap();
    new.payload.callbacks.on_completed = Some(Callback { endpoint, headers: Headers::default() });
    let conversation = account.scheduler.schedule(&account.client, new).await.unwrap();
    account.operations();
    let due = DueKey { at: conversation.due(), client: account.client.clone(), id: conversation.id() };
    assert_eq!(led_to(&deliverer.deliver(&due, None).await.unwrap()), Some(Status::Completed));
    let (tables, puts) = account.operations();
    assert!(tables == 3 && puts <= 1, "{tables} and {puts}: none if its second has a wake-up");
    let store = ConversationStore::new(account.store.conversations(), sealer());
    let from = DueBound::Time(Timestamp::MIN);
    let rows = store
        .due(ConversationStore::partition(due.id), &from, SystemClock.now() + Duration::from_mins(1), 10)
        .await
        .unwrap();
    account.operations();
    let [callback] = &rows[..] else { panic!("one due row") };
    assert_eq!(led_to(&deliverer.deliver(&callback.key, None).await.unwrap()), Some(Status::Completed));
    assert_eq!(account.operations(), (3, 0));
}

#[tokio::test]
async fn to_cancel_takes_two_table_operations() {
    let account = Account::new().await;
    let conversation = account.schedule(Duration::from_mins(2)).await;
    account.operations();
    account.scheduler.cancel(&account.client, conversation.id()).await.unwrap();
    assert_eq!(account.operations(), (2, 0));
    account.scheduler.cancel(&account.client, conversation.id()).await.unwrap();
    assert_eq!(account.operations(), (1, 0), "a repeated one takes a read");
}
