//! SIGTERM and SIGINT: work in flight is finished, and everything else is kept for the next start.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::process_api::Api;
use crate::support::recording_receiver::Receiver;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_delivery_in_flight_finish() {
    a_delivery_in_flight_is_finished_on("TERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_lets_a_delivery_in_flight_finish() {
    a_delivery_in_flight_is_finished_on("INT").await;
}

async fn a_delivery_in_flight_is_finished_on(signal: &str) {
    let place = Place::new();
    let receiver = Receiver::start(Duration::from_secs(2)).await;
    let mut service = place.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let now = api.schedule(Duration::ZERO, &receiver.endpoint).await;
    let later = api.schedule(Duration::from_secs(6), &receiver.endpoint).await;
    assert!(receiver.wait(Duration::from_secs(30), |arrivals| !arrivals.is_empty()).await);
    service.signal(signal);
    let status = tokio::task::block_in_place(|| service.wait());
    assert_eq!(status.code(), Some(0), "{}", service.stderr());

    let service = place.start(&CONFIGURED);
    let api = api.at(service.url());
    let record = api.status(&now).await;
    assert_eq!(record["status"], "Completed", "{record}");
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    api.completed(&later, Duration::from_secs(30)).await;
    let times = |id: &str| receiver.arrivals().iter().filter(|arrival| arrival.id == id).count();
    assert_eq!((times(&now), times(&later)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_at_a_stop_is_answered_and_stored() {
    let place = Place::new();
    let mut service = place.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let body = json!({
        "conversationText": "hello", "scheduledTime": "2030-01-01T00:00:00Z", "endpoint": "http://127.0.0.1:9/",
    })
    .to_string();
    let host = service.url().strip_prefix("http://").unwrap().to_owned();
    let mut idle = TcpStream::connect(&host).await.unwrap();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "POST /api/scheduler/schedule HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        api.token(),
        body.len(),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    wait_until_it_reads_on(&mut stream).await;
    service.signal("TERM");
    wait_until_refused(&host).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let status = tokio::task::block_in_place(|| service.wait());
    assert_eq!(status.code(), Some(0), "{}", service.stderr());
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0, "the idle connection was closed");

    let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let service = place.start(&CONFIGURED);
    let record = api.at(service.url()).status(answer["conversationId"].as_str().unwrap()).await;
    assert_eq!(record["status"], "Scheduled");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts_lose_nothing() {
    let place = Place::new();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let service = place.start(&CONFIGURED);
        let api = Api::login(service.url(), CLIENT, KEY).await;
        ids.push(api.schedule(Duration::from_hours(1), "http://127.0.0.1:9/").await);
        service.stop();
    }
    let service = place.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    for id in &ids {
        assert_eq!(api.status(id).await["status"], "Scheduled");
    }
}

#[test]
fn it_can_be_stopped_as_soon_as_it_listens() {
    let place = Place::new();
    for _ in 0..20 {
        place.start(&CONFIGURED).stop();
    }
}

/// Waits for 100 Continue, which says that the service reads the body.
async fn wait_until_it_reads_on(stream: &mut TcpStream) {
    let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut sign = vec![0; expected.len()];
    stream.read_exact(&mut sign).await.unwrap();
    assert_eq!(sign, expected);
}

/// Waits until the service refuses new connections, which it does once it is stopping.
async fn wait_until_refused(host: &str) {
    for _ in 0..500 {
        if TcpStream::connect(host).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still accepting connections");
}
