//! The Functions host of in-process tests: it posts envelopes, and checks that every answer is one that a host accepts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use mcp_scheduler::auth::{
    ApiKey, Authenticator, ClientAdmin, ClientDirectory, SigningKeys, TokenSettings, client_with_key,
};
use mcp_scheduler::backup::Backup;
use mcp_scheduler::domain::{ConversationId, EndpointPolicy, Scopes, Secret};
use mcp_scheduler::http::{
    FunctionsHost, Invocations, Operation, RateLimiter, Services, invocation_operations, operations, router,
};
use mcp_scheduler::maintenance::Checkup;
use mcp_scheduler::mcp::McpServer;
use mcp_scheduler::scheduler::Scheduler;
use mcp_scheduler::store::{ClientStore, DueKey, Slot, WakeUp};
use mcp_scheduler::testing::SimulatedTable;
use mcp_scheduler::time::SystemEntropy;
use serde_json::{Value, json};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::support::app::{KEY, OneDocument, confirmations, logins, signer, subscriptions};
use crate::support::delivery_harness::{CLIENT, DeliveryHarness};

/// The address that the host calls, and the host's name.
const ADDRESS: &str = "127.0.0.1:40001";
const AGENT: &str = "Azure-Functions-Host/4.1037.0.0";

/// The service, called as the host calls it.
#[derive(Clone)]
pub struct Host {
    routes: BoxedFilter<(Response,)>,
}

/// The answer of the service.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Host {
    pub fn of(harness: &DeliveryHarness) -> Self {
        let host = Arc::new(FunctionsHost::calling(ADDRESS.parse().unwrap()));
        let invocations = Invocations { wake_ups: harness.handler(), host };
        let table = operations().into_iter().chain(invocation_operations()).collect();
        Self { routes: router(services(harness, Some(invocations)), table) }
    }

    /// The same service, started without the host.
    pub fn none(harness: &DeliveryHarness) -> Self {
        Self { routes: router(services(harness, None), operations()) }
    }

    /// A request with the headers of an invocation, and with those that it has itself in their place.
    pub async fn request(&self, mut request: Request<Full<Bytes>>) -> Answer {
        for (name, value) in [(HOST, ADDRESS), (USER_AGENT, AGENT)] {
            request.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        let service = TowerToHyperService::new(warp::service(self.routes.clone()));
        let (head, body) = service.call(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub async fn call(&self, method: Method, path: &str) -> Answer {
        self.request(Request::builder().method(method).uri(path).body(Full::default()).unwrap()).await
    }

    /// Posts a body to a function, as the host does, and checks the form of the answer.
    pub async fn invoke(&self, function: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(format!("/{function}"))
            .header("content-type", "application/json; charset=utf-8")
            .header("x-azure-functions-invocationid", "7d6e4c0e-invocation")
            .body(Full::new(body.into()));
        let answer = self.request(request.unwrap()).await;
        answer.check();
        answer
    }

    /// The answer of `getConversationStatus` for a conversation of the harness.
    pub async fn status(&self, id: ConversationId) -> Value {
        let login = json!({ "clientId": CLIENT, "apiKey": KEY }).to_string();
        let login = Request::post("/api/auth/token").header("content-type", "application/json").body(login.into());
        let token = self.request(login.unwrap()).await.json()["token"].as_str().unwrap().to_owned();
        let status =
            Request::get(format!("/api/scheduler/status/{id}")).header("authorization", format!("Bearer {token}"));
        self.request(status.body(Full::default()).unwrap()).await.json()
    }

    /// The first call in a minute looks at the sweeps in the background. Waits for the end of that.
    pub async fn have_looked(&self) {
        self.call(Method::GET, "/").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// The same while the table is down, so that the look sweeps nothing and what follows does it alone.
    pub async fn have_looked_in_vain(&self, harness: &DeliveryHarness) {
        harness.table.set_down(true);
        self.have_looked().await;
        harness.table.set_down(false);
    }

    pub async fn deliver(&self, body: impl Into<Bytes>) -> Answer {
        self.invoke("deliverDueConversations", body).await
    }
}

impl Answer {
    /// Checks the body: after a 2xx without a JSON object the host waits for ever, and it logs the lines in `Logs`.
    #[track_caller]
    fn check(&self) {
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        let names: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["Logs", "Outputs", "ReturnValue"]);
        assert_eq!((&body["Outputs"], &body["ReturnValue"]), (&json!({}), &Value::Null));
        let line = self.line();
        assert!(line.len() > 10 && line.len() < 300 && !line.contains('\n'), "{line}");
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The one line in `Logs`.
    pub fn line(&self) -> String {
        let body = self.json();
        let [line] = body["Logs"].as_array().unwrap().as_slice() else { panic!("{}", self.text) };
        line.as_str().unwrap().to_owned()
    }

    /// The figures of the invocation.
    pub fn figures(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap_or_else(|_| panic!("{}", self.text))
    }
}

fn services(harness: &DeliveryHarness, invocations: Option<Invocations>) -> Arc<Services> {
    let (clock, entropy) = (Arc::clone(&harness.clock), Arc::new(SystemEntropy::new()));
    let scheduler = Scheduler::new(
        harness.store.clone(),
        Arc::clone(&harness.wake_ups) as _,
        EndpointPolicy::default(),
        Arc::clone(&clock) as _,
        entropy.clone(),
    );
    let keys: SigningKeys = format!("k1:{}", "00".repeat(32)).parse().unwrap();
    let tokens = TokenSettings { issuer: "i".to_owned(), audience: "a".to_owned(), ttl_seconds: 60 };
    let key = ApiKey::new(Secret::new(KEY.to_owned())).unwrap();
    let client = client_with_key(harness.client.clone(), &key, Scopes::all(), &*entropy);
    let directory = ClientDirectory::new(Some(client), ClientStore::new(Arc::new(SimulatedTable::new(()))));
    let directory = Arc::new(directory);
    let clients = ClientAdmin::new(Arc::clone(&directory), Arc::clone(&clock) as _, entropy.clone());
    let client_store = ClientStore::new(Arc::new(SimulatedTable::new(())));
    let backup = Backup::new(harness.store.clone(), client_store, Arc::clone(&harness.wake_ups) as _);
    let public_url = "https://scheduler.example.com".parse().unwrap();
    let tools: Vec<_> = operations().iter().filter_map(Operation::tool).collect();
    let mcp = McpServer::new(
        scheduler.clone(),
        harness.inbox(),
        subscriptions(Arc::new(SimulatedTable::new(()))),
        confirmations(Arc::new(SimulatedTable::new(())), keys.clone(), Arc::clone(&clock) as _),
        &public_url,
        tools,
    );
    let authenticator =
        Authenticator::new(Arc::clone(&directory), keys.clone(), tokens, public_url, Arc::clone(&clock) as _);
    let authenticator = Arc::new(authenticator);
    let logins =
        logins(&authenticator, directory, Arc::new(SimulatedTable::new(())), keys, clock, Arc::new(OneDocument));
    let wake_ups = invocations.is_some().then(|| Arc::clone(&harness.wake_ups));
    Arc::new(Services {
        checkup: Checkup::new(harness.store.clone(), wake_ups, Arc::clone(&harness.clock) as _),
        scheduler,
        inbox: harness.inbox(),
        authenticator,
        logins,
        clients,
        backup,
        entropy,
        mcp,
        signer: signer(),
        first_client: harness.client.clone().into(),
        rate_limiter: RateLimiter::new(None),
        wake_ups: invocations.as_ref().map(|invocations| Arc::clone(&invocations.wake_ups)),
        invocations: invocations.map(Arc::new),
        dev: None,
    })
}

/// The text of the wake-up for the second and the partition of a due row.
pub fn text(due: &DueKey) -> String {
    text_of(&WakeUp::of_slot(Slot::of(due.at), due.partition().into()))
}

/// The text of a wake-up.
pub fn text_of(wake_up: &WakeUp) -> String {
    wake_up.to_message().expect("nobody writes messages of the first release")
}

/// The same message as an object.
pub fn message(due: &DueKey) -> Value {
    serde_json::from_str(&text(due)).unwrap()
}

/// The text of a message of the first release, which names one conversation.
pub fn first_release(client: &str, id: &str, generation: u32) -> String {
    json!({ "v": 1, "job": { "client": client, "id": id, "generation": generation } }).to_string()
}

/// The envelope that the host posts for a message: the text is a JSON string literal in a JSON string.
pub fn envelope(text: &str) -> Value {
    let literal = Value::from(text).to_string();
    json!({ "Data": { "msg": literal }, "Metadata": { "DequeueCount": "1", "Id": "\"3f1c\"", "sys": {} } })
}
