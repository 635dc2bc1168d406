//! The sweep finds due conversations whose wake-up is missing, and enqueues few wake-ups.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_scheduler::domain::{State, Status, Timestamp};
use mcp_scheduler::maintenance::SweepReport;
use mcp_scheduler::store::{MemoryQueue, WakeUp};
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

/// The times at which this wake-up was enqueued, in seconds after an instant.
fn enqueued_at_seconds(harness: &DeliveryHarness, wake_up: &WakeUp, since: Timestamp) -> Vec<u64> {
    harness
        .queue
        .enqueued()
        .iter()
        .filter(|enqueued| enqueued.wake_up == *wake_up)
        .map(|enqueued| since.until(enqueued.at).as_secs())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_conversation_beyond_the_horizon_of_the_queue_gets_one_wake_up_in_time() {
    for days in [8, 400] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(days * DAY, |_| ()).await;
        assert!(harness.queue.enqueued().is_empty(), "a storage queue keeps nothing for {days} days");
        // The half minute keeps the sweeps away from the attempt: they would enqueue a wake-up for its lease.
        harness.wait_until(NOON + days * DAY - 20 * MINUTE - MINUTE / 2).await;
        let worker = harness.start_worker();
        tokio::time::sleep(30 * MINUTE).await;
        let enqueued = harness.queue.enqueued();
        assert_eq!(enqueued.len(), 1);
        assert!((4 * MINUTE..=5 * MINUTE).contains(&enqueued[0].delay), "{:?} ahead", enqueued[0].delay);
        let calls = harness.endpoint.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].at, NOON + days * DAY);
        assert_eq!(harness.read(wake_up.id).await.status(), Status::Completed);
        worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn no_second_wake_up_is_enqueued_until_a_conversation_is_overdue() {
    let harness = DeliveryHarness::new();
    harness.schedule(4 * MINUTE, |_| ()).await;
    let swept = sweep_for(&harness, 4).await;
    assert!(swept.iter().all(|s| counts(*s) == (1, 0)), "{swept:?}");
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(harness.sweeper().sweep().await.unwrap().enqueued, 0, "the first wake-up may still arrive");
    tokio::time::sleep(SECOND).await;
    assert_eq!(harness.sweeper().sweep().await.unwrap().enqueued, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_wake_up_is_enqueued_again_after_longer_and_longer_pauses() {
    let harness = DeliveryHarness::new();
    harness.queue.set_fault(Fault::RequestLost);
    let wake_up = harness.schedule(30 * SECOND, |_| ()).await;
    let due = NOON + 30 * SECOND;
    sweep_for(&harness, 60).await;
    let enqueued_at = enqueued_at_seconds(&harness, &wake_up, due);
    // The first wake-up is enqueued at the scheduling, the second by the first sweep after the grace of 20 s, and each
    // later one by the first sweep after a pause of 1, 2, 4, 8, 10, 10 ... minutes.
    assert_eq!(enqueued_at[..2], [0, 30]);
    let pauses: Vec<u64> = enqueued_at[1..].windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
    assert_eq!(pauses, [2, 3, 5, 9, 11, 11, 11]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_wake_up_delays_the_delivery_by_at_most_the_grace_and_one_sweep() {
    for fault in [Fault::RequestLost, Fault::Refused] {
        let harness = DeliveryHarness::new();
        harness.queue.set_fault(fault);
        harness.schedule(30 * SECOND, |_| ()).await;
        harness.queue.set_fault(Fault::None);
        harness.start_worker();
        tokio::time::sleep(5 * MINUTE).await;
        let late = (NOON + 30 * SECOND).until(harness.endpoint.calls()[0].at);
        assert!(late <= 81 * SECOND, "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_overdue_conversations_get_few_wake_ups() {
    let harness = DeliveryHarness::new();
    harness.queue.set_fault(Fault::RequestLost);
    for _ in 0..1000 {
        harness.schedule(MINUTE, |_| ()).await;
    }
    sweep_for(&harness, 60).await;
    let enqueued = harness.queue.enqueued().len();
    assert!((8_000..=9_000).contains(&enqueued), "{enqueued} wake-ups in an hour, of which 1,000 at the scheduling");
}

#[tokio::test(start_paused = true)]
async fn a_refused_wake_up_is_not_noted_and_is_enqueued_by_the_next_sweep() {
    let harness = DeliveryHarness::new();
    let wake_up = harness.schedule(8 * DAY, |_| ()).await;
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    harness.queue.set_fault(Fault::Refused);
    assert!(harness.sweeper().sweep().await.is_err());
    harness.queue.set_fault(Fault::None);
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (1, 1));
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (1, 0));
    assert_eq!(enqueued_at_seconds(&harness, &wake_up, NOON).len(), 2);
}

/// A queue that needs a second for each wake-up and refuses some of them.
struct SlowQueue {
    refuses_every: usize,
    calls: AtomicUsize,
}

impl Faults for SlowQueue {
    fn next(&self) -> Fault {
        let nth = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if nth.is_multiple_of(self.refuses_every) { Fault::Refused } else { Fault::None }
    }

    fn latency(&self) -> Duration {
        SECOND
    }
}

async fn with_slow_queue(refuses_every: usize) -> DeliveryHarness {
    let queue = SlowQueue { refuses_every, calls: AtomicUsize::new(0) };
    let harness = DeliveryHarness::with_queue(SimulatedQueue::new(queue));
    for _ in 0..320 {
        harness.schedule(8 * DAY, |_| ()).await;
    }
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    harness
}

#[tokio::test(start_paused = true)]
async fn a_sweep_enqueues_the_wake_ups_of_a_backlog_concurrently() {
    let harness = with_slow_queue(usize::MAX).await;
    let began = harness.now();
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (320, 320));
    assert!(began.until(harness.now()) < 60 * SECOND, "{:?} for 320 wake-ups of a second", began.until(harness.now()));
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_that_is_refused_does_not_undo_the_notes_of_the_others() {
    let harness = with_slow_queue(10).await;
    assert!(harness.sweeper().sweep().await.is_err());
    let mut sweeps = 1;
    while harness.sweeper().sweep().await.is_err() {
        sweeps += 1;
        assert!(sweeps < 10, "each sweep notes some wake-ups, so ten sweeps are enough");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_fails_does_not_stop_the_sweep_of_the_others() {
    let harness = DeliveryHarness::new();
    for _ in 0..64 {
        harness.schedule(8 * DAY, |_| ()).await;
    }
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    harness.table.next_calls(&[Fault::Refused]);
    assert!(harness.sweeper().sweep().await.is_err());
    assert!(harness.queue.enqueued().len() > 32);
    harness.sweeper().sweep().await.unwrap();
    assert_eq!(harness.queue.enqueued().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn a_final_conversation_is_not_seen_by_the_sweep() {
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
    // The sweep reads the due row of an attempt in flight, and the attempt ends before the sweep notes its wake-up.
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
async fn a_row_that_another_sweep_changed_does_not_fail_the_sweep() {
    let harness = DeliveryHarness::new();
    harness.schedule(8 * DAY, |_| ()).await;
    harness.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    // Both sweepers read the row before one of them notes its wake-up.
    for _ in 0..40 {
        harness.table.next_call_takes(SECOND);
    }
    let (one, other) = (harness.sweeper(), harness.sweeper());
    let (one, other) = tokio::join!(one.sweep(), other.sweep());
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(harness.sweeper().sweep().await.unwrap().enqueued, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_sweep_fills_a_queue_in_memory_at_once() {
    let harness = DeliveryHarness::in_one_process();
    for minutes in [1, 2, 4] {
        harness.schedule(minutes * MINUTE, |_| ()).await;
    }
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (3, 0));
    harness.queue.restart(MemoryQueue::new(harness.clock.clone()));
    harness.start_worker();
    tokio::time::sleep(4 * MINUTE).await;
    let calls = harness.endpoint.calls();
    let due: Vec<_> = [1, 2, 4].map(|minutes| NOON + minutes * MINUTE).into();
    assert_eq!(calls.iter().map(|call| call.at).collect::<Vec<_>>(), due);
    assert_eq!(harness.queue.enqueued().len(), 6, "three at the scheduling, three after the restart");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_beyond_the_horizon_of_a_queue_in_memory_is_on_time() {
    let harness = DeliveryHarness::in_one_process();
    harness.start_worker();
    harness.schedule(90 * MINUTE, |_| ()).await;
    assert!(harness.queue.enqueued().is_empty());
    tokio::time::sleep(91 * MINUTE).await;
    assert_eq!(harness.endpoint.calls()[0].at, NOON + 90 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_read_page_by_page_to_its_end() {
    let harness = DeliveryHarness::new();
    let mut in_one = 0;
    // The last digit of an id is random and chooses the partition: schedule until one partition holds 1,200.
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
    assert_eq!(harness.queue.enqueued().len(), 1200);
    assert_eq!(counts(harness.sweeper().sweep().await.unwrap()), (1200, 0));
}
