//! `sweepDueConversations`: each call of the timer is a sweep, whatever its body is.

use std::time::Duration;

use mcp_scheduler::domain::Status;
use mcp_scheduler::store::{DueKey, WakeUp};
use mcp_scheduler::testing::Fault;
use serde_json::json;

use crate::support::delivery_harness::DeliveryHarness;
use crate::support::invocations::{Answer, Host};

const HOUR: Duration = Duration::from_hours(1);

async fn tick(host: &Host) -> Answer {
    let timer = json!({ "Schedule": { "AdjustForDST": true }, "ScheduleStatus": null, "IsPastDue": false });
    let body = json!({ "Data": { "timer": timer }, "Metadata": { "sys": { "MethodName": "sweepDueConversations" } } });
    host.invoke("sweepDueConversations", body.to_string()).await
}

/// A harness with one conversation that is overdue by half a minute, because nobody has swept, and one that is due soon.
async fn overdue() -> (DeliveryHarness, DueKey) {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(HOUR, |_| ()).await;
    harness.schedule(HOUR + Duration::from_mins(2), |_| ()).await;
    harness.wait_until(due.at + Duration::from_secs(30)).await;
    (harness, due)
}

/// The wake-ups that name seconds.
fn slots(harness: &DeliveryHarness) -> usize {
    harness.queue.enqueued().iter().filter(|enqueued| matches!(enqueued.wake_up, WakeUp::Slot(_))).count()
}

#[tokio::test(start_paused = true)]
async fn the_timer_enqueues_wake_ups_and_runs_what_is_overdue() {
    let (harness, due) = overdue().await;
    let answer = tick(&Host::of(&harness)).await;
    assert_eq!((answer.status, slots(&harness)), (200, 1));
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
    assert_eq!(
        answer.line(),
        r#"{"message":"swept","scheduler.sweep.enqueued":1,"scheduler.sweep.overdue":30,"scheduler.poison_queue.length":0}"#
    );
}

#[tokio::test(start_paused = true)]
async fn the_sweep_runs_whatever_the_timer_sends() {
    for body in ["", "null", "{}", "not JSON", r#"{"Data":{}}"#, &"a".repeat(1024 * 1024)] {
        let (harness, due) = overdue().await;
        let answer = Host::of(&harness).invoke("sweepDueConversations", body.to_owned()).await;
        assert_eq!((answer.status, slots(&harness)), (200, 1), "{answer:?}");
        assert_eq!(harness.read(due.id).await.status(), Status::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_fails_is_answered_with_500() {
    let (harness, due) = overdue().await;
    let host = Host::of(&harness);
    host.have_looked_in_vain(&harness).await;
    harness.table.set_down(true);
    assert_eq!(tick(&host).await.status, 500);
    harness.table.set_down(false);
    harness.queue.set_fault(Fault::Refused);
    assert_eq!(tick(&host).await.status, 500, "the wake-ups were not enqueued");
    harness.queue.set_fault(Fault::None);
    assert_eq!((tick(&host).await.status, slots(&harness)), (200, 2));
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_stops_before_the_timeout_of_its_function() {
    let (harness, due) = overdue().await;
    let host = Host::of(&harness);
    host.have_looked().await;
    harness.table.next_call_takes(HOUR);
    let began = harness.now();
    let answer = tick(&host).await;
    assert_eq!((answer.status, began.until(harness.now())), (200, Duration::from_mins(4)));
    assert!(answer.line().starts_with("stopped at the time limit of a sweep"), "{answer:?}");
    assert_eq!(tick(&host).await.status, 200);
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}
