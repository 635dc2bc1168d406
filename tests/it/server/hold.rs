//! Thousands of hostile connections to the real process. Run by `make hold`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::hostile::Kind;
use crate::support::client::http;
use crate::support::process_api::Api;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place};

const CONNECTIONS: usize = 5000;
const ENDPOINT: &str = "https://example.com/hook";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes about a minute"]
async fn hold_five_thousand_hostile_connections_of_each_kind() {
    for kind in Kind::ALL {
        let place = Place::new();
        let service = place.start(&CONFIGURED);
        let address: SocketAddr = service.url().strip_prefix("http://").unwrap().parse().unwrap();
        let (before, anonymous) = (Api::login(service.url(), CLIENT, KEY).await, http());
        let mut hostile = Vec::new();
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            for _ in 0..CONNECTIONS / 20 {
                hostile.push(kind.open(address).await);
            }
            let began = Instant::now();
            let health =
                anonymous.get(format!("{}/health", service.url())).header("connection", "close").send().await.unwrap();
            slowest = slowest.max(began.elapsed());
            assert_eq!(health.status(), 200, "{kind:?}");
            before.schedule(Duration::from_hours(1), ENDPOINT).await;
        }
        let newcomer = Api::login(service.url(), CLIENT, KEY).await;
        newcomer.schedule(Duration::from_hours(1), ENDPOINT).await;
        let resident = service.resident_kib();
        println!("{kind:?}: the slowest /health took {slowest:?}, the process has {} MiB", resident / 1024);
        assert!(slowest < Duration::from_millis(250), "{kind:?}: /health took {slowest:?}");
        assert!(resident < 128 * 1024, "{kind:?}: the process has {resident} KiB");
        drop(hostile);
        service.stop();
    }
}
