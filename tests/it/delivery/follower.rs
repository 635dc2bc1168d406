//! The follower starts each delivery at its time, whatever changes while it waits.

use std::time::Duration;

use mcp_scheduler::domain::{Outcome, Status};
use mcp_scheduler::store::{DueKey, KeyRange, Operation, Row, Table as _, Waker as _};
use mcp_scheduler::testing::Fault;
use tracing::Level;

use crate::support::captured_log::CapturedLog;
use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// How much later than its time each request was sent.
fn lateness(harness: &DeliveryHarness) -> Vec<Duration> {
    harness.endpoint.calls().iter().map(|call| call.record.due().until(call.at)).collect()
}

#[tokio::test(start_paused = true)]
async fn each_conversation_is_sent_at_its_time_also_if_an_earlier_one_comes_later() {
    let harness = DeliveryHarness::in_one_process();
    harness.start_follower();
    tokio::time::sleep(SECOND).await;
    // Each is earlier than the one for which the follower waits, and the last are due at once.
    for ahead in [HOUR, MINUTE, 10 * SECOND, 20 * MILLISECOND, MILLISECOND, Duration::ZERO] {
        harness.schedule(ahead, |_| ()).await;
    }
    let rest = [30 * SECOND, MINUTE, 2 * HOUR];
    for ahead in rest {
        harness.schedule(ahead, |_| ()).await;
    }
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(lateness(&harness), [Duration::ZERO; 9]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_conversations_are_each_sent_once_and_at_their_time() {
    let harness = DeliveryHarness::in_one_process();
    harness.start_follower();
    // Scheduled before and after the follower waits for them, in an order that is not that of their times.
    for number in 0..1000_u32 {
        let ahead = SECOND + MILLISECOND * (number * 7919 % 60_000);
        harness.schedule(ahead, |request| request.endpoint = Some(format!("https://host-{number}.example/"))).await;
        if number % 100 == 0 {
            tokio::time::sleep(10 * MILLISECOND).await;
        }
    }
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(lateness(&harness), vec![Duration::ZERO; 1000]);
}

#[tokio::test(start_paused = true)]
async fn a_start_finds_what_was_due_while_no_follower_ran() {
    let harness = DeliveryHarness::in_one_process();
    for ahead in [SECOND, MINUTE, HOUR] {
        harness.schedule(ahead, |_| ()).await;
    }
    harness.wait_until(NOON + HOUR + SECOND).await;
    harness.start_follower();
    tokio::time::sleep(SECOND).await;
    assert_eq!(harness.endpoint.calls().len(), 3);
}

/// Starts a follower whose delivery of this conversation waits, because its host is busy for 20 seconds.
async fn wait_for_host(harness: &DeliveryHarness) -> DueKey {
    harness.endpoint.will((0..8).map(|_| Answer::status(200).after(20 * SECOND)));
    for _ in 0..8 {
        harness.schedule(Duration::ZERO, |_| ()).await;
    }
    let due = harness.schedule(SECOND / 2, |_| ()).await;
    harness.start_follower();
    tokio::time::sleep(SECOND).await;
    assert_eq!(harness.endpoint.calls().len(), 8);
    due
}

#[tokio::test(start_paused = true)]
async fn a_row_that_gets_a_later_time_while_its_delivery_waits_is_sent_at_that_time() {
    let harness = DeliveryHarness::in_one_process();
    let due = wait_for_host(&harness).await;
    // An attempt that does not wait for the follower's permits fails.
    harness.endpoint.will([Answer::status(503).retry_after("3600")]);
    harness.deliverer().deliver(&due, None).await.unwrap();
    let later = harness.next_due(&due).await.unwrap();
    harness.wait_until(later.at - SECOND).await;
    assert_eq!(harness.endpoint.calls().len(), 9);
    tokio::time::sleep(2 * SECOND).await;
    let call = harness.endpoint.calls().pop().unwrap();
    assert_eq!((call.record.id(), call.at), (due.id, later.at));
    assert_eq!(harness.endpoint.calls().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_gets_an_earlier_time_is_sent_at_that_time() {
    let harness = DeliveryHarness::in_one_process();
    let due = wait_for_host(&harness).await;
    harness.lose_an_attempt(&due).await;
    let lease_end = harness.next_due(&due).await.unwrap();
    assert!(lease_end.at > NOON + MINUTE);
    harness.next_due.wake_at(due.partition(), lease_end.at).await;
    tokio::time::sleep(20 * SECOND).await;
    // The lease ends early, and the pause after the lost attempt follows.
    let read = harness.store.get(&due.client, due.id).await.unwrap().unwrap();
    let released = read.value.clone().release(harness.now()).unwrap();
    harness.store.replace(read.revision, &released).await.unwrap();
    harness.next_due.wake_at(due.partition(), harness.now()).await;
    tokio::time::sleep(7 * SECOND).await;
    let conversation = harness.read(due.id).await;
    let outcomes: Vec<_> = conversation.attempts().iter().map(|attempt| attempt.result.outcome).collect();
    assert_eq!((conversation.status(), outcomes), (Status::Completed, vec![Outcome::Unknown, Outcome::Success]));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_while_the_store_fails_is_delivered_when_it_is_back_and_only_once() {
    let harness = DeliveryHarness::in_one_process();
    harness.start_follower();
    for number in 0..20 {
        harness.schedule(SECOND / 2 * number, |_| ()).await;
    }
    harness.wait_until(NOON + 2 * SECOND + MILLISECOND).await;
    harness.table.set_down(true);
    tokio::time::sleep(6 * SECOND).await;
    let before = harness.endpoint.calls().len();
    assert_eq!(before, 5);
    harness.table.set_down(false);
    tokio::time::sleep(10 * SECOND).await;
    let calls = harness.endpoint.calls();
    assert_eq!(calls.len(), 20);
    assert!(calls[before..].iter().all(|call| call.record.due().until(call.at) < 12 * SECOND));
    assert!(harness.due_rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_every_third_call_to_the_store_fails() {
    for fault in [Fault::Refused, Fault::RequestLost, Fault::AnswerLost] {
        let harness = DeliveryHarness::in_one_process();
        let mut all = Vec::new();
        for number in 0..50 {
            all.push(harness.schedule(SECOND / 5 * number, |_| ()).await);
        }
        let faults: Vec<_> = [Fault::None, Fault::None, fault].into_iter().cycle().take(1000).collect();
        harness.table.next_calls(&faults);
        harness.start_follower();
        tokio::time::sleep(HOUR).await;
        harness.table.forget();
        for due in all {
            assert_eq!(harness.read(due.id).await.status(), Status::Completed, "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_delivery_panics_is_repeated_after_its_lease() {
    let harness = DeliveryHarness::in_one_process();
    harness.endpoint.will([Answer::status(200).meanwhile(|| panic!("a defect of the delivery"))]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let other = harness.schedule(SECOND, |_| ()).await;
    harness.start_follower();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(harness.read(other.id).await.status(), Status::Completed, "the follower goes on");
    harness.wait_until(NOON + MINUTE + 7 * SECOND).await;
    let conversation = harness.read(due.id).await;
    let outcomes: Vec<_> = conversation.attempts().iter().map(|attempt| attempt.result.outcome).collect();
    assert_eq!((conversation.status(), outcomes), (Status::Completed, vec![Outcome::Unknown, Outcome::Success]));
}

/// Writes a row of a conversation, below the storage protocol.
async fn write(harness: &DeliveryHarness, due: &DueKey, row: &Row, value: &str) {
    let change = Operation::Replace { key: row.key.clone(), value: value.to_owned(), if_match: None };
    harness.rows.commit(due.partition(), vec![change]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_cannot_be_read_is_tried_once_a_minute_and_delays_no_other() {
    let harness = DeliveryHarness::in_one_process();
    let due = harness.schedule(SECOND, |_| ()).await;
    let [main] = &*harness.rows.scan(due.partition(), &KeyRange::prefix("m~"), 2).await.unwrap() else { panic!() };
    write(&harness, &due, main, "{}").await;
    let (log, _guard) = CapturedLog::start(Level::ERROR);
    harness.start_follower();
    for number in 2..30 {
        harness.schedule(SECOND * number, |_| ()).await;
    }
    tokio::time::sleep(4 * MINUTE + 30 * SECOND).await;
    assert_eq!(lateness(&harness), [Duration::ZERO; 28]);
    assert_eq!(log.text().matches("the conversation cannot be delivered").count(), 5);
    write(&harness, &due, main, &main.value).await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}
