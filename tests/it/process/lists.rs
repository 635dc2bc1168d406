//! Lists of many large conversations by the real process. Run by `make hold`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future, stream};
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;

use crate::support::client::http;
use crate::support::process_api::Api;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place};

const CONVERSATIONS: usize = 1700;
const BYTES: usize = 190_000;

/// Requests `/health` until it is told to stop. Returns the longest time that a request took.
async fn slowest_health(url: String, stop: Arc<AtomicBool>) -> Duration {
    let (http, mut slowest) = (http(), Duration::ZERO);
    while !stop.load(SeqCst) {
        let began = Instant::now();
        let health = http.get(format!("{url}/health")).send().await.unwrap();
        assert_eq!(health.status(), 200);
        slowest = slowest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes about a minute"]
async fn hold_lists_of_large_conversations() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let due = (SystemClock.now() + Duration::from_hours(24)).to_string();
    let conversation = json!({
        "conversationText": "x".repeat(BYTES), "scheduledTime": due, "endpoint": "https://example.com/hook",
    });
    let scheduled = stream::iter(0..CONVERSATIONS).map(|_| api.try_schedule_this(&conversation)).buffer_unordered(8);
    assert_eq!(scheduled.filter(|id| future::ready(id.is_some())).count().await, CONVERSATIONS);
    service.stop();
    for (query, times) in
        [("?limit=100", 1), ("?status=Failed&limit=1", 1), ("?status=Failed&limit=1", 4), ("?limit=100", 16)]
    {
        let service = place.start(&CONFIGURED);
        let api = Api::login(service.url(), CLIENT, KEY).await;
        // The memory of the start belongs to no list.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (before, stop) = (service.resident_kib(), Arc::new(AtomicBool::new(false)));
        let health = tokio::spawn(slowest_health(service.url().to_owned(), Arc::clone(&stop)));
        let began = Instant::now();
        let pages = future::join_all((0..times).map(|_| api.list(query))).await;
        let took = began.elapsed();
        stop.store(true, SeqCst);
        let (slowest, growth) = (health.await.unwrap(), service.peak_kib().saturating_sub(before));
        println!("{times} times {query}: {took:?}, {growth} KiB more, the slowest /health took {slowest:?}");
        let expected = if query.contains("status") { 0 } else { 100 };
        assert!(pages.iter().all(|page| page["conversations"].as_array().unwrap().len() == expected));
        assert!(took < Duration::from_secs(2), "{query}: {took:?}");
        assert!(growth < 32 * 1024, "{query}: {growth} KiB");
        assert!(slowest < Duration::from_millis(250), "{query}: /health took {slowest:?}");
        service.stop();
    }
}
