//! Managed identity: tokens from a stand-in for the identity endpoint, and the tokens that storage receives.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{AzureNames, AzureSettings, AzureStore, CommitError, StoreError, Table};
use mcp_scheduler::time::{Clock, MachineClock, SystemClock};
use tokio::net::TcpListener;

use crate::store::suite::HERE;

/// Starts a server on loopback that answers each request by a function of its path and headers.
async fn serve(answer: impl Fn(&str, &HeaderMap) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            let service = service_fn(move |request: Request<Incoming>| {
                let (status, body) = answer(&request.uri().to_string(), request.headers());
                let mut response = Response::new(Full::new(Bytes::from(body)));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                async { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

/// A clock that the test moves.
struct MovableClock(Mutex<Timestamp>);

impl MovableClock {
    fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = *now + time;
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl MachineClock for MovableClock {
    fn since_boot(&self) -> Duration {
        SystemClock.since_boot()
    }
}

/// An identity endpoint, a storage account that records the tokens it receives, and a table that uses both.
struct IdentityHarness {
    clock: Arc<MovableClock>,
    table: Arc<dyn Table>,
    /// The requests to the identity endpoint.
    asked: Arc<Mutex<Vec<String>>>,
    /// The authorization of each request to storage.
    shown: Arc<Mutex<Vec<String>>>,
    broken: Arc<Mutex<bool>>,
    /// The authorization that storage refuses.
    withdrawn: Arc<Mutex<String>>,
}

impl IdentityHarness {
    /// Tokens are valid for an hour. `expires` formats the end of that hour as the endpoint does.
    async fn new(client_id: Option<&str>, expires: fn(i64) -> String) -> Self {
        let clock = Arc::new(MovableClock(Mutex::new(SystemClock.now())));
        let (asked, shown) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let broken = Arc::new(Mutex::new(false));
        let (calendar, requests, is_broken) = (Arc::clone(&clock), Arc::clone(&asked), Arc::clone(&broken));
        let endpoint = serve(move |path, headers| {
            let mut requests = requests.lock().unwrap();
            requests.push(path.to_owned());
            if *is_broken.lock().unwrap() || headers.get("x-identity-header").is_none_or(|header| header != "canary") {
                return (500, "canary".to_owned());
            }
            let end = expires((calendar.now() + Duration::from_hours(1)).as_millis() / 1000);
            let token = format!("token-{}", requests.len());
            (200, format!(r#"{{"access_token":"{token}","expires_on":{end},"resource":"r","token_type":"Bearer"}}"#))
        })
        .await;
        let (kept, withdrawn) = (Arc::clone(&shown), Arc::<Mutex<String>>::default());
        let refused = Arc::clone(&withdrawn);
        let storage = serve(move |_, headers| {
            let authorization = headers["authorization"].to_str().unwrap();
            kept.lock().unwrap().push(authorization.to_owned());
            (if *refused.lock().unwrap() == authorization { 401 } else { 404 }, String::new())
        })
        .await;
        let settings = AzureSettings::from_vars(|name| match name {
            "AzureWebJobsStorage__tableServiceUri" | "AzureWebJobsStorage__queueServiceUri" => Some(storage.clone()),
            "AzureWebJobsStorage__credential" => Some("managedidentity".to_owned()),
            "AzureWebJobsStorage__clientId" => client_id.map(str::to_owned),
            "IDENTITY_ENDPOINT" => Some(format!("{endpoint}/msi/token")),
            "IDENTITY_HEADER" => Some("canary".to_owned()),
            _ => None,
        })
        .unwrap();
        let store = AzureStore::new(&settings, &AzureNames::default(), Arc::clone(&clock) as _).unwrap();
        Self { clock, table: store.conversations(), asked, shown, broken, withdrawn }
    }

    /// Reads a row, and returns the token of that request.
    async fn read(&self) -> Result<String, StoreError> {
        self.table.get(HERE, "k").await?;
        Ok(self.shown.lock().unwrap().last().unwrap().clone())
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn as_text(end: i64) -> String {
    format!("\"{end}\"")
}

#[tokio::test]
async fn the_system_s_identity_is_asked_for_by_resource_alone() {
    let place = IdentityHarness::new(None, as_text).await;
    assert_eq!(place.read().await.unwrap(), "Bearer token-1");
    let asked = place.asked.lock().unwrap().clone();
    assert_eq!(asked, ["/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com%2F"]);
}

#[tokio::test]
async fn an_identity_of_the_user_is_asked_for_by_its_client_id() {
    let place = IdentityHarness::new(Some("0000-1111"), |end| end.to_string()).await;
    assert_eq!(place.read().await.unwrap(), "Bearer token-1");
    assert!(place.asked.lock().unwrap()[0].ends_with("&client_id=0000-1111"));
}

#[tokio::test]
async fn a_token_is_kept_and_renewed_five_minutes_before_its_end() {
    let place = IdentityHarness::new(None, as_text).await;
    for _ in 0..3 {
        assert_eq!(place.read().await.unwrap(), "Bearer token-1");
    }
    place.clock.pass(Duration::from_mins(54));
    assert_eq!(place.read().await.unwrap(), "Bearer token-1");
    place.clock.pass(Duration::from_mins(1));
    assert_eq!(place.read().await.unwrap(), "Bearer token-2");
    assert_eq!(place.asked(), 2);
}

#[tokio::test]
async fn many_requests_at_once_ask_for_one_token() {
    let place = IdentityHarness::new(None, as_text).await;
    let reads = (0..16).map(|_| place.read());
    for read in futures_util::future::join_all(reads).await {
        assert_eq!(read.unwrap(), "Bearer token-1");
    }
    assert_eq!(place.asked(), 1);
}

#[tokio::test]
async fn a_token_that_storage_refuses_is_not_shown_again() {
    let place = IdentityHarness::new(None, as_text).await;
    place.read().await.unwrap();
    *place.withdrawn.lock().unwrap() = "Bearer token-1".to_owned();
    assert!(matches!(place.read().await, Err(StoreError::Unavailable(_))));
    assert_eq!(place.read().await.unwrap(), "Bearer token-2");
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let place = IdentityHarness::new(None, as_text).await;
    place.read().await.unwrap();
    *place.broken.lock().unwrap() = true;
    place.clock.pass(Duration::from_mins(56));
    for _ in 0..3 {
        assert_eq!(place.read().await.unwrap(), "Bearer token-1");
    }
    assert_eq!(place.asked(), 2, "not asked again with every request");
    place.clock.pass(Duration::from_secs(31));
    place.read().await.unwrap();
    assert_eq!(place.asked(), 3);
    *place.broken.lock().unwrap() = false;
    place.clock.pass(Duration::from_secs(31));
    assert_eq!(place.read().await.unwrap(), "Bearer token-4");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_store_is_unavailable() {
    let place = IdentityHarness::new(None, as_text).await;
    *place.broken.lock().unwrap() = true;
    let error = place.read().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    assert!(place.shown.lock().unwrap().is_empty());
    let insert = crate::store::suite::insert("k", "v");
    assert!(matches!(place.table.commit(HERE, vec![insert]).await, Err(CommitError::Unavailable(_))));
    // An expired token is not used.
    *place.broken.lock().unwrap() = false;
    place.read().await.unwrap();
    *place.broken.lock().unwrap() = true;
    place.clock.pass(Duration::from_hours(1));
    assert!(matches!(place.read().await, Err(StoreError::Unavailable(_))));
}
