//! The sweep runs what is overdue itself, at once and without the queue.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mcp_scheduler::api::RecurrenceRequest;
use mcp_scheduler::maintenance::{OverdueRunner, Sweeper};
use mcp_scheduler::testing::Fault;

use super::*;
use crate::support::delivery_harness::Answer;

#[tokio::test(start_paused = true)]
async fn a_conversation_is_overdue_ten_seconds_after_its_time() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 4, LATER, 1).await;
    harness.wait_until(LATER + 10 * SECOND).await;
    assert_eq!(sweep(&harness).await.overdue, Duration::ZERO);
    assert!(harness.endpoint.calls().is_empty(), "its wake-up may still come");
    harness.wait_until(LATER + 11 * SECOND).await;
    assert_eq!(sweep(&harness).await.overdue, 11 * SECOND);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_is_run_at_once_while_the_queue_is_down() {
    let harness = DeliveryHarness::new();
    let mut added = Vec::new();
    for number in 0..16 {
        added.extend(add(&harness, number, LATER + u32::from(number) * MINUTE, 20).await);
    }
    harness.queue.set_fault(Fault::Refused);
    harness.wait_until(LATER + 20 * MINUTE).await;
    let began = harness.now();
    sweep(&harness).await;
    assert!(each_was_called_once(&harness, &added));
    assert!(began.until(harness.now()) < SECOND);
    assert_eq!(harness.due_rows().await, []);
}

#[tokio::test(start_paused = true)]
async fn wake_ups_do_not_wait_for_what_is_overdue() {
    let harness = DeliveryHarness::new();
    add(&harness, 4, LATER, 1).await;
    add(&harness, 9, LATER + 2 * MINUTE, 1).await;
    harness.endpoint.will([Answer::status(200).after(30 * SECOND)]);
    harness.wait_until(LATER + MINUTE).await;
    let sweeper = harness.sweeper();
    let swept = tokio::spawn(async move { sweeper.sweep(SweepReason::Timer).await });
    tokio::time::sleep(SECOND).await;
    assert_eq!(harness.endpoint.calls().len(), 1);
    assert_eq!(enqueued(&harness), [(Slot::of(LATER + 2 * MINUTE), partitions([9]))]);
    assert!(marks(&harness).await.values().all(|mark| *mark == Slot::of(LATER + 4 * MINUTE)));
    assert!(!swept.is_finished());
    swept.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_wake_up_delays_the_delivery_by_at_most_the_grace_and_one_sweep() {
    for fault in [Fault::RequestLost, Fault::Refused] {
        for ahead in [5, 30, 59, 61, 90, 200] {
            let harness = DeliveryHarness::new();
            harness.queue.set_fault(fault);
            let due = harness.schedule(ahead * SECOND, |_| ()).await;
            harness.start_worker();
            tokio::time::sleep(6 * MINUTE).await;
            let late = due.at.until(harness.endpoint.calls()[0].at);
            assert!(late <= 71 * SECOND, "{late:?}");
        }
    }
}

/// Records what it should run, and runs nothing.
#[derive(Default)]
struct Recorder(Mutex<Vec<(PartitionSet, Timestamp, Slot)>>);

#[async_trait]
impl OverdueRunner for Recorder {
    async fn run_overdue(&self, partitions: PartitionSet, from: Timestamp, last: Slot) -> Result<(), StoreError> {
        self.0.lock().unwrap().push((partitions, from, last));
        Ok(())
    }
}

impl Recorder {
    /// What a sweep that begins now lets it run.
    async fn sweep(self: &Arc<Self>, harness: &DeliveryHarness) -> Vec<(PartitionSet, Timestamp, Slot)> {
        let wake_ups = Arc::clone(&harness.wake_ups);
        let sweeper =
            Sweeper::new(harness.store.clone(), wake_ups, Arc::clone(self) as _, Arc::clone(&harness.clock) as _);
        sweeper.sweep(SweepReason::Timer).await.unwrap();
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_another_run_works_on_are_not_run_again() {
    let (harness, recorder) = (DeliveryHarness::new(), Arc::new(Recorder::default()));
    let first = add(&harness, 4, LATER, 1).await.remove(0);
    add(&harness, 4, LATER + SECOND, 1).await;
    add(&harness, 9, LATER + SECOND, 1).await;
    harness.wait_until(LATER + MINUTE).await;
    let last = |harness: &DeliveryHarness| Slot::of(harness.now() - 11 * SECOND);
    let all = partitions([4, 9]);
    assert_eq!(recorder.sweep(&harness).await, [(all, Timestamp::MIN, last(&harness))]);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(recorder.sweep(&harness).await, [(all, Timestamp::MIN, last(&harness))], "nobody works on them");
    let cut = harness.now() - 10 * SECOND;
    harness.scheduler.cancel(&harness.client, first.id).await.unwrap();
    tokio::time::sleep(MINUTE).await;
    // In partition 4 the oldest row has gone, so a run is under way there.
    let expected = [(partitions([9]), Timestamp::MIN, last(&harness)), (partitions([4]), cut, last(&harness))];
    assert_eq!(recorder.sweep(&harness).await, expected);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(recorder.sweep(&harness).await, [(all, Timestamp::MIN, last(&harness))], "it does not go on");
}

#[tokio::test(start_paused = true)]
async fn an_occurrence_that_is_late_because_of_the_one_before_is_run_by_the_next_sweep() {
    let (harness, recorder) = (DeliveryHarness::new(), Arc::new(Recorder::default()));
    harness.endpoint.will([Answer::status(500), Answer::status(200)]);
    let every_minute =
        || Some(RecurrenceRequest { cron: Some("* * * * *".to_owned()), ..RecurrenceRequest::default() });
    let due = harness.schedule(MINUTE, |request| request.recurrence = every_minute()).await;
    // Without a queue, only sweeps look at the conversation: at its first attempt, and at the retry of this attempt.
    harness.queue.set_fault(Fault::Refused);
    harness.wait_until(due.at + 11 * SECOND).await;
    let _ = try_sweep(&harness).await;
    harness.wait_until(due.at + 80 * SECOND).await;
    let _ = try_sweep(&harness).await;
    assert_eq!(harness.endpoint.calls().len(), 2);
    let next = harness.due_rows().await.remove(0).key;
    assert_eq!(next.at, due.at + MINUTE, "it is 20 seconds late when its row is written");
    tokio::time::sleep(MINUTE).await;
    let last = Slot::of(harness.now() - 11 * SECOND);
    assert_eq!(recorder.sweep(&harness).await, [(next.partition().into(), Timestamp::MIN, last)]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_does_not_fail_the_sweep() {
    struct Failing;

    #[async_trait]
    impl OverdueRunner for Failing {
        async fn run_overdue(&self, _: PartitionSet, _: Timestamp, _: Slot) -> Result<(), StoreError> {
            Err(StoreError::Unavailable("scripted".into()))
        }
    }
    let harness = DeliveryHarness::new();
    add(&harness, 4, LATER, 1).await;
    harness.wait_until(LATER + MINUTE).await;
    let (wake_ups, clock) = (Arc::clone(&harness.wake_ups), Arc::clone(&harness.clock));
    let sweeper = Sweeper::new(harness.store.clone(), wake_ups, Arc::new(Failing), clock as _);
    assert_eq!(sweeper.sweep(SweepReason::Timer).await.unwrap().overdue, MINUTE);
}
