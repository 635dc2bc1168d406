//! What is due after longer than a queue can hide a message.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use azure_storage_queues::QueueClient;
use mcp_scheduler::auth::{ApiKey, Authenticator, Directory, PublicUrl, TokenSettings, hash_key};
use mcp_scheduler::clock::{Clock, SystemClock, SystemEntropy};
use mcp_scheduler::delivery::{Deliverer, HttpSender, Sweeper};
use mcp_scheduler::domain::{EndpointPolicy, Scopes, Secret, Timestamp};
use mcp_scheduler::http::{Api, Invocations, Server, ServerOptions, routes};
use mcp_scheduler::mcp::Mcp;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{AzureNames, Client, ClientStore, ConversationStore};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::stage::{PATIENCE, Stage, login};
use crate::host::Host;
use crate::process::receiver::Receiver;
use crate::process::service::{CLIENT, KEY, SECRET};
use crate::support::azurite;

const SIGNING_KEYS: &str = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const DAY: Duration = Duration::from_hours(24);
const SWEEP: &str = "sweepDueConversations";

/// The machine's clock, moved on by the test.
#[derive(Default)]
struct MovedClock {
    ahead: AtomicI64,
}

impl MovedClock {
    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed).try_into().unwrap())
    }

    fn move_to(&self, time: Timestamp) {
        let by = self.now().until(time).as_millis();
        self.ahead.fetch_add(by.try_into().unwrap(), Ordering::Relaxed);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.ahead()
    }
}

/// The service in this process, under the clock of the test, where the host looks for its handler. The program in the
/// staged app only lives.
async fn serve(stage: &Stage, clock: Arc<MovedClock>) -> DropGuard {
    let (program, clock) = (stage.options().app.join("mcp-scheduler"), clock as Arc<dyn Clock>);
    fs::write(program, "#!/bin/sh\nexec /bin/sleep 3600\n").unwrap();
    let entropy = Arc::new(SystemEntropy::new());
    let store = azurite::store_under(&stage.connection, &AzureNames::default(), Arc::clone(&clock));
    store.create().await.unwrap();
    let conversations = ConversationStore::new(store.conversations());
    let endpoints =
        EndpointPolicy { allowed_networks: vec!["127.0.0.0/8".parse().unwrap()], ..EndpointPolicy::default() };
    let scheduler =
        Scheduler::new(conversations.clone(), store.hints(), endpoints.clone(), Arc::clone(&clock), entropy.clone());
    let key = ApiKey::new(Secret::new(KEY.to_owned())).unwrap();
    let client = Client {
        id: CLIENT.parse().unwrap(),
        key_hashes: vec![hash_key(&key, &*entropy)],
        scopes: Scopes::all(),
        disabled: false,
        tokens_valid_from: None,
    };
    let directory = Directory::new(Some(client), ClientStore::new(store.clients()));
    let name = || "mcp-scheduler".to_owned();
    let tokens = TokenSettings { issuer: name(), audience: name(), ttl_seconds: 3600 };
    let listener = TcpListener::bind(("127.0.0.1", stage.options().handler_port)).await.unwrap();
    let public_url = PublicUrl::of_address(listener.local_addr().unwrap());
    let (keys, secrets) = (SIGNING_KEYS.parse().unwrap(), SECRET.parse().unwrap());
    let mcp = Mcp::new(scheduler.clone(), &public_url);
    let authenticator = Authenticator::new(directory, keys, tokens, public_url, Arc::clone(&clock));
    let sender = Arc::new(HttpSender::new(endpoints).unwrap());
    let deliverer =
        Deliverer::new(conversations.clone(), store.hints(), sender, secrets, Arc::clone(&clock), entropy.clone());
    let sweeper = Sweeper::new(conversations, store.hints(), clock);
    let invocations = Invocations { deliverer: Arc::new(deliverer), sweeper };
    let api = Arc::new(Api { scheduler, authenticator, entropy, mcp });
    let stop = CancellationToken::new();
    let server = Server::new(listener, routes(api, Some(invocations)), ServerOptions::under_host());
    tokio::spawn(server.run(stop.clone()));
    stop.drop_guard()
}

async fn count(queue: &QueueClient) -> usize {
    queue.get_metadata().await.unwrap().approximate_messages_count
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_in_8_and_in_400_days_waits_in_the_table_and_arrives_at_its_time() {
    let (stage, clock) = (Stage::staged(), Arc::new(MovedClock::default()));
    let _serving = serve(&stage, Arc::clone(&clock)).await;
    let mut options = stage.options();
    options.timer_period = Some(Duration::from_hours(1)); // the test sweeps
    let (host, receiver) = (Host::start(options).await, Receiver::start(Duration::ZERO).await);
    let (queue, poison) = stage.queues();
    let (api, began) = (login(&host).await, clock.now());
    let mut waiting = Vec::new();
    for days in [8, 400] {
        let due = began + days * DAY;
        waiting.push((due, api.try_schedule(due, &receiver.endpoint).await.expect("not accepted")));
    }
    assert_eq!(count(&queue).await, 0, "a queue would not hide it for so long");
    for (n, (due, id)) in waiting.into_iter().enumerate() {
        // Time passes, in steps of up to a month.
        while clock.now().until(due) > DAY {
            clock.move_to((clock.now() + 30 * DAY).min(due - DAY));
            host.fire_timer(SWEEP).await;
            assert_eq!(count(&queue).await, 0, "its time is far off");
        }
        assert_eq!(login(&host).await.status(&id).await["status"], "Scheduled");
        clock.move_to(due - Duration::from_secs(4));
        host.fire_timer(SWEEP).await;
        assert!(receiver.wait(PATIENCE, |arrivals| arrivals.len() == n + 1).await, "{}", host.log());
        let at = receiver.arrivals()[n].at + clock.ahead();
        assert!(at >= due, "early: {at}, and not {due}");
        eprintln!("due {due}, arrived {:?} later", due.until(at));
        assert_eq!(receiver.arrivals()[n].id, id);
        let record = login(&host).await.completed(&id, PATIENCE).await;
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    }
    assert!(poison.get_messages().await.is_err(), "nothing was put aside");
}
