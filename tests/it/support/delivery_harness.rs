//! A harness for deliveries: paused time, a table and a queue that do as they are told, and an endpoint
//! that answers by script and remembers what it saw.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::delivery::{Deliverer, DeliveryOutcome, Worker};
use mcp_scheduler::domain::{ClientId, Conversation, ConversationId, EndpointPolicy, ErrorClass, Status, Timestamp};
use mcp_scheduler::maintenance::Sweeper;
use mcp_scheduler::outbound::{EndpointResponse, Exchange, OutboundRequest, Sender};
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::WakeUp;
use mcp_scheduler::store::{
    ConversationStore, DueRow, MemoryQueue, ReceivedWakeUp, StoreError, WakeUpQueue, WakeUpReceiver,
};
use mcp_scheduler::testing::{Fault, Faults, SimulatedQueue, SimulatedTable};
use mcp_scheduler::time::{Clock, SystemEntropy, VirtualClock};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::support::app::SIGNING_SECRET;

/// The owner of every conversation here.
pub const CLIENT: &str = "ann";
/// 2030-01-01T12:00:00Z.
pub const NOON: Timestamp = Timestamp::from_millis(1_893_499_200_000);

pub struct DeliveryHarness {
    pub clock: Arc<JumpyClock>,
    pub table: Script,
    pub queue: Arc<WatchedQueue>,
    pub endpoint: Arc<FakeEndpoint>,
    pub store: ConversationStore,
    pub scheduler: Scheduler,
    pub client: ClientId,
}

impl DeliveryHarness {
    /// With a queue like a storage queue's.
    pub fn new() -> Self {
        Self::with_queue(SimulatedQueue::new(()))
    }

    /// With the queue of a single process, born now.
    pub fn in_one_process() -> Self {
        Self::with_queue(MemoryQueue::new(NOON))
    }

    pub fn with_queue(queue: impl WakeUpQueue + WakeUpReceiver) -> Self {
        let clock = Arc::new(JumpyClock { going: VirtualClock::starting_at(NOON), jumped: AtomicI64::new(0) });
        let table = Script::default();
        let store = ConversationStore::new(Arc::new(SimulatedTable::new(table.clone())));
        let queue = Arc::new(WatchedQueue {
            inner: Mutex::new(Arc::new(queue)),
            clock: Arc::clone(&clock),
            puts: Mutex::default(),
            luck: Mutex::new(Fault::None),
        });
        let endpoint = Arc::new(FakeEndpoint {
            clock: Arc::clone(&clock),
            store: store.clone(),
            script: Mutex::default(),
            calls: Mutex::default(),
            hosts: Mutex::default(),
        });
        let scheduler = Scheduler::new(
            store.clone(),
            Arc::clone(&queue) as _,
            EndpointPolicy::default(),
            Arc::clone(&clock) as _,
            Arc::new(SystemEntropy::new()),
        );
        Self { clock, table, queue, endpoint, store, scheduler, client: CLIENT.parse().unwrap() }
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

    /// Starts a worker, which works until the test is over or it is stopped.
    pub fn start_worker(&self) -> AbortHandle {
        let queue = Arc::clone(&self.queue);
        let worker = Worker::new(self.deliverer(), self.sweeper(), Arc::clone(&queue) as _, queue);
        tokio::spawn(worker.run(CancellationToken::new())).abort_handle()
    }

    /// Schedules a conversation due `ahead` of now; `change` may ask for something special.
    pub async fn schedule(&self, ahead: Duration, change: impl FnOnce(&mut ScheduleRequest)) -> WakeUp {
        let mut request = ScheduleRequest {
            conversation_text: Some("Grüße".to_owned()),
            scheduled_time: Some((self.now() + ahead).to_string()),
            endpoint: Some("https://example.com/hook?a=b".to_owned()),
            ..ScheduleRequest::default()
        };
        change(&mut request);
        let new = request.validate(self.scheduler.now(), self.scheduler.endpoint_policy()).unwrap();
        let conversation = self.scheduler.schedule(&self.client, new).await.unwrap();
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

    /// All due rows there are, however far away.
    pub async fn due_rows(&self) -> Vec<DueRow> {
        let mut all = Vec::new();
        for partition in ConversationStore::partitions() {
            let end = Timestamp::from_millis(99_999_999_999_999);
            all.extend(self.store.due(partition, end, None, usize::MAX).await.unwrap());
        }
        all
    }
}

/// What an attempt led to, if there was one.
pub fn led_to(delivered: &DeliveryOutcome) -> Option<Status> {
    if let DeliveryOutcome::Attempted { status, .. } = delivered { Some(*status) } else { None }
}

/// A clock that can be set, as an administrator or NTP does.
pub struct JumpyClock {
    going: VirtualClock,
    jumped: AtomicI64,
}

impl JumpyClock {
    pub fn jump(&self, seconds: i64) {
        self.jumped.fetch_add(seconds * 1000, SeqCst);
    }
}

impl Clock for JumpyClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.going.now().as_millis() + self.jumped.load(SeqCst))
    }
}

/// What happens to the next calls of the table, in order; after that all is well.
#[derive(Clone, Default)]
pub struct Script {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    latencies: Arc<Mutex<VecDeque<Duration>>>,
    down: Arc<AtomicBool>,
}

impl Script {
    pub fn next_calls(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub fn next_call_takes(&self, latency: Duration) {
        self.latencies.lock().unwrap().push_back(latency);
    }

    /// Refuses everything until it is told otherwise.
    pub fn is_down(&self, down: bool) {
        self.down.store(down, SeqCst);
    }
}

impl Faults for Script {
    fn next(&self) -> Fault {
        let scripted = self.faults.lock().unwrap().pop_front().unwrap_or_default();
        if self.down.load(SeqCst) { Fault::Refused } else { scripted }
    }

    fn latency(&self) -> Duration {
        self.latencies.lock().unwrap().pop_front().unwrap_or_default()
    }
}

/// A queue that remembers what was put, and can lose or refuse it.
pub struct WatchedQueue {
    inner: Mutex<Arc<dyn DuplexQueue>>,
    clock: Arc<JumpyClock>,
    puts: Mutex<Vec<Put>>,
    luck: Mutex<Fault>,
}

trait DuplexQueue: WakeUpQueue + WakeUpReceiver {}

impl<Q: WakeUpQueue + WakeUpReceiver> DuplexQueue for Q {}

/// A wake-up that was put, and when it was to be shown.
#[derive(Clone, Debug)]
pub struct Put {
    pub at: Timestamp,
    pub wake_up: WakeUp,
    pub delay: Duration,
}

impl WatchedQueue {
    pub fn puts(&self) -> Vec<Put> {
        self.puts.lock().unwrap().clone()
    }

    /// What happens to every wake-up from now on: `None`, `RequestLost` or `Refused`.
    pub fn set_luck(&self, luck: Fault) {
        *self.luck.lock().unwrap() = luck;
    }

    /// Another queue in its place, with nothing in it: what a restart does to a queue in memory.
    pub fn restart(&self, queue: impl WakeUpQueue + WakeUpReceiver) {
        *self.inner.lock().unwrap() = Arc::new(queue);
    }

    fn inner(&self) -> Arc<dyn DuplexQueue> {
        Arc::clone(&self.inner.lock().unwrap())
    }
}

#[async_trait]
impl WakeUpQueue for WatchedQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        self.puts.lock().unwrap().push(Put { at: self.clock.now(), wake_up: wake_up.clone(), delay });
        let luck = *self.luck.lock().unwrap();
        match luck {
            Fault::Refused => Err(StoreError::Unavailable("scripted".into())),
            Fault::RequestLost => Ok(()),
            _ => self.inner().enqueue(wake_up, delay).await,
        }
    }

    fn horizon(&self) -> Duration {
        self.inner().horizon()
    }

    fn retained_since(&self) -> Timestamp {
        self.inner().retained_since()
    }
}

#[async_trait]
impl WakeUpReceiver for WatchedQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        self.inner().receive(max).await
    }

    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError> {
        self.inner().delete(received).await
    }
}

/// An endpoint that answers 200 at once unless its script says otherwise.
pub struct FakeEndpoint {
    clock: Arc<JumpyClock>,
    store: ConversationStore,
    script: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<Call>>,
    hosts: Mutex<HashMap<String, Host>>,
}

/// A host that takes its time.
#[derive(Default)]
struct Host {
    takes: Duration,
    under_way: usize,
    peak: usize,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// When its first byte came.
    pub at: Timestamp,
    pub request: OutboundRequest,
    /// The conversation on record at that time.
    pub record: Conversation,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.request.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value.expose().as_str());
        assert!(found.next().is_none(), "{name} is sent once");
        value
    }
}

type Hook = Box<dyn FnOnce() + Send>;

/// How the endpoint answers one request.
pub struct Answer {
    pub exchange: Exchange,
    pub takes: Duration,
    /// What happens while it answers.
    pub meanwhile: Option<Hook>,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        let answer = EndpointResponse { status, retry_after: None, excerpt: format!("said {status}") };
        Self::of(Ok(answer))
    }

    pub fn error(error: ErrorClass) -> Self {
        Self::of(Err(error))
    }

    fn of(result: Result<EndpointResponse, ErrorClass>) -> Self {
        Self { exchange: Exchange { duration_ms: 7, result }, takes: Duration::ZERO, meanwhile: None }
    }

    pub fn retry_after(mut self, value: &str) -> Self {
        if let Ok(answer) = &mut self.exchange.result {
            answer.retry_after = Some(value.to_owned());
        }
        self
    }

    pub fn after(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    pub fn meanwhile(self, hook: impl FnOnce() + Send + 'static) -> Self {
        Self { meanwhile: Some(Box::new(hook)), ..self }
    }
}

impl FakeEndpoint {
    pub fn will(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().extend(answers);
    }

    pub fn always_fails(&self) {
        self.will((0..20).map(|_| Answer::status(500)));
    }

    /// How long a host takes to answer, whatever the script says.
    pub fn takes(&self, host: &str, takes: Duration) {
        self.hosts.lock().unwrap().insert(host.to_owned(), Host { takes, ..Host::default() });
    }

    /// How many requests such a host had at once at the most.
    pub fn peak(&self, host: &str) -> usize {
        self.hosts.lock().unwrap()[host].peak
    }

    async fn take_time(&self, endpoint: &str) -> Option<Duration> {
        let (_, rest) = endpoint.split_once("://").unwrap();
        let name = rest.split(['/', ':']).next().unwrap();
        let takes = self.hosts.lock().unwrap().get_mut(name).map(|host| {
            host.under_way += 1;
            host.peak = host.peak.max(host.under_way);
            host.takes
        })?;
        tokio::time::sleep(takes).await;
        self.hosts.lock().unwrap().get_mut(name).unwrap().under_way -= 1;
        Some(takes)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Sender for FakeEndpoint {
    async fn send(&self, request: OutboundRequest) -> Exchange {
        let at = self.clock.now();
        let id = request.headers.iter().find(|(n, _)| n == "webhook-id").unwrap().1.expose().parse().unwrap();
        let record = self.store.get(&CLIENT.parse().unwrap(), id).await.unwrap().unwrap().value;
        let endpoint = request.endpoint.clone();
        self.calls.lock().unwrap().push(Call { at, request, record });
        if let Some(took) = self.take_time(&endpoint).await {
            return Exchange { duration_ms: u64::try_from(took.as_millis()).unwrap(), ..Answer::status(200).exchange };
        }
        let answer = self.script.lock().unwrap().pop_front().unwrap_or_else(|| Answer::status(200));
        if let Some(hook) = answer.meanwhile {
            hook();
        }
        tokio::time::sleep(answer.takes).await;
        answer.exchange
    }
}
