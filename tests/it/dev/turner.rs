//! The turn of the clock on paused time, with an endpoint that hangs, changes what is delivered to it, or schedules.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::delivery::{Deliverer, Follower, Inbox, NextDue, ReceiveQuery};
use mcp_scheduler::dev::{StoppedBy, Turner, TurningWorker};
use mcp_scheduler::domain::{ClientId, ConversationId, EndpointPolicy, Retention, Status};
use mcp_scheduler::outbound::{Exchange, OutboundRequest, Route, RouteError, Sender};
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{ConversationStore, MemoryTable};
use mcp_scheduler::testing::sealer;
use mcp_scheduler::time::{Clock as _, SystemEntropy, TurnableClock, VirtualClock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::app::signer;
use crate::support::delivery_harness::{Answer, CLIENT, NOON, route_by_name};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// The parts of a service for development that a turn needs.
#[derive(Clone)]
struct Service {
    clock: Arc<TurnableClock>,
    store: ConversationStore,
    scheduler: Arc<Scheduler>,
    inbox: Inbox,
    turner: Turner,
    sent: Arc<Mutex<Vec<String>>>,
    changing: Arc<Mutex<Vec<ConversationId>>>,
}

/// Answers 200: at `hangs` after 150 s, at `loops` after it has scheduled the same again without a delay. While the way to
/// `changes` is looked up, somebody changes the next of these conversations.
struct Endpoint {
    store: ConversationStore,
    scheduler: Arc<Scheduler>,
    sent: Arc<Mutex<Vec<String>>>,
    changing: Arc<Mutex<Vec<ConversationId>>>,
}

#[async_trait]
impl Sender for Endpoint {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        let changing = endpoint.contains("changes").then(|| self.changing.lock().unwrap().pop()).flatten();
        if let Some(id) = changing {
            let read = self.store.get(&client(), id).await.unwrap().unwrap();
            self.store.replace(read.revision, &read.value).await.unwrap();
        }
        route_by_name(endpoint)
    }

    async fn send(&self, _: OutboundRequest, route: Route) -> Exchange {
        let url = route.url().as_str();
        self.sent.lock().unwrap().push(url.to_owned());
        if url.contains("hangs") {
            tokio::time::sleep(150 * SECOND).await;
        }
        if url.contains("loops") {
            schedule(&self.scheduler, Duration::ZERO, Some(url)).await;
        }
        Answer::status(200).exchange
    }
}

fn client() -> ClientId {
    CLIENT.parse().unwrap()
}

/// Schedules a conversation for an endpoint, or for the inbox.
async fn schedule(scheduler: &Scheduler, ahead: Duration, endpoint: Option<&str>) -> ConversationId {
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some((scheduler.now() + ahead).to_string()),
        endpoint: endpoint.map(str::to_owned),
        deliver: endpoint.is_none().then(|| "inbox".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(scheduler.now(), scheduler.endpoint_policy()).unwrap();
    scheduler.schedule(&client(), new).await.unwrap().id()
}

impl Service {
    fn start() -> Self {
        let clock = Arc::new(TurnableClock::new(Arc::new(VirtualClock::starting_at(NOON))));
        let store = ConversationStore::new(Arc::new(MemoryTable::default()), sealer());
        let (next_due, entropy) = (Arc::new(NextDue::default()), Arc::new(SystemEntropy::new()));
        let (waker, policy) = (|| Arc::clone(&next_due) as _, EndpointPolicy::default());
        let scheduler = Scheduler::new(store.clone(), waker(), policy, Arc::clone(&clock) as _, entropy.clone());
        let scheduler = scheduler.waiting_until(CancellationToken::new());
        let (scheduler, sent, changing) = (Arc::new(scheduler), Arc::default(), Arc::default());
        let endpoint = Arc::new(Endpoint {
            store: store.clone(),
            scheduler: Arc::clone(&scheduler),
            sent: Arc::clone(&sent),
            changing: Arc::clone(&changing),
        });
        let deliverer =
            Deliverer::new(store.clone(), waker(), endpoint, signer(), Arc::clone(&clock) as _, entropy.clone());
        let deliverer = Arc::new(deliverer);
        let follower =
            Follower::new(Arc::clone(&deliverer), store.clone(), Arc::clone(&next_due), Arc::clone(&clock) as _);
        let inbox = Inbox::new(store.clone(), waker(), Arc::clone(&clock) as _, entropy);
        let inbox = inbox.waiting_until(CancellationToken::new());
        let (turner, worker) = TurningWorker::new(
            follower,
            deliverer,
            store.clone(),
            Arc::clone(&next_due),
            Arc::clone(&clock),
            Retention::default(),
        );
        tokio::spawn(worker.run(CancellationToken::new()));
        Self { clock, store, scheduler, inbox, turner, sent, changing }
    }

    async fn schedule(&self, ahead: Duration, endpoint: &str) -> ConversationId {
        schedule(&self.scheduler, ahead, Some(endpoint)).await
    }

    fn sent(&self) -> Vec<String> {
        self.sent.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_ends_after_a_minute_although_an_endpoint_hangs_and_the_next_ones_go_on() {
    let service = Service::start();
    service.schedule(HOUR, "https://hangs.example/").await;
    service.schedule(2 * HOUR, "https://example.com/").await;
    let began = Instant::now();
    let mut by = 3 * HOUR;
    for minutes in 1..=2 {
        let turned = service.turner.turn(by).await.unwrap();
        assert_eq!((began.elapsed(), turned.now), (minutes * MINUTE, NOON + HOUR));
        assert_eq!((turned.rest, turned.pending), (Some((2 * HOUR, StoppedBy::Time)), 2));
        assert_eq!(turned.attempts.values().sum::<usize>(), 0);
        by = 2 * HOUR;
    }
    let turned = service.turner.turn(by).await.unwrap();
    assert_eq!((began.elapsed(), turned.now, turned.rest), (150 * SECOND, NOON + 3 * HOUR, None));
    assert_eq!((turned.attempts["success"], turned.pending), (2, 0), "also the attempt that earlier turns have begun");
    assert_eq!(service.sent(), ["https://hangs.example/", "https://example.com/"], "each of them once");
}

#[tokio::test(start_paused = true)]
async fn a_turn_does_not_wait_for_longer_than_a_minute_for_what_began_before_it() {
    let service = Service::start();
    service.schedule(Duration::ZERO, "https://hangs.example/").await;
    tokio::time::sleep(SECOND).await;
    let began = Instant::now();
    let turned = service.turner.turn(HOUR).await.unwrap();
    assert_eq!((began.elapsed(), turned.rest), (MINUTE, Some((HOUR, StoppedBy::Time))));
    assert_eq!(service.turner.turn(HOUR).await.unwrap().rest, Some((HOUR, StoppedBy::Time)));
    assert_eq!(service.turner.turn(HOUR).await.unwrap().rest, None);
    assert_eq!(service.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn code_that_schedules_for_the_same_instant_again_and_again_ends_the_turn_there() {
    let service = Service::start();
    service.schedule(HOUR, "https://loops.example/").await;
    service.schedule(2 * HOUR, "https://example.com/").await;
    let mut rest = 3 * HOUR;
    for _ in 0..2 {
        let turned = service.turner.turn(rest).await.unwrap();
        assert_eq!((turned.now, turned.rest), (NOON + HOUR, Some((2 * HOUR, StoppedBy::Loop))));
        assert_eq!((turned.attempts["success"], turned.pending), (1000, 2));
        rest = 2 * HOUR;
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_others_get_ahead_of_each_time_ends_no_turn_and_is_made_after_it() {
    let service = Service::start();
    let id = service.schedule(HOUR, "https://changes.example/").await;
    service.schedule(2 * HOUR, "https://example.com/").await;
    *service.changing.lock().unwrap() = vec![id; 5];
    let turned = service.turner.turn(3 * HOUR).await.unwrap();
    assert_eq!((turned.now, turned.rest, turned.attempts["success"]), (NOON + 3 * HOUR, None, 1));
    assert_eq!((&*service.sent()[0], turned.pending), ("https://example.com/", 1));
    tokio::time::sleep(SECOND).await;
    let read = service.store.get(&client(), id).await.unwrap().unwrap().value;
    assert_eq!(read.status(), Status::Completed, "the follower has found it");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_waits_sees_that_the_clock_was_turned() {
    let service = Service::start();
    let (inbox, began) = (service.inbox.clone(), Instant::now());
    let query = ReceiveQuery { max: 1, lease: MINUTE, wait: 20 * SECOND };
    let waiting = tokio::spawn(async move { inbox.receive(&client(), query).await.unwrap().len() });
    tokio::time::sleep(SECOND).await;
    schedule(&service.scheduler, 24 * HOUR, None).await;
    tokio::time::sleep(SECOND).await;
    assert!(!waiting.is_finished());
    service.turner.turn(24 * HOUR).await.unwrap();
    assert_eq!((waiting.await.unwrap(), began.elapsed()), (1, 2 * SECOND));
    assert!(service.clock.now() >= NOON + 24 * HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_conversation_sees_that_the_clock_was_turned_past_its_end() {
    let service = Service::start();
    let id = service.schedule(HOUR, "https://example.com/").await;
    let (scheduler, began) = (service.scheduler.clone(), Instant::now());
    let waiting = tokio::spawn(async move { scheduler.wait(&client(), id, 20 * SECOND).await.unwrap() });
    tokio::time::sleep(SECOND / 2).await;
    service.turner.turn(2 * HOUR).await.unwrap();
    assert_eq!(waiting.await.unwrap().whole.conversation.status(), Status::Completed);
    assert_eq!(began.elapsed(), SECOND / 2);
}
