//! A host whose timer never fires. Whoever is awake sweeps instead, and the dead man's switch wakes a host that is asleep.

use std::sync::Arc;

use mcp_scheduler::delivery::WakeUpHandler;
use mcp_scheduler::store::WakeUpReceiver as _;
use mcp_scheduler::testing::Fault;

use super::*;

/// Handles the messages of the queue and never sweeps by itself. This is what a host does whose timer is dead.
fn start_host(harness: &DeliveryHarness) -> Arc<WakeUpHandler> {
    let (handler, queue) = (harness.handler(), Arc::clone(&harness.queue));
    let host = Arc::clone(&handler);
    tokio::spawn(async move {
        loop {
            for received in queue.receive(32).await.unwrap() {
                let (host, queue) = (Arc::clone(&host), Arc::clone(&queue));
                tokio::spawn(async move {
                    if host.handle(&received.wake_up).await.is_ok() {
                        queue.delete(&received).await.unwrap();
                    }
                });
            }
        }
    });
    handler
}

/// Conversations of three hours, one every 47 seconds, in all partitions.
async fn add_many(harness: &DeliveryHarness) -> Vec<DueKey> {
    let mut added = Vec::new();
    for (step, number) in (1..230).zip((0..16).cycle()) {
        added.extend(add(harness, number, NOON + 5 * MINUTE + 47 * step * SECOND, 1).await);
    }
    added
}

/// How late each conversation was, in the order of their times.
fn lateness(harness: &DeliveryHarness) -> Vec<(Timestamp, Duration)> {
    let calls = harness.endpoint.calls();
    let mut late: Vec<_> = calls.iter().map(|call| (call.record.due(), call.record.due().until(call.at))).collect();
    late.sort_unstable();
    late
}

fn latest(harness: &DeliveryHarness) -> Duration {
    lateness(harness).into_iter().map(|(_, late)| late).max().unwrap()
}

/// A client calls every 20 seconds.
async fn serve_requests(handler: &WakeUpHandler, time: Duration) {
    for _ in 0..time.as_secs() / 20 {
        handler.look();
        tokio::time::sleep(20 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_late_while_requests_come() {
    let harness = DeliveryHarness::new();
    let added = add_many(&harness).await;
    let handler = start_host(&harness);
    serve_requests(&handler, 4 * HOUR).await;
    assert!(each_was_called_once(&harness, &added));
    assert_eq!(latest(&harness), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_later_than_two_minutes_while_requests_come_although_every_wake_up_is_lost() {
    let harness = DeliveryHarness::new();
    let added = add_many(&harness).await;
    let handler = start_host(&harness);
    harness.queue.set_fault(Fault::RequestLost);
    serve_requests(&handler, 4 * HOUR).await;
    assert!(each_was_called_once(&harness, &added));
    // A sweep every two minutes at the latest, and the grace of ten seconds with the rest of a second.
    assert!(latest(&harness) <= 2 * MINUTE + 11 * SECOND, "{:?}", latest(&harness));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_later_than_15_minutes_while_nobody_calls() {
    let harness = DeliveryHarness::new();
    let added = add_many(&harness).await;
    // One sweep has sent the switch on its way.
    sweep(&harness).await;
    start_host(&harness);
    tokio::time::sleep(4 * HOUR).await;
    assert!(each_was_called_once(&harness, &added));
    assert!(latest(&harness) <= 15 * MINUTE, "{:?}", latest(&harness));
    let after_the_switch = lateness(&harness).into_iter().filter(|(due, _)| *due >= NOON + 20 * MINUTE);
    assert!(after_the_switch.map(|(_, late)| late).all(|late| late.is_zero()), "the switch comes every two minutes");
}

#[tokio::test(start_paused = true)]
async fn a_look_sweeps_only_while_the_marks_are_behind_and_once_a_minute() {
    let harness = DeliveryHarness::new();
    let handler = harness.handler();
    let looks = async |times: u32| {
        for _ in 0..times {
            handler.look();
            tokio::time::sleep(SECOND).await;
        }
    };
    looks(1).await;
    let first = marks(&harness).await;
    assert!(first.values().all(|mark| *mark == Slot::of(NOON + 3 * MINUTE)), "nobody has swept before");
    let rows = harness.table.calls();
    looks(59).await;
    assert_eq!(harness.table.calls(), rows, "not twice in a minute");
    looks(30).await;
    assert_eq!(harness.table.calls(), rows + 1, "the marks are 120 seconds ahead");
    assert_eq!(marks(&harness).await, first);
    looks(31).await;
    assert!(marks(&harness).await.values().all(|mark| *mark == Slot::of(NOON + 5 * MINUTE)), "60 seconds ahead");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_repeated_a_minute_later() {
    let harness = DeliveryHarness::new();
    let handler = harness.handler();
    harness.table.set_down(true);
    handler.look();
    tokio::time::sleep(SECOND).await;
    harness.table.set_down(false);
    handler.look();
    tokio::time::sleep(59 * SECOND).await;
    assert!(harness.store.watermark().await.unwrap().is_none());
    handler.look();
    tokio::time::sleep(SECOND).await;
    assert!(harness.store.watermark().await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn each_wake_up_but_the_switch_looks() {
    let id = "0189c0de-0000-7000-8000-000000000001".parse().unwrap();
    let of_release_1 = |harness: &DeliveryHarness| WakeUp::Conversation { client: harness.client.clone(), id };
    let of_slot = |_: &DeliveryHarness| WakeUp::of_slot(Slot::of(NOON), partitions([1]));
    for wake_up in [&of_release_1 as &dyn Fn(&DeliveryHarness) -> WakeUp, &of_slot] {
        let harness = DeliveryHarness::new();
        harness.handler().handle(&wake_up(&harness)).await.unwrap();
        tokio::time::sleep(SECOND).await;
        assert!(marks(&harness).await.values().all(|mark| *mark == Slot::of(NOON + 3 * MINUTE)));
    }
}
