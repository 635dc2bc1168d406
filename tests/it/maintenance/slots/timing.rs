//! Wake-ups that come too early or too late, and several for one second.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_wake_up_that_is_a_little_early_is_held_and_its_rows_are_on_time() {
    for early_ms in [0, 1, 700, 2_500, 6_000] {
        let harness = DeliveryHarness::new();
        let mut added = Vec::new();
        for millis in [0, 1, 700, 999] {
            added.extend(add(&harness, 5, LATER + Duration::from_millis(millis), 1).await);
        }
        harness.wait_until(LATER - Duration::from_millis(early_ms)).await;
        let report = harness.runner().run(&wake_up(LATER, partitions([5]))).await.unwrap();
        assert_eq!(report, RunReport { attempted: 4, ..RunReport::default() });
        let at: Vec<_> = harness.endpoint.calls().into_iter().map(|call| call.at).collect();
        assert_eq!(at, added.iter().map(|key| key.at).collect::<Vec<_>>());
        assert!(harness.queue.enqueued().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_that_is_too_early_is_put_again_as_it_is() {
    let harness = DeliveryHarness::new();
    let key = add(&harness, 5, LATER, 1).await.remove(0);
    harness.wait_until(LATER - 100 * SECOND).await;
    let part = Some(Part { after: DueBound::Time(NOON), until: Some(key), postponed: 3 });
    for (number, wake_up) in [wake_up(LATER, partitions([5])), SlotWakeUp { part, ..wake_up(LATER, partitions([5])) }]
        .into_iter()
        .enumerate()
    {
        assert_eq!(harness.runner().run(&wake_up).await.unwrap(), RunReport::default());
        let again = harness.queue.enqueued().pop().unwrap();
        assert_eq!((again.wake_up, again.delay), (WakeUp::Slot(wake_up), 99 * SECOND));
        assert_eq!(harness.queue.enqueued().len(), number + 1);
    }
    harness.queue.set_fault(Fault::Refused);
    assert!(harness.runner().run(&wake_up(LATER, partitions([5]))).await.is_err(), "its message comes again");
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_that_nobody_can_have_put_is_dropped() {
    let harness = DeliveryHarness::new();
    for (seconds, again) in [(961, 1), (962, 0), (1_000_000, 0)] {
        let before = harness.queue.enqueued().len();
        let report = harness.runner().run(&wake_up(NOON + seconds * SECOND, PartitionSet::ALL)).await.unwrap();
        assert_eq!(report, RunReport::default());
        assert_eq!(harness.queue.enqueued().len() - before, again, "{seconds} s ahead");
    }
    assert_eq!(harness.table.calls(), 0, "it costs no read");
}

#[tokio::test(start_paused = true)]
async fn wake_ups_for_one_second_that_wait_together_become_one() {
    let harness = DeliveryHarness::new();
    let mut added = add(&harness, 5, LATER, 2).await;
    added.extend(add(&harness, 9, LATER, 3).await);
    let next = add(&harness, 5, LATER + SECOND, 1).await;
    harness.wait_until(LATER - 4 * SECOND).await;
    let (runner, before) = (harness.runner(), harness.table.calls());
    let (five, nine) = (wake_up(LATER, partitions([5])), wake_up(LATER, partitions([9])));
    let second = wake_up(LATER + SECOND, partitions([5]));
    let waiting = tokio::spawn({
        let runner = Arc::clone(&runner);
        async move { runner.run(&five).await.unwrap() }
    });
    tokio::time::sleep(SECOND).await;
    for _ in 0..3 {
        assert_eq!(runner.run(&nine).await.unwrap(), RunReport::default());
    }
    assert_eq!((harness.now(), harness.table.calls()), (LATER - 3 * SECOND, before), "the first one reads for all");
    assert_eq!(runner.run(&second).await.unwrap().attempted, 1, "each second waits for itself");
    assert_eq!(waiting.await.unwrap().attempted, 5);
    assert_eq!(runner.run(&nine).await.unwrap().attempted, 0, "one that comes later reads again");
    added.extend(next);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_while_it_waits_keeps_no_other_from_waiting() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 2).await;
    harness.wait_until(LATER - 4 * SECOND).await;
    let (runner, wake_up) = (harness.runner(), wake_up(LATER, partitions([5])));
    assert!(tokio::time::timeout(SECOND, runner.run(&wake_up)).await.is_err());
    assert_eq!(runner.run(&wake_up).await.unwrap().attempted, 2);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_run_scans_four_partitions_at_one_time() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 1).await;
    harness.wait_until(LATER).await;
    let (runner, before) = (harness.runner(), harness.table.calls());
    for _ in 0..8 {
        harness.table.next_call_takes(SECOND);
    }
    let run = tokio::spawn(async move { runner.run(&wake_up(LATER, PartitionSet::ALL)).await.unwrap() });
    for scans in [0, 4] {
        tokio::time::sleep(SECOND * 9 / 10).await;
        assert_eq!(harness.table.calls() - before, scans);
    }
    assert_eq!(run.await.unwrap().attempted, 1);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_part_is_run_as_soon_as_its_second_may_be_read() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER + SECOND / 2, 3).await;
    harness.wait_until(LATER - 3 * SECOND).await;
    let part = Part { after: DueBound::Row(added[0].clone()), until: Some(added[1].clone()), postponed: 0 };
    let wake_up = SlotWakeUp { part: Some(part), ..wake_up(LATER, partitions([5])) };
    assert_eq!(harness.runner().run(&wake_up).await.unwrap().attempted, 1);
    assert!(each_was_called_once(&harness, &added[1..2]));
    assert_eq!(harness.now(), LATER + SECOND / 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_learn_the_time_does_nothing_and_comes_again() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 1).await;
    harness.wait_until(LATER).await;
    harness.clock.set_known(false);
    harness.table.set_down(true);
    assert!(harness.runner().run(&wake_up(LATER, partitions([5]))).await.is_err());
    harness.clock.set_known(true);
    harness.table.set_down(false);
    harness.runner().run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert!(each_was_called_once(&harness, &added));
}
