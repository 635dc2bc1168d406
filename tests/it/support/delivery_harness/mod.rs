//! A harness for deliveries: paused time, a table and a queue with scripted faults, and an endpoint that answers by
//! script and records its requests.

mod clock;
mod endpoint;
mod queue;
mod table;

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::delivery::{Deliverer, DeliveryOutcome, Worker};
use mcp_scheduler::domain::{ClientId, Conversation, ConversationId, EndpointPolicy, Status, Timestamp};
use mcp_scheduler::maintenance::Sweeper;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{ConversationStore, DueRow, MemoryQueue, WakeUp, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::{SimulatedQueue, SimulatedTable};
use mcp_scheduler::time::{Clock as _, SystemEntropy};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::support::app::SIGNING_SECRET;

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
    pub endpoint: Arc<FakeEndpoint>,
    pub store: ConversationStore,
    pub scheduler: Scheduler,
    pub client: ClientId,
}

impl DeliveryHarness {
    /// A harness with a queue that keeps its wake-ups over restarts, as a storage queue does.
    pub fn new() -> Self {
        Self::with_queue(SimulatedQueue::new(()))
    }

    /// A harness with the queue in memory of a process that starts now.
    pub fn in_one_process() -> Self {
        let clock = SettableClock::at_noon();
        Self::with(Arc::clone(&clock), MemoryQueue::new(clock))
    }

    pub fn with_queue(queue: impl WakeUpQueue + WakeUpReceiver) -> Self {
        Self::with(SettableClock::at_noon(), queue)
    }

    fn with(clock: Arc<SettableClock>, queue: impl WakeUpQueue + WakeUpReceiver) -> Self {
        let table = TableFaults::default();
        let rows = SimulatedTable::new(table.clone());
        let store = ConversationStore::new(Arc::new(rows.clone()));
        let queue = Arc::new(RecordingQueue::new(queue, Arc::clone(&clock)));
        let endpoint = Arc::new(FakeEndpoint::new(Arc::clone(&clock), store.clone()));
        let scheduler = Scheduler::new(
            store.clone(),
            Arc::clone(&queue) as _,
            EndpointPolicy::default(),
            Arc::clone(&clock) as _,
            Arc::new(SystemEntropy::new()),
        );
        Self { clock, table, rows, queue, endpoint, store, scheduler, client: CLIENT.parse().unwrap() }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn wait_until(&self, time: Timestamp) {
        tokio::time::sleep(self.now().until(time)).await;
    }

    pub fn deliverer(&self) -> Arc<Deliverer> {
        Arc::new(Deliverer::new(
            self.store.clone(),
            Arc::clone(&self.queue) as _,
            Arc::clone(&self.endpoint) as _,
            SIGNING_SECRET.parse().unwrap(),
            Arc::clone(&self.clock) as _,
            Arc::new(SystemEntropy::new()),
        ))
    }

    pub fn sweeper(&self) -> Sweeper {
        Sweeper::new(self.store.clone(), Arc::clone(&self.queue) as _, Arc::clone(&self.clock) as _)
    }

    /// Starts a worker. It runs until the test ends or the handle aborts it.
    pub fn start_worker(&self) -> AbortHandle {
        let queue = Arc::clone(&self.queue);
        let worker = Worker::new(self.deliverer(), self.sweeper(), Arc::clone(&queue) as _, queue);
        tokio::spawn(worker.run(CancellationToken::new())).abort_handle()
    }

    /// Starts the worker of a process that has the store for itself.
    pub fn start_exclusive_worker(&self) -> AbortHandle {
        self.queue.restart(MemoryQueue::new(self.clock.clone()));
        let worker = Worker::new(self.deliverer(), self.sweeper(), self.queue.clone(), self.queue.clone());
        tokio::spawn(worker.with_exclusive_store().run(CancellationToken::new())).abort_handle()
    }

    /// Schedules a conversation that is due `ahead` of now. `change` can change the request.
    pub async fn schedule(&self, ahead: Duration, change: impl FnOnce(&mut ScheduleRequest)) -> WakeUp {
        self.schedule_for(&self.client, ahead, change).await
    }

    /// The same for another client.
    pub async fn schedule_for(
        &self,
        client: &ClientId,
        ahead: Duration,
        change: impl FnOnce(&mut ScheduleRequest),
    ) -> WakeUp {
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
        WakeUp::of(&conversation)
    }

    /// Lets a worker claim an attempt and begin to send it; then the worker is gone.
    pub async fn lose_an_attempt(&self, wake_up: &WakeUp) {
        self.endpoint.will([Answer::status(200).after(Duration::from_hours(1))]);
        let delivery = tokio::time::timeout(Duration::from_secs(1), self.deliverer().deliver(wake_up)).await;
        assert!(delivery.is_err(), "the attempt is still in flight");
    }

    pub async fn read(&self, id: ConversationId) -> Conversation {
        self.store.get(&self.client, id).await.unwrap().unwrap().value
    }

    /// Every due row in the table.
    pub async fn due_rows(&self) -> Vec<DueRow> {
        let mut all = Vec::new();
        for partition in ConversationStore::partitions() {
            let end = Timestamp::from_millis(99_999_999_999_999);
            all.extend(self.store.due(partition, end, None, usize::MAX).await.unwrap());
        }
        all
    }
}

/// The status after an attempt; `None` if no attempt was made.
pub fn led_to(delivered: &DeliveryOutcome) -> Option<Status> {
    if let DeliveryOutcome::Attempted { status, .. } = delivered { Some(*status) } else { None }
}
