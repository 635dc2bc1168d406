//! The sweep finds by time what no wake-up has woken, and is sparing with wake-ups.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_scheduler::domain::{State, Status, Timestamp};
use mcp_scheduler::maintenance::SweepReport;
use mcp_scheduler::store::MemoryQueue;
use mcp_scheduler::store::WakeUp;
use mcp_scheduler::testing::{Fault, Faults, SimulatedQueue};

use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn counts(swept: SweepReport) -> (usize, usize) {
    (swept.seen, swept.enqueued)
}

/// Sweeps once a minute, as the worker and the timer do.
async fn sweep_for(harness: &DeliveryHarness, minutes: u32) -> Vec<SweepReport> {
    let sweeper = harness.sweeper();
    let mut swept = Vec::new();
    for _ in 0..minutes {
        swept.push(sweeper.sweep().await.unwrap());
        tokio::time::sleep(MINUTE).await;
    }
    swept
}

/// When wake-ups were put for a conversation, in seconds after an instant.
fn hinted_at(harness: &DeliveryHarness, wake_up: &WakeUp, since: Timestamp) -> Vec<u64> {
    harness.queue.puts().iter().filter(|put| put.wake_up == *wake_up).map(|put| since.until(put.at).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_lies_beyond_the_queues_horizon_is_hinted_once_and_in_time() {
    for days in [8, 400] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(days * DAY, |_| ()).await;
        assert!(harness.queue.puts().is_empty(), "a storage queue keeps nothing for {days} days");
        // The half minute keeps the sweeps clear of the attempt, whose lease they would wake-up as well.
        harness.wait_until(NOON + days * DAY - 20 * MINUTE - MINUTE / 2).await;
        let worker = harness.start_worker();
        tokio::time::sleep(30 * MINUTE).await;
        let puts = harness.queue.puts();
        assert_eq!(puts.len(), 1);
        assert!((4 * MINUTE..=5 * MINUTE).contains(&puts[0].delay), "{:?} ahead", puts[0].delay);
        let calls = harness.endpoint.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].at, NOON + days * DAY);
        assert_eq!(harness.read(wake_up.id).await.status(), Status::Completed);
        worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_was_hinted_is_left_alone_until_it_is_overdue() {
    let harness = DeliveryHarness::new();
    harness.schedule(4 * MINUTE, |_| ()).await;
    let swept = sweep_for(&harness, 4).await;
    assert!(swept.iter().all(|s| counts(*s) == (1, 0)), "{swept:?}");
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(harness.sweeper().sweep().await.unwrap().enqueued, 0, "it may still be on its way");
    tokio::time::sleep(SECOND).await;
    assert_eq!(harness.sweeper().sweep().await.unwrap().enqueued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_is_put_again_ever_more_rarely() {
    let harness = DeliveryHarness::new();
    harness.queue.set_luck(Fault::RequestLost);
    let wake_up = harness.schedule(30 * SECOND, |_| ()).await;
    let due = NOON + 30 * SECOND;
    sweep_for(&harness, 60).await;
    let enqueued_at = hinted_at(&harness, &wake_up, due);
    // At its scheduling; after the grace of 20 s, at the next sweep; then 1, 2, 4, 8, 10, 10 ... minutes
    // later, each at the first sweep after that.
    assert_eq!(enqueued_at[..2], [0, 30]);
    let pauses: Vec<u64> = enqueued_at[1..].windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
    assert_eq!(pauses, [2, 3, 5, 9, 11, 11, 11]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_delays_the_delivery_by_no_more_than_the_grace_and_a_sweep() {
    for luck in [Fault::RequestLost, Fault::Refused] {
        let harness = DeliveryHarness::new();
        harness.queue.set_luck(luck);
        harness.schedule(30 * SECOND, |_| ()).await;
        harness.queue.set_luck(Fault::None);
        harness.start_worker();
        tokio::time::sleep(5 * MINUTE).await;
        let late = (NOON + 30 * SECOND).until(harness.endpoint.calls()[0].at);
        assert!(late <= 81 * SECOND, "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_overdue_conversations_cause_no_storm_of_hints() {
    let harness = DeliveryHarness::new();
    harness.queue.set_luck(Fault::RequestLost);
    for _ in 0..1000 {
        harness.schedule(MINUTE, |_| ()).await;
    }
    sweep_for(&harness, 60).await;
    let puts = harness.queue.puts().len();
    assert!((8_000..=9_000).contains(&puts), "{puts} wake-ups in an hour, of which 1,000 at the scheduling");
}

#[tokio::test(start_paused = true)]
async fn a_refused_hint_is_not_noted_and_put_again_by_the_next_sweep() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(8 * DAY, |_| ()).await;
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    harness.queue.set_luck(Fault::Refused);
    assert!(harness.sweeper().sweep().await.is_err());
    harness.queue.set_luck(Fault::None);
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (1, 1));
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (1, 0));
    assert_eq!(hinted_at(&harness, &wake_up, NOON).len(), 2);
}

/// A queue that takes a second for every wake-up and refuses some.
struct SlowQueue {
    refuses_every: usize,
    asked: AtomicUsize,
}

impl Faults for SlowQueue {
    fn next(&self) -> Fault {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if nth.is_multiple_of(self.refuses_every) { Fault::Refused } else { Fault::None }
    }

    fn latency(&self) -> Duration {
        SECOND
    }
}

async fn with_a_slow_queue(refuses_every: usize) -> DeliveryHarness {
    let queue = SlowQueue { refuses_every, asked: AtomicUsize::new(0) };
    let harness = DeliveryHarness::with_queue(SimulatedQueue::new(queue));
    for _ in 0..320 {
        harness.schedule(8 * DAY, |_| ()).await;
    }
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    harness
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_hinted_faster_than_one_after_another() {
    let harness = with_a_slow_queue(usize::MAX).await;
    let began = harness.now();
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (320, 320));
    assert!(began.until(harness.now()) < 60 * SECOND, "{:?} for 320 wake-ups of a second", began.until(harness.now()));
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_refused_does_not_take_the_others_from_the_record() {
    let harness = with_a_slow_queue(10).await;
    assert!(harness.sweeper().sweep().await.is_err());
    let mut sweeps = 1;
    while harness.sweeper().sweep().await.is_err() {
        sweeps += 1;
        assert!(sweeps < 10, "every sweep gets further than the one before it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_fails_does_not_keep_the_others_waiting() {
    let harness = DeliveryHarness::new();
    for _ in 0..64 {
        harness.schedule(8 * DAY, |_| ()).await;
    }
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    harness.table.next_calls(&[Fault::Refused]);
    assert!(harness.sweeper().sweep().await.is_err());
    assert!(harness.queue.puts().len() > 32);
    harness.sweeper().sweep().await.unwrap();
    assert_eq!(harness.queue.puts().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn final_conversations_are_neither_seen_nor_hinted() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200)]);
    let done = harness.schedule(Duration::ZERO, |_| ()).await;
    let cancelled = harness.schedule(MINUTE, |_| ()).await;
    harness.deliverer().deliver(&done).await.unwrap();
    harness.scheduler.cancel(&harness.client, cancelled.id).await.unwrap();
    assert!(sweep_for(&harness, 30).await.iter().all(|s| *s == SweepReport::default()));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_races_a_completion_does_not_bring_the_conversation_back() {
    // The sweep has read the due row of an attempt that is in flight; the attempt ends before the
    // sweep notes its wake-up.
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200).after(10 * SECOND)]);
    let wake_up = harness.schedule(Duration::ZERO, |_| ()).await;
    let (deliverer, held) = (harness.deliverer(), wake_up.clone());
    let delivery = tokio::spawn(async move { deliverer.deliver(&held).await });
    tokio::time::sleep(SECOND).await;
    let partition = mcp_scheduler::store::ConversationStore::partitions()
        .find(|p| wake_up.id.to_string().ends_with(p.as_str()))
        .unwrap();
    let seen = harness.store.due(partition, harness.now() + 5 * MINUTE, None, 10).await.unwrap();
    assert_eq!(seen.len(), 1);
    delivery.await.unwrap().unwrap();
    let note = mcp_scheduler::store::DueNote { enqueued_at: Some(harness.now()), ..seen[0].note };
    assert!(harness.store.note_wake_ups(partition, &[(seen[0].clone(), note)]).await.is_err());
    assert!(harness.due_rows().await.is_empty());
    assert_eq!(*harness.read(wake_up.id).await.state(), State::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_changed_meanwhile_does_not_fail_the_sweep() {
    let harness = DeliveryHarness::new();
    harness.schedule(8 * DAY, |_| ()).await;
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    // Two sweepers read the same row before either has noted its wake-up.
    for _ in 0..40 {
        harness.table.next_call_takes(SECOND);
    }
    let (one, other) = (harness.sweeper(), harness.sweeper());
    let (one, other) = tokio::join!(one.sweep(), other.sweep());
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(harness.sweeper().sweep().await.unwrap().enqueued, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_queue_in_memory_is_filled_again_at_once() {
    let harness = DeliveryHarness::in_one_process();
    for minutes in [1, 2, 4] {
        harness.schedule(minutes * MINUTE, |_| ()).await;
    }
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (3, 0));
    harness.queue.restart(MemoryQueue::new(harness.now()));
    harness.start_worker();
    tokio::time::sleep(4 * MINUTE).await;
    let calls = harness.endpoint.calls();
    let due: Vec<_> = [1, 2, 4].map(|minutes| NOON + minutes * MINUTE).into();
    assert_eq!(calls.iter().map(|call| call.at).collect::<Vec<_>>(), due);
    assert_eq!(harness.queue.puts().len(), 6, "three at the scheduling, three after the restart");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_beyond_a_memory_queues_horizon_is_delivered_on_time_too() {
    let harness = DeliveryHarness::in_one_process();
    harness.start_worker();
    harness.schedule(90 * MINUTE, |_| ()).await;
    assert!(harness.queue.puts().is_empty());
    tokio::time::sleep(91 * MINUTE).await;
    assert_eq!(harness.endpoint.calls()[0].at, NOON + 90 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_read_page_by_page_to_its_end() {
    let harness = DeliveryHarness::new();
    let mut in_one = 0;
    // Ids are random in their last digit: schedule until one partition holds 1,200.
    while in_one < 1200 {
        let wake_up = harness.schedule(8 * DAY, |_| ()).await;
        if wake_up.id.partition() == 7 {
            in_one += 1;
        } else {
            harness.scheduler.cancel(&harness.client, wake_up.id).await.unwrap();
        }
    }
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (1200, 1200));
    assert_eq!(harness.queue.puts().len(), 1200);
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (1200, 0));
}
