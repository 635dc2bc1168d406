//! `sweepDueConversations`: each call of the timer is a sweep, whatever its body is.

use std::time::Duration;

use mcp_scheduler::testing::Fault;
use serde_json::json;

use crate::support::delivery_harness::{DeliveryHarness, NOON};
use crate::support::invocations::{Answer, Host};

const HOUR: Duration = Duration::from_hours(1);

async fn tick(host: &Host) -> Answer {
    let timer = json!({ "Schedule": { "AdjustForDST": true }, "ScheduleStatus": null, "IsPastDue": false });
    let body = json!({ "Data": { "timer": timer }, "Metadata": { "sys": { "MethodName": "sweepDueConversations" } } });
    host.invoke("sweepDueConversations", body.to_string()).await
}

/// A harness whose conversation is overdue by half a minute, because its wake-up was refused.
async fn overdue() -> DeliveryHarness {
    let harness = DeliveryHarness::new();
    harness.queue.set_fault(Fault::Refused);
    harness.schedule(HOUR, |_| ()).await;
    harness.queue.set_fault(Fault::None);
    harness.wait_until(NOON + HOUR + Duration::from_secs(30)).await;
    harness
}

#[tokio::test(start_paused = true)]
async fn the_timer_enqueues_missing_wake_ups() {
    let harness = overdue().await;
    let before = harness.queue.enqueued().len();
    let answer = tick(&Host::of(&harness)).await;
    assert_eq!((answer.status, harness.queue.enqueued().len()), (200, before + 1));
    let line = "1 conversations due soon or overdue, the oldest overdue by 30 s; 1 wake-ups enqueued; 0 messages in the poison queue";
    assert_eq!(answer.line(), line);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_runs_whatever_the_timer_sends() {
    for body in ["", "null", "{}", "not JSON", r#"{"Data":{}}"#, &"a".repeat(1024 * 1024)] {
        let harness = overdue().await;
        let before = harness.queue.enqueued().len();
        let answer = Host::of(&harness).invoke("sweepDueConversations", body.to_owned()).await;
        assert_eq!((answer.status, harness.queue.enqueued().len()), (200, before + 1), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_fails_is_answered_with_500() {
    let harness = overdue().await;
    harness.table.set_down(true);
    assert_eq!(tick(&Host::of(&harness)).await.status, 500);
    harness.table.set_down(false);
    assert_eq!(tick(&Host::of(&harness)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_stops_before_the_timeout_of_its_function() {
    let harness = overdue().await;
    harness.table.next_call_takes(HOUR);
    let began = harness.now();
    let answer = tick(&Host::of(&harness)).await;
    assert_eq!((answer.status, began.until(harness.now())), (200, Duration::from_mins(4)));
    let line = tick(&Host::of(&harness)).await.line();
    assert!(
        line.starts_with("1 conversations due soon or overdue, ") && line.contains("; 1 wake-ups enqueued; "),
        "{line}"
    );
}
