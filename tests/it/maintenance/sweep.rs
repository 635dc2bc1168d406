//! The sweep enqueues one wake-up for each second that has due rows, from where the last sweep ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use mcp_scheduler::store::{PartitionSet, Slot};
use mcp_scheduler::testing::{Fault, Faults, SimulatedQueue};

use super::*;
use crate::support::delivery_harness::Answer;

const AHEAD: Duration = Duration::from_mins(3);
const DAY: Duration = Duration::from_hours(24);

#[tokio::test(start_paused = true)]
async fn a_second_with_due_rows_gets_one_wake_up_that_names_their_partitions() {
    let harness = DeliveryHarness::new();
    for (number, millis) in [(3, 0), (3, 999), (10, 500), (0, 1000), (3, 60_000)] {
        add(&harness, number, LATER + Duration::from_millis(millis), 2).await;
    }
    harness.wait_until(LATER - 90 * SECOND).await;
    assert_eq!(sweep(&harness).await.enqueued, 3);
    let second = |after: u32| Slot::of(LATER + after * SECOND);
    assert_eq!(
        enqueued(&harness),
        [(second(0), partitions([3, 10])), (second(1), partitions([0])), (second(60), partitions([3]))]
    );
    let delays: Vec<_> = harness.queue.enqueued().iter().map(|enqueued| enqueued.delay.as_secs()).collect();
    assert_eq!(delays[1..], [89, 90, 149], "each is visible a second before its rows are due");
    assert_eq!(sweep(&harness).await.enqueued, 0);
}

#[tokio::test(start_paused = true)]
async fn each_sweep_goes_on_where_the_last_one_ended() {
    let harness = DeliveryHarness::new();
    let seconds: Vec<_> = (0..120).map(|step| Slot::of(LATER + 5 * step * SECOND)).collect();
    for (number, slot) in (0..16).cycle().zip(&seconds) {
        add(&harness, number, slot.start(), 1).await;
    }
    harness.wait_until(LATER - 5 * MINUTE).await;
    for _ in 0..15 {
        sweep(&harness).await;
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(enqueued(&harness).into_iter().map(|(slot, _)| slot).collect::<Vec<_>>(), seconds);
    let ahead = harness.queue.enqueued().into_iter().filter(|enqueued| matches!(enqueued.wake_up, WakeUp::Slot(_)));
    assert!(ahead.map(|enqueued| enqueued.delay).all(|delay| delay + SECOND >= 2 * MINUTE && delay < AHEAD));
}

#[tokio::test(start_paused = true)]
async fn the_marks_move_to_three_minutes_ahead_and_never_back() {
    let harness = DeliveryHarness::new();
    sweep(&harness).await;
    let top = Slot::of(NOON + AHEAD);
    assert!(marks(&harness).await.values().all(|mark| *mark == top));
    harness.clock.jump(-30);
    sweep(&harness).await;
    assert!(marks(&harness).await.values().all(|mark| *mark == top));
    harness.clock.jump(31);
    sweep(&harness).await;
    assert!(marks(&harness).await.values().all(|mark| *mark == Slot::of(NOON + AHEAD + SECOND)));
}

/// The partitions whose mark is another one than most have.
async fn left_behind(harness: &DeliveryHarness) -> PartitionSet {
    let (marks, top) = (marks(harness).await, Slot::of(harness.now() + AHEAD));
    marks.into_iter().filter(|(_, mark)| *mark != top).map(|(partition, _)| partition).collect()
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_read_fails_keeps_its_mark() {
    // The first read is that of the watermark. Then each partition is read twice.
    for failing in 1..=32 {
        let harness = DeliveryHarness::new();
        for number in 0..16 {
            add(&harness, number, LATER, 1).await;
        }
        harness.wait_until(LATER - 7 * MINUTE).await;
        sweep(&harness).await;
        harness.wait_until(LATER - 2 * MINUTE).await;
        let mut faults = vec![Fault::None; failing];
        faults.push(Fault::Refused);
        harness.table.next_calls(&faults);
        assert!(try_sweep(&harness).await.is_err());
        let behind = left_behind(&harness).await;
        assert_eq!(behind.iter().count(), 1, "{behind:?}");
        assert_eq!(enqueued(&harness), [(Slot::of(LATER), behind.complement())]);
        sweep(&harness).await;
        assert!(left_behind(&harness).await.is_empty());
        assert_eq!(enqueued(&harness)[1..], [(Slot::of(LATER), behind)]);
    }
}

/// A queue whose calls fail or take long, by their numbers.
#[derive(Default)]
struct QueueScript {
    next: Mutex<usize>,
    fails: BTreeSet<usize>,
    takes: BTreeMap<usize, Duration>,
}

impl Faults for QueueScript {
    /// The table asks for the latency first.
    fn latency(&self) -> Duration {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        self.takes.get(&*next).copied().unwrap_or_default()
    }

    fn next(&self) -> Fault {
        if self.fails.contains(&*self.next.lock().unwrap()) { Fault::Refused } else { Fault::None }
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_whose_wake_up_fails_keep_their_marks() {
    // The first call enqueues the dead man's switch.
    let queue = SimulatedQueue::new(QueueScript { fails: [3].into(), ..QueueScript::default() });
    let harness = DeliveryHarness::with_queue(queue);
    for number in 1..=3 {
        add(&harness, number, LATER + u32::from(number) * SECOND, 1).await;
        add(&harness, 2 * number + 2, LATER + u32::from(number) * SECOND, 1).await;
    }
    harness.wait_until(LATER - 2 * MINUTE).await;
    assert!(try_sweep(&harness).await.is_err());
    let behind = left_behind(&harness).await;
    assert!(partitions([2, 6]).iter().all(|partition| behind.contains(partition)), "{behind:?}");
    assert!(!behind.contains(partition(1)) && !behind.contains(partition(4)) && !behind.contains(partition(0)));
    let before = enqueued(&harness).len();
    sweep(&harness).await;
    let again: Vec<_> = enqueued(&harness).drain(before..).collect();
    assert!(again.contains(&(Slot::of(LATER + 2 * SECOND), partitions([2, 6]))), "{again:?}");
    assert!(!again.contains(&(Slot::of(LATER + SECOND), partitions([1, 4]))), "{again:?}");
    assert!(left_behind(&harness).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sweep_stops_at_the_first_wake_up_that_fails() {
    let harness = DeliveryHarness::new();
    for second in 0..150 {
        add(&harness, 5, LATER + second * SECOND, 1).await;
    }
    harness.wait_until(LATER - 20 * SECOND).await;
    harness.queue.set_fault(Fault::Refused);
    assert!(try_sweep(&harness).await.is_err());
    assert!(enqueued(&harness).len() <= 16, "no more than are enqueued at one time");
    harness.queue.set_fault(Fault::None);
    assert_eq!(sweep(&harness).await.enqueued, 150);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_enqueues_16_wake_ups_at_a_time() {
    let takes = (1..=200).map(|call| (call, SECOND)).collect();
    let harness = DeliveryHarness::with_queue(SimulatedQueue::new(QueueScript { takes, ..QueueScript::default() }));
    for second in 0..160 {
        add(&harness, 5, LATER + second * SECOND, 1).await;
    }
    harness.wait_until(LATER - 10 * SECOND).await;
    let began = harness.now();
    assert_eq!(sweep(&harness).await.enqueued, 160);
    assert_eq!(began.until(harness.now()).as_secs(), 11, "one second for the switch, and 160 wake-ups in 10");
}

#[tokio::test(start_paused = true)]
async fn of_two_sweeps_that_race_the_slower_one_does_not_set_the_marks_back() {
    // The third call is the wake-up of the slower sweep. Before are the switch and its renewal.
    let queue = QueueScript { takes: [(2, 30 * SECOND)].into(), ..QueueScript::default() };
    let harness = DeliveryHarness::with_queue(SimulatedQueue::new(queue));
    add(&harness, 5, LATER, 1).await;
    harness.wait_until(LATER - 4 * MINUTE).await;
    sweep(&harness).await;
    harness.wait_until(LATER - 2 * MINUTE).await;
    let slow = harness.sweeper();
    let (slower, faster) = tokio::join!(slow.sweep(SweepReason::Timer), async {
        tokio::time::sleep(10 * SECOND).await;
        let report = sweep(&harness).await;
        assert_eq!(marks(&harness).await[&partition(5)], Slot::of(LATER + 70 * SECOND));
        report
    });
    assert_eq!((slower.unwrap().enqueued, faster.enqueued), (1, 1), "both see the row");
    assert!(marks(&harness).await.values().all(|mark| *mark == Slot::of(LATER + 70 * SECOND)));
    assert_eq!(sweep(&harness).await.enqueued, 0);
}

#[tokio::test(start_paused = true)]
async fn two_first_sweeps_that_race_both_succeed() {
    let harness = DeliveryHarness::new();
    add(&harness, 5, NOON + MINUTE, 1).await;
    for _ in 0..80 {
        harness.table.next_call_takes(SECOND);
    }
    let (one, other) = (harness.sweeper(), harness.sweeper());
    let (one, other) = tokio::join!(one.sweep(SweepReason::Timer), other.sweep(SweepReason::Timer));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert!(marks(&harness).await.values().all(|mark| *mark >= Slot::of(NOON + AHEAD)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_read_page_by_page_to_the_end() {
    let harness = DeliveryHarness::new();
    for (second, count) in [(0, 10), (1, 2_300), (2, 5), (100, 1_000), (101, 3)] {
        add(&harness, 7, LATER + second * SECOND, count).await;
    }
    harness.wait_until(LATER - MINUTE).await;
    assert_eq!(sweep(&harness).await.enqueued, 5);
    let seconds = [0, 1, 2, 100, 101].map(|second| (Slot::of(LATER + second * SECOND), partitions([7])));
    assert_eq!(enqueued(&harness), seconds);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_due_far_ahead_gets_one_wake_up_and_is_on_time() {
    for days in [8, 400] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(days * DAY, |_| ()).await;
        assert!(harness.queue.enqueued().is_empty(), "it needs none for {days} days");
        // The half minute keeps the sweeps away from the attempt: they would enqueue a wake-up for its lease.
        harness.wait_until(due.at - 20 * MINUTE - MINUTE / 2).await;
        let worker = harness.start_worker();
        tokio::time::sleep(30 * MINUTE).await;
        worker.abort();
        assert_eq!(enqueued(&harness), [(Slot::of(due.at), due.partition().into())]);
        let calls = harness.endpoint.calls();
        assert_eq!(calls.iter().map(|call| call.at).collect::<Vec<_>>(), [due.at]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_conversation_is_not_seen_by_a_sweep() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200)]);
    let done = harness.schedule(Duration::ZERO, |_| ()).await;
    let cancelled = harness.schedule(MINUTE, |_| ()).await;
    harness.deliverer().deliver(&done, None).await.unwrap();
    harness.scheduler.cancel(&harness.client, cancelled.id).await.unwrap();
    for _ in 0..5 {
        assert_eq!(sweep(&harness).await, SweepReport::default());
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(harness.endpoint.calls().len(), 1);
}
