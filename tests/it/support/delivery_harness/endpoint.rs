//! The endpoint: it answers by script and records each request.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::domain::{ClientId, Conversation, ConversationId, ErrorClass, Timestamp};
use mcp_scheduler::outbound::{Addresses, EndpointResponse, Exchange, OutboundRequest, Route, RouteError, Sender};
use mcp_scheduler::store::ConversationStore;
use mcp_scheduler::time::Clock as _;

use super::SettableClock;

/// The route to a host that has an address of its own.
pub fn route_by_name(endpoint: &str) -> Result<Route, RouteError> {
    Ok(Route::new(endpoint.parse().unwrap(), address_by_name(endpoint)?))
}

fn address_by_name(endpoint: &str) -> Result<Addresses, RouteError> {
    let mut hasher = DefaultHasher::new();
    host(endpoint).hash(&mut hasher);
    let [a, b, c, d, ..] = hasher.finish().to_be_bytes();
    Addresses::new(&[SocketAddr::from(([a, b, c, d], 443))])
}

fn host(endpoint: &str) -> &str {
    let (_, rest) = endpoint.split_once("://").unwrap();
    rest.split(['/', ':']).next().unwrap()
}

/// An endpoint that answers 200 at once unless its script says otherwise.
pub struct FakeEndpoint {
    clock: Arc<SettableClock>,
    store: ConversationStore,
    script: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<Call>>,
    hosts: Mutex<HashMap<String, Host>>,
    addresses: Mutex<HashMap<String, Result<Addresses, RouteError>>>,
    statuses: Mutex<HashMap<String, u16>>,
    /// A request does not contain its client.
    clients: Mutex<BTreeSet<ClientId>>,
}

/// A host that needs some time for each response.
#[derive(Default)]
struct Host {
    latency: Duration,
    in_flight: usize,
    peak: usize,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// When its first byte arrived.
    pub at: Timestamp,
    pub url: String,
    pub request: OutboundRequest,
    /// The conversation in the store at that time.
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

/// The endpoint's answer to one request.
pub struct Answer {
    pub exchange: Exchange,
    pub takes: Duration,
    /// Runs when the endpoint begins to answer.
    pub meanwhile: Option<Hook>,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        let answer = EndpointResponse { status, retry_after: None, excerpt: format!("said {status}"), body: None };
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
    pub(super) fn new(clock: Arc<SettableClock>, store: ConversationStore) -> Self {
        Self {
            clock,
            store,
            script: Mutex::default(),
            calls: Mutex::default(),
            hosts: Mutex::default(),
            addresses: Mutex::default(),
            statuses: Mutex::default(),
            clients: Mutex::default(),
        }
    }

    pub fn will(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().extend(answers);
    }

    pub fn always_fails(&self) {
        self.will((0..20).map(|_| Answer::status(500)));
    }

    /// Lets this host answer 200 after this time. The script does not apply to it.
    pub fn set_latency(&self, host: &str, latency: Duration) {
        self.hosts.lock().unwrap().insert(host.to_owned(), Host { latency, ..Host::default() });
    }

    /// Lets this host answer with this status. The script does not apply to it.
    pub fn set_status(&self, host: &str, status: u16) {
        self.statuses.lock().unwrap().insert(host.to_owned(), status);
    }

    /// The highest number of requests that such a host had in flight at one time.
    pub fn peak(&self, host: &str) -> usize {
        self.hosts.lock().unwrap()[host].peak
    }

    /// Sets the result of the look-up of a host. By default each host has an address of its own.
    pub fn set_addresses(&self, host: &str, addresses: Result<Addresses, RouteError>) {
        self.addresses.lock().unwrap().insert(host.to_owned(), addresses);
    }

    pub fn expect(&self, client: &ClientId) {
        self.clients.lock().unwrap().insert(client.clone());
    }

    async fn record(&self, id: ConversationId) -> Conversation {
        let clients = self.clients.lock().unwrap().clone();
        for client in clients {
            if let Some(found) = self.store.get(&client, id).await.unwrap() {
                return found.value;
            }
        }
        panic!("no client has {id}")
    }

    async fn answer_of_slow_host(&self, endpoint: &str) -> Option<Duration> {
        let name = host(endpoint);
        let takes = self.hosts.lock().unwrap().get_mut(name).map(|host| {
            host.in_flight += 1;
            host.peak = host.peak.max(host.in_flight);
            host.latency
        })?;
        tokio::time::sleep(takes).await;
        self.hosts.lock().unwrap().get_mut(name).unwrap().in_flight -= 1;
        Some(takes)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Sender for FakeEndpoint {
    async fn route(&self, endpoint: &str) -> Result<Route, RouteError> {
        let scripted = self.addresses.lock().unwrap().get(host(endpoint)).cloned();
        let addresses = scripted.unwrap_or_else(|| address_by_name(endpoint))?;
        Ok(Route::new(endpoint.parse().unwrap(), addresses))
    }

    async fn send(&self, request: OutboundRequest, route: Route) -> Exchange {
        let at = self.clock.now();
        let webhook_id = request.headers.iter().find(|(n, _)| n == "webhook-id").unwrap().1.expose();
        let id = webhook_id.split('_').next().unwrap().parse().unwrap();
        let record = self.record(id).await;
        let url = route.url().to_string();
        self.calls.lock().unwrap().push(Call { at, url: url.clone(), request, record });
        if let Some(took) = self.answer_of_slow_host(&url).await {
            return Exchange { duration_ms: u64::try_from(took.as_millis()).unwrap(), ..Answer::status(200).exchange };
        }
        let status = self.statuses.lock().unwrap().get(host(&url)).copied();
        if let Some(status) = status {
            return Answer::status(status).exchange;
        }
        let answer = self.script.lock().unwrap().pop_front().unwrap_or_else(|| Answer::status(200));
        if let Some(hook) = answer.meanwhile {
            hook();
        }
        tokio::time::sleep(answer.takes).await;
        answer.exchange
    }
}
