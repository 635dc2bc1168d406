//! The service on a storage account, without a Functions host: its own worker on the storage queue.

use std::time::Duration;

use mcp_scheduler::time::{Clock as _, SystemClock};

use crate::support::azurite::{self, Azurite};
use crate::support::process_api::Api;
use crate::support::recording_receiver::Receiver;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service, names};

const PATIENCE: Duration = Duration::from_secs(30);

fn start(place: &Place, connection: &str) -> Service {
    let on_azure = [
        ("USE_AZURE_SERVICES", "true"),
        ("RATE_LIMIT_PER_SECOND", "0"),
        ("AzureWebJobsStorage", connection),
        ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("RUST_LOG", "trace"),
    ];
    place.start(&[&CONFIGURED[..], &on_azure].concat())
}

/// Asserts that no signature and no account key is in the logs, at the most detailed level.
fn assert_discreet(service: &Service) {
    let log = service.stderr();
    for secret in ["SharedKey ", azurite::KEY, KEY] {
        assert!(!log.to_ascii_lowercase().contains(&secret.to_ascii_lowercase()), "{secret:?} is in the log");
    }
}

// Each test has its own Azurite, because the service fixes the names of its tables and its queue.

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_arrives_at_its_time_and_no_data_is_on_this_machine() {
    let (azurite, place) = (Azurite::start(), Place::new());
    let service = start(&place, &azurite.connection_string());
    let receiver = Receiver::start(Duration::ZERO).await;
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let now = SystemClock.now();
    let mut ids = Vec::new();
    for after in [0, 900, 2_300, 4_000] {
        let due = now + Duration::from_millis(after);
        ids.push(api.try_schedule(due, &receiver.endpoint).await.expect("not accepted"));
    }
    assert!(receiver.wait(PATIENCE, |arrivals| arrivals.len() == 4).await, "{}", service.stderr());
    for arrival in receiver.arrivals() {
        assert!(arrival.at >= arrival.scheduled, "early: {arrival:?}");
        let late = arrival.scheduled.until(arrival.at);
        assert!(late < Duration::from_secs(10), "{late:?} late, so a sweep found it: {arrival:?}");
    }
    for id in &ids {
        assert_eq!(api.completed(id, PATIENCE).await["attempts"].as_array().unwrap().len(), 1);
    }
    assert_discreet(&service);
    service.stop();
    assert!(names(&place.cwd()).is_empty(), "the state is in the account");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conversations_of_a_killed_service_are_delivered_by_the_next_one() {
    let (azurite, place) = (Azurite::start(), Place::new());
    let mut first = start(&place, &azurite.connection_string());
    let receiver = Receiver::start(Duration::ZERO).await;
    let api = Api::login(first.url(), CLIENT, KEY).await;
    let id = api.schedule(Duration::from_secs(4), &receiver.endpoint).await;
    first.kill();
    let second = start(&place, &azurite.connection_string());
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", second.stderr());
    assert_eq!(api.at(second.url()).completed(&id, PATIENCE).await["attempts"].as_array().unwrap().len(), 1);
    second.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_storage_succeeds_and_is_not_ready() {
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let place = Place::new();
    let service = start(&place, &azurite::connection_string(nobody, nobody));
    let status = async |path: &str| {
        crate::support::client::http().get(format!("{}{path}", service.url())).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/health").await, 200);
    assert_eq!(status("/health/ready").await, 503);
    // The configured client gets a token without storage.
    let api = Api::login(service.url(), CLIENT, KEY).await;
    assert_eq!(api.try_schedule(SystemClock.now(), "http://127.0.0.1:1/").await, None);
    assert_discreet(&service);
    service.stop();
}
