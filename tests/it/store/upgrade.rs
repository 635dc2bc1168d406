//! This release reads the store of an earlier release, which was killed at work, and continues that work.
//!
//! tests/fixtures/upgrade/make.py makes such a store with the program of a release. The store of each release is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_core::RetryOptions;
use azure_data_tables::clients::TableServiceClientBuilder;
use azure_storage::{CloudLocation, StorageCredentials};
use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::delivery::{
    Deliverer, Follower, NextDue, RunReport, SlotRunner, WakeUpHandler, WakeUpOutcome, Worker,
};
use mcp_scheduler::domain::{ClientId, Conversation, EndpointPolicy, Status, Timestamp};
use mcp_scheduler::maintenance::{Indexer, SweepReason, Sweeper};
use mcp_scheduler::outbound::{EndpointResponse, Exchange, OutboundRequest, Route, RouteError, Sender};
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{
    AzureNames, ClientStore, ConversationStore, DueBound, EmbeddedStore, ListFilter, ListOwner, Operation, Table as _,
    Versioned, WakeUp, WakeUps, Waker,
};
use mcp_scheduler::testing::{SimulatedQueue, SimulatedTable, sealer};
use mcp_scheduler::time::{Clock as _, SystemClock, SystemEntropy, VirtualClock};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::app::signer;
use crate::support::azurite::{self, azurite};
use crate::support::delivery_harness::route_by_name;

const PATIENCE: Duration = Duration::from_mins(1);

/// A conversation as it was when the earlier release was killed.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    conversation_id: String,
    status: String,
    conversation_text: String,
    scheduled_time: String,
    endpoint: String,
    attempts: usize,
}

/// The expected conversations by their names in make.py.
type Conversations = BTreeMap<String, Expected>;

fn releases() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/upgrade");
    let entries = fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path());
    let releases: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert!(!releases.is_empty());
    releases
}

fn read<T: for<'de> Deserialize<'de>>(file: &Path) -> T {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn expected(release: &Path, backend: &str) -> Conversations {
    let mut all: BTreeMap<String, Conversations> = read(&release.join("expected.json"));
    all.remove(backend).unwrap()
}

fn client() -> ClientId {
    "tester".parse().unwrap()
}

/// Answers 200 to every request.
#[derive(Default)]
struct Endpoint(Mutex<Vec<String>>);

#[async_trait]
impl Sender for Endpoint {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        route_by_name(endpoint)
    }

    async fn send(&self, _: OutboundRequest, route: Route) -> Exchange {
        self.0.lock().unwrap().push(route.url().to_string());
        Exchange {
            duration_ms: 1,
            result: Ok(EndpointResponse { status: 200, retry_after: None, excerpt: String::new(), body: None }),
        }
    }
}

async fn get(store: &ConversationStore, expected: &Expected) -> Conversation {
    read_versioned(store, expected).await.value
}

async fn read_versioned(store: &ConversationStore, expected: &Expected) -> Versioned<Conversation> {
    let id = expected.conversation_id.parse().unwrap();
    store.get(&client(), id).await.unwrap().unwrap_or_else(|| panic!("{id} is gone"))
}

fn deliverer(store: &ConversationStore, waker: Arc<dyn Waker>, endpoint: &Arc<Endpoint>) -> Arc<Deliverer> {
    Arc::new(Deliverer::new(
        store.clone(),
        waker,
        Arc::clone(endpoint) as _,
        signer(),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy::new()),
    ))
}

/// The follower of a process that has the store for itself.
fn follower(store: &ConversationStore, endpoint: &Arc<Endpoint>) -> Follower {
    let next_due = Arc::new(NextDue::default());
    let deliverer = deliverer(store, Arc::clone(&next_due) as _, endpoint);
    Follower::new(deliverer, store.clone(), next_due, Arc::new(SystemClock))
}

/// A worker on an empty queue. The sweep finds what is due.
fn worker(store: &ConversationStore, endpoint: &Arc<Endpoint>) -> Worker {
    let (queue, clock) = (Arc::new(SimulatedQueue::new(())), Arc::new(SystemClock));
    let wake_ups = Arc::new(WakeUps::new(Arc::clone(&queue) as _, Arc::clone(&clock) as _));
    let deliverer = deliverer(store, Arc::clone(&wake_ups) as _, endpoint);
    let (entropy, clock_of_runner) = (Arc::new(SystemEntropy::new()), Arc::clone(&clock));
    let runner = Arc::new(SlotRunner::new(deliverer, store.clone(), Arc::clone(&wake_ups), clock_of_runner, entropy));
    let sweeper = Sweeper::new(store.clone(), wake_ups, Arc::clone(&runner) as _, clock);
    Worker::new(Arc::new(WakeUpHandler::new(runner, Arc::new(sweeper))), queue)
}

async fn is_as_it_was(store: &ConversationStore, conversations: &Conversations) {
    for (name, expected) in conversations {
        let versioned = read_versioned(store, expected).await;
        assert_eq!(store.payload(&versioned).await.unwrap().text, expected.conversation_text, "{name}");
        let read = versioned.value;
        assert_eq!(read.due().to_string(), expected.scheduled_time, "{name}");
        let target = read.destination().target().unwrap();
        assert_eq!(target.endpoint.as_str(), expected.endpoint, "{name}");
        assert_eq!(read.status().as_str(), expected.status, "{name}");
    }
}

/// `work` delivers the conversations that are due, until it is stopped. The others stay as they are.
async fn is_worked_on(
    store: &ConversationStore,
    conversations: &Conversations,
    endpoint: &Endpoint,
    work: impl Future<Output = ()> + Send + 'static,
    stop: CancellationToken,
) {
    let worker = tokio::spawn(work);
    let due = ["due", "due, with everything", "waiting", "in flight"];
    let deadline = Instant::now() + PATIENCE;
    for name in due {
        let expected = &conversations[name];
        let read = loop {
            let read = get(store, expected).await;
            if read.status() == Status::Completed {
                break read;
            }
            assert!(Instant::now() < deadline, "{name} is {:?}", read.state());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        // The attempt that the earlier release had begun counts too, with an unknown result.
        assert_eq!(read.attempts().len(), expected.attempts + 1, "{name}");
    }
    stop.cancel();
    worker.await.unwrap();
    for (name, expected) in conversations.iter().filter(|(name, _)| !due.contains(&name.as_str())) {
        assert_eq!(get(store, expected).await.status().as_str(), expected.status, "{name} was touched");
    }
    let mut sent = endpoint.0.lock().unwrap().clone();
    let mut wanted: Vec<_> = due.iter().map(|name| conversations[*name].endpoint.clone()).collect();
    sent.sort();
    wanted.sort();
    assert_eq!(sent, wanted);
}

/// The lists by status have every conversation, before it has an index row and after.
async fn is_listed(store: &ConversationStore, conversations: &Conversations) {
    let (clock, now) = (Arc::new(SystemClock), SystemClock.now());
    for indexed in [false, true] {
        if indexed {
            assert_eq!(Indexer::new(store.clone(), clock.clone()).alone().complete().await.unwrap(), 0);
        }
        assert_eq!(store.is_indexed().await.unwrap(), indexed);
        for (name, expected) in conversations {
            let conversation = get(store, expected).await;
            let filter = ListFilter::of(conversation.status());
            let of = ListOwner::from(&client());
            let place = store.list_from_start(&of, &filter, now).await.unwrap();
            let page = store.list(&of, &filter, 100, &place).await.unwrap();
            let found = page.conversations.iter().filter(|listed| **listed == conversation).count();
            assert_eq!(found, 1, "{name} is {}, indexed: {indexed}", conversation.status());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_store_of_an_earlier_release_is_read_and_worked_on() {
    for release in releases() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("store");
        fs::create_dir(&dir).unwrap();
        let unpacked = Command::new("tar").arg("-xf").arg(release.join("embedded.tar")).arg("-C").arg(&dir).status();
        assert!(unpacked.unwrap().success());
        let store = EmbeddedStore::open(&dir).unwrap();
        let (conversations, expected) =
            (ConversationStore::new(store.conversations(), sealer()), expected(&release, "embedded"));
        is_as_it_was(&conversations, &expected).await;
        let (endpoint, stop) = (Arc::new(Endpoint::default()), CancellationToken::new());
        let work = follower(&conversations, &endpoint).run(stop.clone());
        is_worked_on(&conversations, &expected, &endpoint, work, stop).await;
        is_listed(&conversations, &expected).await;
        store.close();
    }
}

#[derive(Deserialize)]
struct InAzure {
    tables: BTreeMap<String, Vec<Value>>,
    message: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_an_earlier_release_are_read_and_worked_on() {
    for release in releases() {
        let kept: InAzure = read(&release.join("azure.json"));
        let connection = azurite().fresh_account();
        let store = azurite::store_at(&connection, &AzureNames::default());
        store.create().await.unwrap();
        put(&connection, &kept.tables).await;
        let (conversations, expected) =
            (ConversationStore::new(store.conversations(), sealer()), expected(&release, "azure"));
        is_as_it_was(&conversations, &expected).await;
        let (endpoint, stop) = (Arc::new(Endpoint::default()), CancellationToken::new());
        let worker = worker(&conversations, &endpoint);
        let handler = worker.handler();
        is_worked_on(&conversations, &expected, &endpoint, worker.run(stop.clone()), stop).await;
        is_listed(&conversations, &expected).await;
        assert!(ClientStore::new(store.clients()).get(&client()).await.is_ok());
        let wake_up = WakeUp::from_message(&kept.message).unwrap();
        let id = expected["far"].conversation_id.parse().unwrap();
        assert_eq!(wake_up, WakeUp::Conversation { client: client(), id });
        assert_eq!(handler.handle(&wake_up).await.unwrap(), WakeUpOutcome::Ran(RunReport::default()));
    }
}

/// Writes the entities as they are, without our own code.
async fn put(connection: &str, tables: &BTreeMap<String, Vec<Value>>) {
    let settings = azurite::settings(connection);
    let location = CloudLocation::Custom { account: settings.account.clone(), uri: settings.table_endpoint };
    let credentials = StorageCredentials::access_key(settings.account, azurite::KEY.to_owned());
    let builder = TableServiceClientBuilder::with_location(location, credentials).retry(RetryOptions::none());
    let service = builder.build();
    assert!(!tables["conversations"].is_empty());
    for (table, entities) in tables {
        let client = service.table_client(table);
        for entity in entities {
            client.insert::<_, Value>(entity).unwrap().await.unwrap();
        }
    }
}

/// Two versions work side by side during a deployment, and after a rollback.
#[tokio::test]
async fn a_row_of_a_newer_version_is_not_changed_and_delays_nothing() {
    let table = Arc::new(SimulatedTable::new(()));
    let store = ConversationStore::new(Arc::clone(&table) as _, sealer());
    let clock = Arc::new(VirtualClock::starting_at(Timestamp::from_millis(1_900_000_000_000)));
    let wake_ups = Arc::new(WakeUps::new(Arc::new(SimulatedQueue::new(())), Arc::clone(&clock) as _));
    let policy = EndpointPolicy::default();
    let entropy = Arc::new(SystemEntropy::new());
    let scheduler = Scheduler::new(store.clone(), Arc::clone(&wake_ups) as _, policy, Arc::clone(&clock) as _, entropy);
    let mut newer = Vec::new();
    for partition in ConversationStore::partitions() {
        // This row sorts before all others: a sweep that stopped at it would find none of them.
        let key = format!("d~{:014}~tester~01890000-0000-7000-8000-00000000000{}", 1, partition.as_str());
        let insert = Operation::Insert { key: key.clone(), value: r#"{"v":3,"row":{"form":"new"}}"#.to_owned() };
        table.commit(partition, vec![insert]).await.unwrap();
        newer.push((partition, key));
    }
    for second in 0..40 {
        let request = ScheduleRequest {
            conversation_text: Some("x".to_owned()),
            scheduled_time: Some((clock.now() + Duration::from_secs(60 + second)).to_string()),
            endpoint: Some("https://example.com/".to_owned()),
            ..ScheduleRequest::default()
        };
        let new = request.validate(scheduler.now(), scheduler.endpoint_policy()).unwrap();
        scheduler.schedule(&client(), new).await.unwrap();
    }
    let deliverer = deliverer(&store, Arc::clone(&wake_ups) as _, &Arc::default());
    let runner = SlotRunner::new(
        deliverer,
        store.clone(),
        Arc::clone(&wake_ups),
        Arc::clone(&clock) as _,
        Arc::new(SystemEntropy::new()),
    );
    let sweeper = Sweeper::new(store.clone(), wake_ups, Arc::new(runner), clock);
    assert_eq!(sweeper.sweep(SweepReason::Timer).await.unwrap().enqueued, 40);
    for (partition, key) in newer {
        assert!(table.get(partition, &key).await.unwrap().unwrap().value.contains("new"));
        assert_eq!(
            store.due(partition, &DueBound::Time(Timestamp::MIN), Timestamp::from_millis(2), 1).await.unwrap(),
            []
        );
    }
}
