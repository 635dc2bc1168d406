//! The clock that learns from the dates of responses.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{AzureNames, AzureStore, StoreError, WakeUpQueue as _};
use mcp_scheduler::time::{Clock, MachineClock, MachineOffset, SystemClock, machine_offset};

use crate::store::suite::HERE;
use crate::support::azurite;
use crate::support::receiver::{Receiver, Reply};

const HOUR: Duration = Duration::from_hours(1);

/// A machine whose clock is an hour fast.
struct Fast;

impl Clock for Fast {
    fn now(&self) -> Timestamp {
        SystemClock.now() + HOUR
    }
}

impl MachineClock for Fast {
    fn since_boot(&self) -> Duration {
        SystemClock.since_boot()
    }
}

fn assert_knows_the_time(store: &AzureStore) {
    let (clock, right) = (store.clock(), SystemClock.now());
    assert!(clock.is_known());
    assert!(clock.now() <= right && right <= clock.latest(), "{} <= {right} <= {}", clock.now(), clock.latest());
    assert!(clock.now().until(clock.latest()) < Duration::from_secs(3));
    assert!(matches!(machine_offset(&*clock), Some(MachineOffset::Ahead(offset)) if offset > HOUR / 2));
}

#[tokio::test]
async fn the_tables_and_the_queue_tell_the_time_whatever_their_response_is() {
    let string = azurite::azurite().connection_string();
    for number in 0..3 {
        let names = AzureNames { wake_ups: format!("clock-{number}"), ..AzureNames::default() };
        let store = azurite::store_under(&string, &names, Arc::new(Fast));
        assert!(!store.clock().is_known());
        match number {
            0 => drop(store.conversations().get(HERE, "unknown").await.unwrap()),
            1 => assert_eq!(store.wake_ups().poison_queue_length().await.unwrap(), 0),
            _ => store.create().await.unwrap(),
        }
        assert_knows_the_time(&store);
    }
}

/// Storage refuses a request whose date is more than 15 minutes wrong.
#[tokio::test]
async fn a_machine_with_a_wrong_clock_dates_its_requests_by_the_storage_after_the_first_refusal() {
    let right = SystemClock.now() + HOUR;
    let date = |status| Reply::status(status).header("date", &http_date(right));
    let storage = Receiver::start([date(403), date(404)]).await;
    let (account, key, url) = (azurite::ACCOUNT, azurite::KEY, storage.url("/account"));
    let string = format!("AccountName={account};AccountKey={key};TableEndpoint={url};QueueEndpoint={url}");
    let store = azurite::store_under(&string, &AzureNames::default(), Arc::new(SystemClock));
    let table = store.conversations();
    assert!(matches!(table.get(HERE, "k").await, Err(StoreError::Unavailable(_))));
    assert_eq!(table.get(HERE, "k").await.unwrap(), None);
    let dates: Vec<_> = storage.received().iter().map(|request| read(&request.headers["x-ms-date"])).collect();
    assert!(dates[0] < right - HOUR / 2, "nobody has told it the time: {}", dates[0]);
    assert!(dates[1].until(right) < Duration::from_secs(3), "{}", dates[1]);
}

fn http_date(time: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Timestamp::MIN.until(time))
}

fn read(date: &HeaderValue) -> Timestamp {
    let date = httpdate::parse_http_date(date.to_str().unwrap()).unwrap();
    Timestamp::MIN + date.duration_since(UNIX_EPOCH).unwrap()
}
