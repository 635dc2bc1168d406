//! The timer's end: whatever it says, it is time to sweep.

use std::time::Duration;

use mcp_scheduler::store::Fault;
use serde_json::json;

use super::host::{Answer, Host};
use crate::deliver_conversation::stage::{NOON, Stage};

const HOUR: Duration = Duration::from_hours(1);

async fn tick(host: &Host) -> Answer {
    let timer = json!({ "Schedule": { "AdjustForDST": true }, "ScheduleStatus": null, "IsPastDue": false });
    let body = json!({ "Data": { "timer": timer }, "Metadata": { "sys": { "MethodName": "sweepDueConversations" } } });
    host.invoke("sweepDueConversations", body.to_string()).await
}

/// A conversation whose hint was lost, four minutes before its time.
async fn forgotten() -> Stage {
    let stage = Stage::new();
    stage.queue.set_luck(Fault::Refused);
    stage.schedule(HOUR, |_| ()).await;
    stage.queue.set_luck(Fault::None);
    stage.wait_until(NOON + HOUR + Duration::from_secs(30)).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_tick_of_the_timer_puts_the_wake_ups_that_are_missing() {
    let stage = forgotten().await;
    let before = stage.queue.puts().len();
    let answer = tick(&Host::of(&stage)).await;
    assert_eq!((answer.status, stage.queue.puts().len()), (200, before + 1));
    let line = "1 conversations due soon or overdue, the oldest overdue by 30 s; 1 wake-ups put; 0 messages in the poison queue";
    assert_eq!(answer.line(), line);
}

#[tokio::test(start_paused = true)]
async fn what_the_timer_says_does_not_matter() {
    for body in ["", "null", "{}", "not JSON", r#"{"Data":{}}"#, &"a".repeat(1024 * 1024)] {
        let stage = forgotten().await;
        let before = stage.queue.puts().len();
        let answer = Host::of(&stage).invoke("sweepDueConversations", body.to_owned()).await;
        assert_eq!((answer.status, stage.queue.puts().len()), (200, before + 1), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_fails_is_seen_to_have_failed() {
    let stage = forgotten().await;
    stage.table.is_down(true);
    assert_eq!(tick(&Host::of(&stage)).await.status, 500);
    stage.table.is_down(false);
    assert_eq!(tick(&Host::of(&stage)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_does_not_end_is_left_to_the_next_before_the_host_ends_the_process() {
    let stage = forgotten().await;
    stage.table.next_call_takes(HOUR);
    let began = stage.now();
    let answer = tick(&Host::of(&stage)).await;
    assert_eq!((answer.status, began.until(stage.now())), (200, Duration::from_mins(4)));
    let line = tick(&Host::of(&stage)).await.line();
    assert!(line.starts_with("1 conversations due soon or overdue, ") && line.contains("; 1 wake-ups put; "), "{line}");
}
