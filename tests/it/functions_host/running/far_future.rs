//! Conversations that are due later than a queue can hide a message.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use azure_storage_queues::QueueClient;
use mcp_scheduler::auth::{
    ApiKey, Authenticator, ClientAdmin, ClientDirectory, SigningKeys, TokenSettings, client_with_key,
};
use mcp_scheduler::backup::Backup;
use mcp_scheduler::delivery::{Deliverer, Inbox, SlotRunner, WakeUpHandler};
use mcp_scheduler::domain::{ClientId, EndpointPolicy, Scopes, Secret, Timestamp};
use mcp_scheduler::http::{
    FunctionsHost, Invocations, Operation, RateLimiter, Server, ServerOptions, Services, invocation_operations,
    operations, router,
};
use mcp_scheduler::maintenance::{Checkup, Sweeper};
use mcp_scheduler::mcp::McpServer;
use mcp_scheduler::outbound::HttpSender;
use mcp_scheduler::public_url::PublicUrl;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{AzureNames, ClientStore, ConversationStore, WakeUps};
use mcp_scheduler::testing::sealer;
use mcp_scheduler::time::{Clock, SystemClock, SystemEntropy};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::app::{OneDocument, confirmations, logins, signer, subscriptions};
use crate::support::azurite;
use crate::support::functions_host::Host;
use crate::support::host_harness::{HostHarness, PATIENCE, login};
use crate::support::recording_receiver::Receiver;
use crate::support::service::{CLIENT, KEY};

const SIGNING_KEYS: &str = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const DAY: Duration = Duration::from_hours(24);
const SWEEP: &str = "sweepDueConversations";

/// The clock of the machine, which the test can move ahead.
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

/// Serves in this process, with the clock of the test, on the port of the handler. The program in the staged app does
/// nothing.
async fn serve(harness: &HostHarness, clock: Arc<MovedClock>) -> DropGuard {
    let (program, clock) = (harness.options().app.join("mcp-scheduler"), clock as Arc<dyn Clock>);
    fs::write(program, "#!/bin/sh\nexec /bin/sleep 3600\n").unwrap();
    let entropy = Arc::new(SystemEntropy::new());
    let store = azurite::store_under(&harness.connection, &AzureNames::default(), Arc::new(SystemClock));
    store.create().await.unwrap();
    let conversations = ConversationStore::new(store.conversations(), sealer());
    let endpoints =
        EndpointPolicy { allowed_networks: vec!["127.0.0.0/8".parse().unwrap()], ..EndpointPolicy::default() };
    let wake_ups = Arc::new(WakeUps::new(store.wake_ups(), Arc::clone(&clock)));
    let waker = || Arc::clone(&wake_ups) as _;
    let scheduler =
        Scheduler::new(conversations.clone(), waker(), endpoints.clone(), Arc::clone(&clock), entropy.clone());
    let key = ApiKey::new(Secret::new(KEY.to_owned())).unwrap();
    let client = client_with_key(CLIENT.parse().unwrap(), &key, Scopes::all(), &*entropy);
    let directory = Arc::new(ClientDirectory::new(Some(client), ClientStore::new(store.clients())));
    let clients = ClientAdmin::new(Arc::clone(&directory), Arc::clone(&clock), entropy.clone());
    let backup = Backup::new(conversations.clone(), ClientStore::new(store.clients()), waker());
    let name = || "mcp-scheduler".to_owned();
    let tokens = TokenSettings { issuer: name(), audience: name(), ttl_seconds: 3600 };
    let listener = TcpListener::bind(("127.0.0.1", harness.options().handler_port)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let public_url = PublicUrl::of_address(address);
    let (keys, signer) = (SIGNING_KEYS.parse::<SigningKeys>().unwrap(), signer());
    let table: Vec<_> = operations().into_iter().chain(invocation_operations()).collect();
    let inbox = Inbox::new(conversations.clone(), waker(), Arc::clone(&clock), entropy.clone());
    let (tools, subscriptions) = (table.iter().filter_map(Operation::tool), subscriptions(store.clients()));
    let confirmed = confirmations(store.clients(), keys.clone(), Arc::clone(&clock));
    let mcp = McpServer::new(scheduler.clone(), inbox.clone(), subscriptions, confirmed, &public_url, tools);
    let authenticator =
        Authenticator::new(Arc::clone(&directory), keys.clone(), tokens, public_url, Arc::clone(&clock));
    let authenticator = Arc::new(authenticator);
    let logins = logins(&authenticator, directory, store.clients(), keys, Arc::clone(&clock), Arc::new(OneDocument));
    let sender = Arc::new(HttpSender::new(endpoints).unwrap());
    let deliverer = Deliverer::new(
        conversations.clone(),
        waker(),
        sender,
        Arc::clone(&signer),
        Arc::clone(&clock),
        entropy.clone(),
    );
    let runner = Arc::new(SlotRunner::new(
        Arc::new(deliverer),
        conversations.clone(),
        Arc::clone(&wake_ups),
        Arc::clone(&clock),
        entropy.clone(),
    ));
    let checkup = Checkup::new(conversations.clone(), Some(Arc::clone(&wake_ups)), Arc::clone(&clock));
    let sweeper = Sweeper::new(conversations, wake_ups, Arc::clone(&runner) as _, clock);
    let handler = Arc::new(WakeUpHandler::new(runner, Arc::new(sweeper)));
    let host = Arc::new(FunctionsHost::calling(address));
    let invocations = Some(Arc::new(Invocations { wake_ups: Arc::clone(&handler), host }));
    let services = Arc::new(Services {
        scheduler,
        inbox,
        authenticator,
        logins,
        clients,
        backup,
        entropy,
        mcp,
        signer,
        first_client: CLIENT.parse::<ClientId>().unwrap().into(),
        rate_limiter: RateLimiter::new(None),
        wake_ups: Some(handler),
        checkup,
        invocations,
        dev: None,
    });
    let stop = CancellationToken::new();
    let server = Server::new(listener, router(services, table), ServerOptions::under_host());
    tokio::spawn(server.run(stop.clone()));
    stop.drop_guard()
}

async fn count(queue: &QueueClient) -> usize {
    queue.get_metadata().await.unwrap().approximate_messages_count
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_due_in_8_and_in_400_days_arrive_at_their_time() {
    let (harness, clock) = (HostHarness::staged(), Arc::new(MovedClock::default()));
    let _serving = serve(&harness, Arc::clone(&clock)).await;
    let mut options = harness.options();
    options.timer_period = Some(Duration::from_hours(1)); // the test sweeps
    let (host, receiver) = (Host::start(options).await, Receiver::start(Duration::ZERO).await);
    let (queue, poison) = harness.queues();
    let (api, began) = (login(&host).await, clock.now());
    let mut waiting = Vec::new();
    for days in [8, 400] {
        let due = began + days * DAY;
        waiting.push((due, api.try_schedule(due, &receiver.endpoint).await.expect("not accepted")));
    }
    assert!(count(&queue).await <= 1, "only the dead man's switch: a queue would not hide them for so long");
    for (n, (due, id)) in waiting.into_iter().enumerate() {
        // Moves the clock, in steps of up to a month.
        while clock.now().until(due) > DAY {
            clock.move_to((clock.now() + 30 * DAY).min(due - DAY));
            let before = count(&queue).await;
            host.fire_timer(SWEEP).await;
            assert!(count(&queue).await <= before + 1, "only another dead man's switch: its time is far off");
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
    assert!(poison.get_messages().await.is_err(), "the poison queue does not exist");
}
