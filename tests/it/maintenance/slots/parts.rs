//! A run delivers 64 rows and leaves the rest to others, in parts of 64.

use super::*;

#[tokio::test(start_paused = true)]
async fn sixty_four_rows_are_run_here_and_nothing_is_left() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 64).await;
    harness.wait_until(LATER).await;
    let report = harness.runner().run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert_eq!(report, RunReport { attempted: 64, ..RunReport::default() });
    assert!(each_was_called_once(&harness, &added) && harness.queue.enqueued().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_left_in_parts_of_64() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 200).await;
    harness.wait_until(LATER).await;
    let runner = harness.runner();
    let report = runner.run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert_eq!(report, RunReport { attempted: 64, left: 136, ..RunReport::default() });
    let first: Vec<_> = added[..64].iter().map(|key| (key.id, 1)).collect();
    assert_eq!(calls(&harness), first.into_iter().collect(), "the first ones are run here");
    let parts = left(&harness);
    assert!(parts.iter().all(|(part, pause)| part.slot == Slot::of(LATER) && pause.is_zero()), "{parts:?}");
    let bounds: Vec<_> = parts.into_iter().map(|(part, _)| part.part.unwrap()).collect();
    let part = |after: usize, until: usize| Part {
        after: DueBound::Row(added[after].clone()),
        until: Some(added[until].clone()),
        postponed: 0,
    };
    assert_eq!(bounds, [part(63, 127), part(127, 191), part(191, 199)]);
    assert_eq!(run_parts(&harness, &runner).await, [64, 64, 8]);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn small_rests_of_several_partitions_share_a_part() {
    let harness = DeliveryHarness::new();
    let mut added = Vec::new();
    for number in 0..16 {
        added.extend(add(&harness, number, LATER + Duration::from_millis(u64::from(number)), 12).await);
    }
    harness.wait_until(LATER + SECOND).await;
    let runner = harness.runner();
    let report = runner.run(&wake_up(LATER, PartitionSet::ALL)).await.unwrap();
    assert_eq!((report.attempted, report.left), (64, 128));
    let sets: Vec<_> = left(&harness).into_iter().map(|(part, _)| part.partitions).collect();
    // The first 64 are those of five partitions and four of the sixth.
    assert_eq!(sets, [partitions(5..10), partitions(10..15), partitions([15])]);
    assert_eq!(run_parts(&harness, &runner).await, [56, 60, 12]);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_large_rest_beside_small_ones_has_parts_of_its_own() {
    let harness = DeliveryHarness::new();
    let mut added = Vec::new();
    for (number, count) in [(0, 70), (1, 100), (2, 10), (3, 10)] {
        added.extend(add(&harness, number, LATER + Duration::from_millis(u64::from(number)), count).await);
    }
    harness.wait_until(LATER + SECOND).await;
    let runner = harness.runner();
    runner.run(&wake_up(LATER, PartitionSet::ALL)).await.unwrap();
    let sets: Vec<_> = left(&harness).into_iter().map(|(part, _)| part.partitions.to_string()).collect();
    assert_eq!(sets, ["1", "1", "023"]);
    assert_eq!(run_parts(&harness, &runner).await, [64, 36, 26]);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn behind_a_full_page_there_is_one_more_part() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 2_100).await;
    harness.wait_until(LATER).await;
    let runner = harness.runner();
    let report = runner.run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert_eq!((report.attempted, report.left), (64, 936), "of the rows that it has seen");
    let parts: Vec<_> = left(&harness).into_iter().map(|(part, _)| part.part.unwrap()).collect();
    assert_eq!(parts.len(), 16, "936 rows in 15 parts, and the rows behind them");
    assert_eq!(parts[15], Part { after: DueBound::Row(added[999].clone()), until: None, postponed: 0 });
    assert!(run_parts(&harness, &runner).await.iter().all(|attempted| *attempted <= 64));
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_cannot_be_left_is_run_here() {
    for fault in [Fault::Refused, Fault::None] {
        let harness = DeliveryHarness::new();
        let added = add(&harness, 5, LATER, 1_100).await;
        harness.wait_until(LATER).await;
        harness.queue.set_fault(fault);
        let report = harness.runner().run(&wake_up(LATER, partitions([5]))).await.unwrap();
        if fault == Fault::Refused {
            assert_eq!(report.attempted, 1_100);
            assert!(each_was_called_once(&harness, &added));
        } else {
            assert_eq!(report.attempted, 64);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_a_run_ends_after_45_seconds_and_the_sweep_has_the_rest() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 300).await;
    for key in &added {
        harness.endpoint.set_latency(&format!("host-{}.example", key.id), 20 * SECOND);
    }
    harness.wait_until(LATER).await;
    harness.queue.set_fault(Fault::Refused);
    let report = harness.runner().run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert_eq!(LATER.until(harness.now()).as_secs(), 60, "three parts of 20 seconds");
    assert_eq!(report.attempted, 3 * 64);
    sweep(&harness).await;
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_run_reads_the_rows_of_its_second_and_its_partitions() {
    let harness = DeliveryHarness::new();
    let mut others = Vec::new();
    for (number, millis) in [(5, 999), (5, 2_000), (6, 1_000)] {
        others.extend(add(&harness, number, LATER + Duration::from_millis(millis), 1).await);
    }
    let mut mine = Vec::new();
    for (number, millis) in [(5, 1_000), (5, 1_999), (7, 1_500)] {
        mine.extend(add(&harness, number, LATER + Duration::from_millis(millis), 1).await);
    }
    harness.wait_until(LATER + 5 * SECOND).await;
    let report = harness.runner().run(&wake_up(LATER + SECOND, partitions([5, 7]))).await.unwrap();
    assert_eq!((report.attempted, report.lateness), (3, 4 * SECOND));
    assert!(each_was_called_once(&harness, &mine));
    assert_eq!(harness.due_rows().await.len(), others.len());
}
