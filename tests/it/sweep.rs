//! The sweep finds by time what no hint has woken, and is sparing with hints.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mcp_scheduler::delivery::Swept;
use mcp_scheduler::domain::{Hint, State, Status, Timestamp};
use mcp_scheduler::store::{Fault, Faults, MemoryQueue, SimulatedQueue};

use crate::deliver_conversation::stage::{Answer, NOON, Stage};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn counts(swept: Swept) -> (usize, usize) {
    (swept.seen, swept.hinted)
}

/// Sweeps once a minute, as the worker and the timer do.
async fn sweep_for(stage: &Stage, minutes: u32) -> Vec<Swept> {
    let sweeper = stage.sweeper();
    let mut swept = Vec::new();
    for _ in 0..minutes {
        swept.push(sweeper.sweep().await.unwrap());
        tokio::time::sleep(MINUTE).await;
    }
    swept
}

/// When hints were put for a conversation, in seconds after an instant.
fn hinted_at(stage: &Stage, hint: &Hint, since: Timestamp) -> Vec<u64> {
    stage.queue.puts().iter().filter(|put| put.hint == *hint).map(|put| since.until(put.at).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_lies_beyond_the_queues_horizon_is_hinted_once_and_in_time() {
    for days in [8, 400] {
        let stage = Stage::new();
        let hint = stage.schedule(days * DAY, |_| ()).await;
        assert!(stage.queue.puts().is_empty(), "a storage queue keeps nothing for {days} days");
        // The half minute keeps the sweeps clear of the attempt, whose lease they would hint as well.
        stage.wait_until(NOON + days * DAY - 20 * MINUTE - MINUTE / 2).await;
        let worker = stage.start_worker();
        tokio::time::sleep(30 * MINUTE).await;
        let puts = stage.queue.puts();
        assert_eq!(puts.len(), 1);
        assert!((4 * MINUTE..=5 * MINUTE).contains(&puts[0].delay), "{:?} ahead", puts[0].delay);
        let calls = stage.endpoint.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].at, NOON + days * DAY);
        assert_eq!(stage.read(hint.id).await.status(), Status::Completed);
        worker.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_was_hinted_is_left_alone_until_it_is_overdue() {
    let stage = Stage::new();
    stage.schedule(4 * MINUTE, |_| ()).await;
    let swept = sweep_for(&stage, 4).await;
    assert!(swept.iter().all(|s| counts(*s) == (1, 0)), "{swept:?}");
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(stage.sweeper().sweep().await.unwrap().hinted, 0, "it may still be on its way");
    tokio::time::sleep(SECOND).await;
    assert_eq!(stage.sweeper().sweep().await.unwrap().hinted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_is_put_again_ever_more_rarely() {
    let stage = Stage::new();
    stage.queue.set_luck(Fault::RequestLost);
    let hint = stage.schedule(30 * SECOND, |_| ()).await;
    let due = NOON + 30 * SECOND;
    sweep_for(&stage, 60).await;
    let hinted = hinted_at(&stage, &hint, due);
    // At its scheduling; after the grace of 20 s, at the next sweep; then 1, 2, 4, 8, 10, 10 ... minutes
    // later, each at the first sweep after that.
    assert_eq!(hinted[..2], [0, 30]);
    let pauses: Vec<u64> = hinted[1..].windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
    assert_eq!(pauses, [2, 3, 5, 9, 11, 11, 11]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_delays_the_delivery_by_no_more_than_the_grace_and_a_sweep() {
    for luck in [Fault::RequestLost, Fault::Refused] {
        let stage = Stage::new();
        stage.queue.set_luck(luck);
        stage.schedule(30 * SECOND, |_| ()).await;
        stage.queue.set_luck(Fault::None);
        stage.start_worker();
        tokio::time::sleep(5 * MINUTE).await;
        let late = (NOON + 30 * SECOND).until(stage.endpoint.calls()[0].at);
        assert!(late <= 81 * SECOND, "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_overdue_conversations_cause_no_storm_of_hints() {
    let stage = Stage::new();
    stage.queue.set_luck(Fault::RequestLost);
    for _ in 0..1000 {
        stage.schedule(MINUTE, |_| ()).await;
    }
    sweep_for(&stage, 60).await;
    let puts = stage.queue.puts().len();
    assert!((8_000..=9_000).contains(&puts), "{puts} hints in an hour, of which 1,000 at the scheduling");
}

#[tokio::test(start_paused = true)]
async fn a_refused_hint_is_not_noted_and_put_again_by_the_next_sweep() {
    let stage = Stage::new();
    let hint = stage.schedule(8 * DAY, |_| ()).await;
    stage.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    stage.queue.set_luck(Fault::Refused);
    assert!(stage.sweeper().sweep().await.is_err());
    stage.queue.set_luck(Fault::None);
    assert_eq!(counts(stage.sweeper().sweep().await.unwrap()), (1, 1));
    assert_eq!(counts(stage.sweeper().sweep().await.unwrap()), (1, 0));
    assert_eq!(hinted_at(&stage, &hint, NOON).len(), 2);
}

/// A queue that takes a second for every hint and refuses some.
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

async fn with_a_slow_queue(refuses_every: usize) -> Stage {
    let queue = SlowQueue { refuses_every, asked: AtomicUsize::new(0) };
    let stage = Stage::with_queue(SimulatedQueue::new(queue));
    for _ in 0..320 {
        stage.schedule(8 * DAY, |_| ()).await;
    }
    stage.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_hinted_faster_than_one_after_another() {
    let stage = with_a_slow_queue(usize::MAX).await;
    let began = stage.now();
    assert_eq!(counts(stage.sweeper().sweep().await.unwrap()), (320, 320));
    assert!(began.until(stage.now()) < 60 * SECOND, "{:?} for 320 hints of a second", began.until(stage.now()));
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_refused_does_not_take_the_others_from_the_record() {
    let stage = with_a_slow_queue(10).await;
    assert!(stage.sweeper().sweep().await.is_err());
    let mut sweeps = 1;
    while stage.sweeper().sweep().await.is_err() {
        sweeps += 1;
        assert!(sweeps < 10, "every sweep gets further than the one before it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_fails_does_not_keep_the_others_waiting() {
    let stage = Stage::new();
    for _ in 0..64 {
        stage.schedule(8 * DAY, |_| ()).await;
    }
    stage.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    stage.table.next_calls(&[Fault::Refused]);
    assert!(stage.sweeper().sweep().await.is_err());
    assert!(stage.queue.puts().len() > 32);
    stage.sweeper().sweep().await.unwrap();
    assert_eq!(stage.queue.puts().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn final_conversations_are_neither_seen_nor_hinted() {
    let stage = Stage::new();
    stage.endpoint.will([Answer::status(200)]);
    let done = stage.schedule(Duration::ZERO, |_| ()).await;
    let cancelled = stage.schedule(MINUTE, |_| ()).await;
    stage.deliverer().deliver(&done).await.unwrap();
    stage.scheduler.cancel(&stage.client, cancelled.id).await.unwrap();
    assert!(sweep_for(&stage, 30).await.iter().all(|s| *s == Swept::default()));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_races_a_completion_does_not_bring_the_conversation_back() {
    // The sweep has read the due row of an attempt that is in flight; the attempt ends before the
    // sweep notes its hint.
    let stage = Stage::new();
    stage.endpoint.will([Answer::status(200).after(10 * SECOND)]);
    let hint = stage.schedule(Duration::ZERO, |_| ()).await;
    let (deliverer, held) = (stage.deliverer(), hint.clone());
    let delivery = tokio::spawn(async move { deliverer.deliver(&held).await });
    tokio::time::sleep(SECOND).await;
    let partition = mcp_scheduler::store::ConversationStore::partitions()
        .find(|p| hint.id.to_string().ends_with(p.as_str()))
        .unwrap();
    let seen = stage.store.due(partition, stage.now() + 5 * MINUTE, None, 10).await.unwrap();
    assert_eq!(seen.len(), 1);
    delivery.await.unwrap().unwrap();
    let note = mcp_scheduler::store::DueNote { hinted: Some(stage.now()), ..seen[0].note };
    assert!(stage.store.note_hints(partition, &[(seen[0].clone(), note)]).await.is_err());
    assert!(stage.due_rows().await.is_empty());
    assert_eq!(stage.read(hint.id).await.state, State::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_changed_meanwhile_does_not_fail_the_sweep() {
    let stage = Stage::new();
    stage.schedule(8 * DAY, |_| ()).await;
    stage.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    // Two sweepers read the same row before either has noted its hint.
    for _ in 0..40 {
        stage.table.next_call_takes(SECOND);
    }
    let (one, other) = (stage.sweeper(), stage.sweeper());
    let (one, other) = tokio::join!(one.sweep(), other.sweep());
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(stage.sweeper().sweep().await.unwrap().hinted, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_queue_in_memory_is_filled_again_at_once() {
    let stage = Stage::in_one_process();
    for minutes in [1, 2, 4] {
        stage.schedule(minutes * MINUTE, |_| ()).await;
    }
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(counts(stage.sweeper().sweep().await.unwrap()), (3, 0));
    stage.queue.restart(MemoryQueue::new(stage.now()));
    stage.start_worker();
    tokio::time::sleep(4 * MINUTE).await;
    let calls = stage.endpoint.calls();
    let due: Vec<_> = [1, 2, 4].map(|minutes| NOON + minutes * MINUTE).into();
    assert_eq!(calls.iter().map(|call| call.at).collect::<Vec<_>>(), due);
    assert_eq!(stage.queue.puts().len(), 6, "three at the scheduling, three after the restart");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_beyond_a_memory_queues_horizon_is_delivered_on_time_too() {
    let stage = Stage::in_one_process();
    stage.start_worker();
    stage.schedule(90 * MINUTE, |_| ()).await;
    assert!(stage.queue.puts().is_empty());
    tokio::time::sleep(91 * MINUTE).await;
    assert_eq!(stage.endpoint.calls()[0].at, NOON + 90 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_read_page_by_page_to_its_end() {
    let stage = Stage::new();
    let mut in_one = 0;
    // Ids are random in their last digit: schedule until one partition holds 1,200.
    while in_one < 1200 {
        let hint = stage.schedule(8 * DAY, |_| ()).await;
        if hint.id.partition() == 7 {
            in_one += 1;
        } else {
            stage.scheduler.cancel(&stage.client, hint.id).await.unwrap();
        }
    }
    stage.wait_until(NOON + 8 * DAY - 4 * MINUTE).await;
    assert_eq!(counts(stage.sweeper().sweep().await.unwrap()), (1200, 1200));
    assert_eq!(stage.queue.puts().len(), 1200);
    assert_eq!(counts(stage.sweeper().sweep().await.unwrap()), (1200, 0));
}
