//! The limit per host: many deliveries to one host do not delay deliveries to other hosts.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::domain::Status;
use mcp_scheduler::store::DueKey;

use crate::support::delivery_harness::{Call, DeliveryHarness, NOON};

const SECOND: Duration = Duration::from_secs(1);

async fn schedule(harness: &DeliveryHarness, host: &str, ahead: Duration, count: usize) -> Vec<DueKey> {
    let endpoint = format!("https://{host}/hook");
    join_all((0..count).map(|_| harness.schedule(ahead, |request| request.endpoint = Some(endpoint.clone())))).await
}

fn calls_to(harness: &DeliveryHarness, host: &str) -> Vec<Call> {
    harness.endpoint.calls().into_iter().filter(|call| call.url.contains(host)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_host_gets_eight_requests_at_a_time_and_waiting_uses_no_attempt() {
    for make in [DeliveryHarness::new, DeliveryHarness::in_one_process] {
        let harness = make();
        harness.endpoint.set_latency("slow.example", 3 * SECOND);
        let all = schedule(&harness, "slow.example", SECOND, 100).await;
        harness.start();
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!(harness.endpoint.peak("slow.example"), 8);
        let calls = calls_to(&harness, "slow.example");
        assert_eq!(calls.len(), 100, "each is sent once");
        assert!(calls.iter().all(|call| call.at >= NOON + SECOND));
        for due in all {
            let conversation = harness.read(due.id).await;
            assert_eq!((conversation.status(), conversation.attempts().len()), (Status::Completed, 1));
            assert_eq!(conversation.attempts()[0].start.number, 1);
        }
        // 100 deliveries of 3 s, eight at a time, take 39 s. The pauses of postponed deliveries can double that.
        let last = calls.iter().map(|call| call.at).max().unwrap();
        assert!(NOON.until(last) < Duration::from_secs(80), "{last}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stalls_delays_no_other() {
    let harness = DeliveryHarness::in_one_process();
    harness.endpoint.set_latency("stalls.example", 30 * SECOND);
    // More than the worker handles at one time, and all of them are due before the others.
    schedule(&harness, "stalls.example", SECOND, 1500).await;
    for number in 0..1000_u32 {
        let ahead = 3 * SECOND + SECOND * number / 100;
        schedule(&harness, &format!("fast-{number}.example"), ahead, 1).await;
    }
    harness.start_follower();
    tokio::time::sleep(20 * SECOND).await;
    let fast = calls_to(&harness, "fast-");
    assert_eq!(fast.len(), 1000);
    let late = fast.iter().map(|call| call.record.due().until(call.at)).max().unwrap();
    assert!(late < Duration::from_millis(50), "{late:?}");
    assert_eq!(harness.endpoint.peak("stalls.example"), 8);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_deliveries_to_a_quick_host_are_not_postponed() {
    for make in [DeliveryHarness::new, DeliveryHarness::in_one_process] {
        let harness = make();
        harness.endpoint.set_latency("quick.example", Duration::from_millis(5));
        schedule(&harness, "quick.example", SECOND, 1000).await;
        harness.start();
        tokio::time::sleep(2 * SECOND).await;
        let calls = calls_to(&harness, "quick.example");
        assert_eq!(calls.len(), 1000);
        let late = calls.iter().map(|call| call.record.due().until(call.at)).max().unwrap();
        assert!(late < SECOND, "{late:?}: no delivery was refused a permit");
    }
}
