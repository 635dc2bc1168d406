//! A harness for deliveries: paused time, a table and a queue with scripted faults, and an endpoint that answers by
//! script and records its requests.

mod clock;
mod endpoint;
mod queue;
mod table;

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::delivery::{
    Deliverer, DeliveryOutcome, Follower, Inbox, NextDue, SlotRunner, Subscribers, WakeUpHandler, Worker,
};
use mcp_scheduler::domain::{ClientId, Conversation, ConversationId, EndpointPolicy, EventsText, Status, Timestamp};
use mcp_scheduler::maintenance::Sweeper;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{
    ConversationStore, DueBound, DueKey, DueRow, EncryptionKeys, Slot, SubscriptionStore, WakeUp, WakeUpQueue,
    WakeUpReceiver, WakeUps, Waker,
};
use mcp_scheduler::testing::{SimulatedQueue, SimulatedTable, sealer_with_keys};
use mcp_scheduler::time::{Clock as _, SystemEntropy};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::support::app::signer;

pub use clock::SettableClock;
pub use endpoint::{Answer, Call, FakeEndpoint, route_by_name};
pub use queue::RecordingQueue;
pub use table::TableFaults;

/// The owner of the conversations, unless a test says otherwise.
pub const CLIENT: &str = "ann";
/// 2030-01-01T12:00:00Z.
pub const NOON: Timestamp = Timestamp::from_millis(1_893_499_200_000);

pub struct DeliveryHarness {
    pub clock: Arc<SettableClock>,
    pub table: TableFaults,
    /// The rows, for tests that change them below the storage protocol.
    pub rows: SimulatedTable,
    pub queue: Arc<RecordingQueue>,
    pub wake_ups: Arc<WakeUps>,
    pub next_due: Arc<NextDue>,
    waker: Arc<dyn Waker>,
    has_follower: bool,
    pub endpoint: Arc<FakeEndpoint>,
    /// Gives the harness other keys for the secrets in the rows.
    pub encryption_keys: watch::Sender<EncryptionKeys>,
    pub store: ConversationStore,
    /// The subscriptions, on a table without faults.
    pub subscriptions: SubscriptionStore,
    pub scheduler: Scheduler,
    pub client: ClientId,
}

impl DeliveryHarness {
    /// A service on a store that several processes share, with a queue.
    pub fn new() -> Self {
        Self::with_queue(SimulatedQueue::new(()))
    }

    pub fn with_queue(queue: impl WakeUpQueue + WakeUpReceiver) -> Self {
        Self::with(queue, false)
    }

    /// A service with its own store, which a follower delivers.
    pub fn in_one_process() -> Self {
        Self::with(SimulatedQueue::new(()), true)
    }

    fn with(queue: impl WakeUpQueue + WakeUpReceiver, has_follower: bool) -> Self {
        let (clock, table) = (SettableClock::at_noon(), TableFaults::default());
        let rows = SimulatedTable::new(table.clone());
        let (encryption_keys, sealer) = sealer_with_keys();
        let store = ConversationStore::new(Arc::new(rows.clone()), Arc::clone(&sealer));
        let subscriptions = SubscriptionStore::new(Arc::new(SimulatedTable::new(())), sealer);
        let queue = Arc::new(RecordingQueue::new(queue, Arc::clone(&clock)));
        let wake_ups = Arc::new(WakeUps::new(Arc::clone(&queue) as _, Arc::clone(&clock) as _));
        let next_due = Arc::new(NextDue::default());
        let waker: Arc<dyn Waker> = if has_follower { Arc::clone(&next_due) as _ } else { Arc::clone(&wake_ups) as _ };
        let endpoint = Arc::new(FakeEndpoint::new(Arc::clone(&clock), store.clone()));
        let scheduler = Scheduler::new(
            store.clone(),
            Arc::clone(&waker),
            EndpointPolicy::default(),
            Arc::clone(&clock) as _,
            Arc::new(SystemEntropy::new()),
        );
        let client = CLIENT.parse().unwrap();
        Self {
            clock,
            table,
            rows,
            queue,
            wake_ups,
            next_due,
            waker,
            has_follower,
            endpoint,
            encryption_keys,
            store,
            subscriptions,
            scheduler,
            client,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn wait_until(&self, time: Timestamp) {
        tokio::time::sleep(self.now().until(time)).await;
    }

    pub fn deliverer(&self) -> Arc<Deliverer> {
        let deliverer = Deliverer::new(
            self.store.clone(),
            Arc::clone(&self.waker),
            Arc::clone(&self.endpoint) as _,
            signer(),
            Arc::clone(&self.clock) as _,
            Arc::new(SystemEntropy::new()),
        );
        Arc::new(deliverer.with_subscribers(self.subscribers()))
    }

    pub fn subscribers(&self) -> Subscribers {
        Subscribers::new(self.subscriptions.clone(), Arc::clone(&self.clock) as _, EventsText::Draft)
    }

    /// The inboxes, without waits.
    pub fn inbox(&self) -> Inbox {
        let (waker, clock) = (Arc::clone(&self.waker), Arc::clone(&self.clock));
        let inbox = Inbox::new(self.store.clone(), waker, clock, Arc::new(SystemEntropy::new()));
        inbox.with_subscribers(self.subscribers())
    }

    pub fn runner(&self) -> Arc<SlotRunner> {
        Arc::new(self.runner_of(self.deliverer()))
    }

    /// A runner that delivers with this deliverer.
    pub fn runner_of(&self, deliverer: Arc<Deliverer>) -> SlotRunner {
        let (wake_ups, clock) = (Arc::clone(&self.wake_ups), Arc::clone(&self.clock));
        SlotRunner::new(deliverer, self.store.clone(), wake_ups, clock as _, Arc::new(SystemEntropy::new()))
    }

    pub fn sweeper(&self) -> Sweeper {
        self.sweeper_with(self.runner())
    }

    fn sweeper_with(&self, runner: Arc<SlotRunner>) -> Sweeper {
        Sweeper::new(self.store.clone(), Arc::clone(&self.wake_ups), runner, Arc::clone(&self.clock) as _)
    }

    pub fn handler(&self) -> Arc<WakeUpHandler> {
        let runner = self.runner();
        let sweeper = self.sweeper_with(Arc::clone(&runner));
        Arc::new(WakeUpHandler::new(runner, Arc::new(sweeper)))
    }

    /// Starts a worker on the queue. It runs until the test ends or the handle aborts it.
    pub fn start_worker(&self) -> AbortHandle {
        let worker = Worker::new(self.handler(), Arc::clone(&self.queue) as _);
        tokio::spawn(worker.run(CancellationToken::new())).abort_handle()
    }

    /// The follower of a process that has the store for itself.
    pub fn follower(&self) -> Follower {
        let next_due = Arc::clone(&self.next_due);
        Follower::new(self.deliverer(), self.store.clone(), next_due, Arc::clone(&self.clock) as _)
    }

    /// Starts the follower.
    pub fn start_follower(&self) -> AbortHandle {
        tokio::spawn(self.follower().run(CancellationToken::new())).abort_handle()
    }

    /// Starts what this service delivers with: the worker or the follower.
    pub fn start(&self) -> AbortHandle {
        if self.has_follower { self.start_follower() } else { self.start_worker() }
    }

    /// Schedules a conversation that is due `ahead` of now. `change` can change the request.
    pub async fn schedule(&self, ahead: Duration, change: impl FnOnce(&mut ScheduleRequest)) -> DueKey {
        self.schedule_for(&self.client, ahead, change).await
    }

    /// The same for another client.
    pub async fn schedule_for(
        &self,
        client: &ClientId,
        ahead: Duration,
        change: impl FnOnce(&mut ScheduleRequest),
    ) -> DueKey {
        self.endpoint.expect(client);
        let mut request = ScheduleRequest {
            conversation_text: Some("Grüße".to_owned()),
            scheduled_time: Some((self.now() + ahead).to_string()),
            endpoint: Some("https://example.com/hook?a=b".to_owned()),
            ..ScheduleRequest::default()
        };
        change(&mut request);
        let new = request.validate(self.scheduler.now(), self.scheduler.endpoint_policy()).unwrap();
        let conversation = self.scheduler.schedule(client, new).await.unwrap();
        DueKey { at: conversation.due(), client: client.clone(), id: conversation.id() }
    }

    /// Lets a worker claim an attempt and begin to send it; then the worker is gone.
    pub async fn lose_an_attempt(&self, due: &DueKey) {
        self.endpoint.will([Answer::status(200).after(Duration::from_hours(1))]);
        let delivery = tokio::time::timeout(Duration::from_secs(1), self.deliverer().deliver(due, None)).await;
        assert!(delivery.is_err(), "the attempt is still in flight");
    }

    pub async fn read(&self, id: ConversationId) -> Conversation {
        self.store.get(&self.client, id).await.unwrap().unwrap().value
    }

    /// The due row of a conversation as it is now. `None` if the conversation is final.
    pub async fn next_due(&self, due: &DueKey) -> Option<DueKey> {
        let read = self.store.get(&due.client, due.id).await.unwrap().unwrap();
        read.value.next_wake_at().map(|at| DueKey { at, ..due.clone() })
    }

    /// Every due row in the table.
    pub async fn due_rows(&self) -> Vec<DueRow> {
        let mut all = Vec::new();
        for partition in ConversationStore::partitions() {
            let (from, end) = (DueBound::Time(Timestamp::MIN), Timestamp::from_millis(99_999_999_999_999));
            all.extend(self.store.due(partition, &from, end, usize::MAX).await.unwrap());
        }
        all
    }
}

/// The wake-up that one process enqueues for a row, if the second has no other row.
pub fn wake_up_of(due: &DueKey) -> WakeUp {
    WakeUp::of_slot(Slot::of(due.at), due.partition().into())
}

/// The status after an attempt; `None` if no attempt was made.
pub fn led_to(delivered: &DeliveryOutcome) -> Option<Status> {
    if let DeliveryOutcome::Attempted { status, .. } = delivered { Some(*status) } else { None }
}
