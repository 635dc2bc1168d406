//! The service, running in this process.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use mcp_scheduler::app::{self, App, ClientCommand};
use mcp_scheduler::auth::{
    ApiKey, Authenticator, ClientAdmin, ClientDirectory, DocumentFetcher, SignIn, SigningKeys, TokenSettings,
    client_with_key,
};
use mcp_scheduler::backup::Backup;
use mcp_scheduler::config::Config;
use mcp_scheduler::delivery::{ClientKeys, Inbox, NextDue, Signer, SigningSecrets, Subscribers, Subscriptions};
use mcp_scheduler::domain::{ClientId, EndpointPolicy, EventsText, Scope, Scopes, Secret, Timestamp};
use mcp_scheduler::http::{Operation, RateLimiter, Server, ServerOptions, Services, operations, router};
use mcp_scheduler::login::{Confirmations, Documents, Logins, Seals};
use mcp_scheduler::maintenance::Checkup;
use mcp_scheduler::mcp::{McpServer, NamedTool};
use mcp_scheduler::outbound::HttpSender;
use mcp_scheduler::public_url::PublicUrl;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{ClientStore, ConversationStore, LoginStore, SubscriptionStore, Table};
use mcp_scheduler::testing::{Fault, Faults, SimulatedTable, sealer};
use mcp_scheduler::time::{Clock, SystemClock, SystemEntropy};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::ApiClient;

pub const CLIENT: &str = "alice";
pub const KEY: &str = "alice's-key-for-tests";
pub const OTHER: &str = "bob";
pub const READER: &str = "carol";
/// The master secret of the secrets that sign deliveries.
pub const SIGNING_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What signs deliveries with that master secret.
pub fn signer() -> Arc<Signer> {
    Arc::new(Signer::new(masters()))
}

fn masters() -> SigningSecrets {
    SIGNING_SECRET.parse().unwrap()
}

/// The keys that sign the deliveries of a client with that master secret.
pub fn client_keys(client: &str) -> ClientKeys {
    masters().derive(&client.parse().unwrap())
}

/// The secret with which the receivers of a client verify its deliveries.
pub fn client_secret(client: &str) -> String {
    client_keys(client).secrets()[0].expose().clone()
}

const SIGNING_KEYS: &str = "k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The whole service, as `main` runs it, on its own port and directory. It has three clients. It ends when it is dropped.
pub struct TestApp {
    pub address: SocketAddr,
    other_key: String,
    reader_key: String,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<(), app::StoreLost>>>,
    _data: TempDir,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts with these settings, which replace or extend the settings of the tests.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().to_str().unwrap().to_owned();
        let of_tests = [
            ("PORT", "0"),
            ("SCHEDULER_DATA_DIR", &*dir),
            ("SCHEDULER_CLIENT_ID", CLIENT),
            ("SCHEDULER_API_KEY", KEY),
            ("JWT_SIGNING_KEYS", SIGNING_KEYS),
            ("WEBHOOK_SIGNING_SECRETS", SIGNING_SECRET),
        ];
        let lookup = |name: &str| {
            let found = settings.iter().chain(&of_tests).find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::from_vars(lookup).unwrap();
        let other_key = add_client(&config, OTHER, Scopes::all()).await;
        let reader_key = add_client(&config, READER, Scope::Read.into()).await;
        let app = App::start(config).await.unwrap();
        let (address, stop) = (app.address(), CancellationToken::new());
        let task = Some(tokio::spawn(app.run(stop.clone())));
        Self { address, other_key, reader_key, stop, task, _data: data }
    }

    /// The first client.
    pub fn client(&self) -> ApiClient {
        ApiClient::new(self.address, CLIENT, KEY)
    }

    /// The first client with all its rights.
    pub async fn operator(&self) -> ApiClient {
        self.client().with_scopes(&Scopes::with_operator().to_string()).await
    }

    /// The first client, from another address of this machine.
    pub fn client_from(&self, source: IpAddr) -> ApiClient {
        ApiClient::from_source(self.address, CLIENT, KEY, source)
    }

    /// Another client, which owns no conversation of the first one.
    pub fn other_client(&self) -> ApiClient {
        ApiClient::new(self.address, OTHER, &self.other_key)
    }

    /// A client with the scope `conversations:read` only.
    pub fn reader(&self) -> ApiClient {
        ApiClient::new(self.address, READER, &self.reader_key)
    }

    /// Tells the service to stop and returns at once.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the service has ended.
    pub async fn ended(&mut self) {
        self.task.take().unwrap().await.unwrap().unwrap();
    }
}

/// Adds a client to the store of a service that does not run yet, and returns its key.
async fn add_client(config: &Config, name: &str, scopes: Scopes) -> String {
    let command = ClientCommand::Add(name.parse().unwrap(), scopes.into());
    let added = app::administrate_clients(config, &command).await.unwrap();
    added["apiKey"].as_str().unwrap().to_owned()
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The only program that publishes a document.
pub const PUBLISHED: &str = "https://agent.example/client.json";

/// Finds that document and no other.
pub struct OneDocument;

#[async_trait]
impl DocumentFetcher for OneDocument {
    async fn fetch(&self, url: &str) -> Option<Bytes> {
        let document = json!({ "client_id": PUBLISHED, "client_name": "A published agent",
                               "redirect_uris": ["http://127.0.0.1/callback"] });
        (url == PUBLISHED).then(|| document.to_string().into())
    }

    async fn send_form(&self, _: &str, _: Bytes) -> Option<Bytes> {
        None
    }
}

/// The logins of an authenticator's clients, in this table, for programs with these documents.
pub fn logins(
    authenticator: &Arc<Authenticator>,
    directory: Arc<ClientDirectory>,
    table: Arc<dyn Table>,
    keys: SigningKeys,
    clock: Arc<dyn Clock>,
    documents: Arc<dyn DocumentFetcher>,
) -> Logins {
    let entropy = Arc::new(SystemEntropy::new());
    let seals = Seals::new(keys, entropy.clone());
    let documents = Documents::new(documents);
    Logins::new(Arc::clone(authenticator), directory, LoginStore::new(table), seals, documents, clock, entropy)
}

/// What persons have confirmed, in this table.
pub fn confirmations(table: Arc<dyn Table>, keys: SigningKeys, clock: Arc<dyn Clock>) -> Confirmations {
    Confirmations::new(LoginStore::new(table), Seals::new(keys, Arc::new(SystemEntropy::new())), clock)
}

/// A clock that always shows the same time.
#[derive(Clone, Copy)]
pub struct Fixed(pub Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A store that refuses every call.
pub struct StoreDown;

impl Faults for StoreDown {
    fn next(&self) -> Fault {
        Fault::Refused
    }
}

/// The API without a worker. The test chooses the store, the clock and the time limits.
pub struct BareApi {
    pub clock: Arc<dyn Clock>,
    pub table: SimulatedTable,
    pub options: ServerOptions,
    pub endpoints: EndpointPolicy,
    pub signing_keys: SigningKeys,
    pub tokens: TokenSettings,
    pub operations: Vec<Operation>,
    /// Tools besides those of the operations.
    pub fixtures: Vec<NamedTool>,
    /// The documents of programs.
    pub documents: Arc<dyn DocumentFetcher>,
    /// The issuer at which users sign in.
    pub sign_in: Option<SignIn>,
    /// Requests per second and client; `None` for no limit.
    pub rate_limit: Option<NonZeroU32>,
    /// Pending conversations of each client; `None` for no limit.
    pub max_pending: Option<NonZeroU32>,
    /// Bytes of the pending conversations of each client; `None` for no limit.
    pub max_pending_bytes: Option<NonZeroUsize>,
}

impl BareApi {
    pub fn new() -> Self {
        Self::with_faults(())
    }

    /// An API on a table with these faults.
    pub fn with_faults(faults: impl Faults) -> Self {
        let own_name = || "mcp-scheduler".to_owned();
        Self {
            clock: Arc::new(SystemClock),
            table: SimulatedTable::new(faults),
            options: ServerOptions::default(),
            endpoints: EndpointPolicy::default(),
            signing_keys: SIGNING_KEYS.parse().unwrap(),
            tokens: TokenSettings { issuer: own_name(), audience: own_name(), ttl_seconds: 3600 },
            operations: operations(),
            fixtures: Vec::new(),
            documents: Arc::new(OneDocument),
            sign_in: None,
            rate_limit: None,
            max_pending: None,
            max_pending_bytes: None,
        }
    }

    /// Serves until the guard is dropped.
    pub async fn start(self) -> Running {
        let entropy = Arc::new(SystemEntropy::new());
        let table: Arc<SimulatedTable> = Arc::new(self.table);
        let conversations = ConversationStore::new(Arc::clone(&table) as _, sealer());
        let client_store = || ClientStore::new(Arc::clone(&table) as _);
        let waker = || Arc::new(NextDue::default());
        let backup = Backup::new(conversations.clone(), client_store(), waker());
        let checkup = Checkup::new(conversations.clone(), None, Arc::clone(&self.clock));
        let inbox = Inbox::new(conversations.clone(), waker(), Arc::clone(&self.clock), entropy.clone());
        let scheduler =
            Scheduler::new(conversations, waker(), self.endpoints, Arc::clone(&self.clock), entropy.clone())
                .with_max_pending(self.max_pending, self.max_pending_bytes);
        let key = ApiKey::new(Secret::new(KEY.to_owned())).unwrap();
        let client = client_with_key(CLIENT.parse().unwrap(), &key, Scopes::with_operator(), &*entropy);
        let directory = Arc::new(ClientDirectory::new(Some(client), client_store()));
        let clients = ClientAdmin::new(Arc::clone(&directory), Arc::clone(&self.clock), entropy.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let public_url = PublicUrl::of_address(address);
        let tools = self.operations.iter().filter_map(Operation::tool).chain(self.fixtures);
        let subscriptions = subscriptions(Arc::clone(&table) as _);
        let keys = self.signing_keys;
        let clock = Arc::clone(&self.clock);
        let confirmed = confirmations(Arc::clone(&table) as _, keys.clone(), Arc::clone(&clock));
        let mcp = McpServer::new(scheduler.clone(), inbox.clone(), subscriptions, confirmed, &public_url, tools);
        let authenticator =
            Authenticator::new(Arc::clone(&directory), keys.clone(), self.tokens, public_url, Arc::clone(&clock));
        let authenticator = Arc::new(authenticator);
        let logins = logins(&authenticator, directory, table, keys, clock, self.documents);
        let logins = match self.sign_in {
            Some(sign_in) => logins.with_sign_in(sign_in),
            None => logins,
        };
        let services = Arc::new(Services {
            scheduler,
            inbox,
            authenticator,
            logins,
            clients,
            backup,
            entropy,
            mcp,
            signer: signer(),
            first_client: CLIENT.parse::<ClientId>().unwrap().into(),
            rate_limiter: RateLimiter::new(self.rate_limit),
            wake_ups: None,
            checkup,
            invocations: None,
            dev: None,
        });
        let server = Server::new(listener, router(services, self.operations), self.options);
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone()));
        Running { address, stop, task: Some(task) }
    }
}

/// Subscriptions in a table, of receivers that deliveries may reach.
pub fn subscriptions(table: Arc<dyn Table>) -> Subscriptions {
    let store = SubscriptionStore::new(table, sealer());
    let subscribers = Subscribers::new(store, Arc::new(SystemClock), EventsText::Draft);
    let (endpoints, entropy) = (EndpointPolicy::default(), Arc::new(SystemEntropy::new()));
    Subscriptions::new(subscribers, Arc::new(HttpSender::new(endpoints.clone()).unwrap()), endpoints, entropy)
}

/// A bare API that is serving.
pub struct Running {
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub task: Option<JoinHandle<()>>,
}

impl Running {
    pub fn client(&self) -> ApiClient {
        ApiClient::new(self.address, CLIENT, KEY)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
