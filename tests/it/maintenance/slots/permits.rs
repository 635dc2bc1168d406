//! Rows that fail, and rows that have no permit.

use mcp_scheduler::store::{Operation, Table as _};

use super::*;

/// Changes the main row of a conversation to something that nobody can read.
async fn damage(harness: &DeliveryHarness, key: &DueKey) {
    let main = format!("m~{}~{}", key.client, key.id.inverted());
    let change = Operation::Replace { key: main, value: "damaged".to_owned(), if_match: None };
    harness.rows.commit(key.partition(), vec![change]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_is_passed_over_and_does_not_fail_its_wake_up() {
    let harness = DeliveryHarness::new();
    let mut added = add(&harness, 5, LATER, 10).await;
    damage(&harness, &added.remove(3)).await;
    harness.wait_until(LATER).await;
    let report = harness.runner().run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert_eq!(report, RunReport { attempted: 9, failed: 1, ..RunReport::default() });
    harness.endpoint.calls().iter().for_each(|call| assert!(added.iter().any(|key| key.id == call.record.id())));
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_read_fails_does_not_fail_the_others_and_its_wake_up_comes_again() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 10).await;
    harness.wait_until(LATER).await;
    // The scan of due rows, the scan that reads the ten together, and then the read of the first one.
    harness.table.next_calls(&[Fault::None, Fault::Refused, Fault::Refused]);
    let (runner, wake_up) = (harness.runner(), wake_up(LATER, partitions([5])));
    assert!(runner.run(&wake_up).await.is_err());
    assert_eq!(harness.endpoint.calls().len(), 9);
    assert_eq!(runner.run(&wake_up).await.unwrap().attempted, 1);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_cannot_be_read_does_not_keep_the_others_from_running() {
    let harness = DeliveryHarness::new();
    let mut added = Vec::new();
    for number in [5, 6, 7] {
        added.extend(add(&harness, number, LATER, 100).await);
    }
    harness.wait_until(LATER).await;
    harness.table.next_calls(&[Fault::None, Fault::Refused]);
    let (runner, wake_up) = (harness.runner(), wake_up(LATER, partitions([5, 6, 7])));
    assert!(runner.run(&wake_up).await.is_err());
    assert_eq!(run_parts(&harness, &runner).await.iter().sum::<usize>(), 200 - 64, "the rest of two partitions");
    assert_eq!(runner.run(&wake_up).await.unwrap().attempted, 64);
    run_parts(&harness, &runner).await;
    assert!(each_was_called_once(&harness, &added));
}

/// A runner that makes this many deliveries of a client at one time.
fn narrow_runner(harness: &DeliveryHarness, at_one_time: usize) -> SlotRunner {
    let deliverer = Arc::into_inner(harness.deliverer()).unwrap().with_max_in_flight(2 * at_one_time);
    harness.runner_of(Arc::new(deliverer))
}

#[tokio::test(start_paused = true)]
async fn rows_without_a_permit_for_45_seconds_go_into_one_later_part() {
    let harness = DeliveryHarness::new();
    let mut added = Vec::new();
    for number in [3, 4, 5, 6] {
        added.extend(add(&harness, number, LATER + Duration::from_millis(u64::from(number)), 2).await);
    }
    harness.endpoint.will((0..3).map(|_| Answer::status(200).after(50 * SECOND)));
    harness.wait_until(LATER + SECOND).await;
    let report = narrow_runner(&harness, 3).run(&wake_up(LATER, partitions([3, 4, 5, 6]))).await.unwrap();
    assert_eq!((report.attempted, report.left, report.failed), (3, 5, 0));
    let part = Part { after: DueBound::Time(added[3].at), until: Some(added[7].clone()), postponed: 1 };
    let expected = SlotWakeUp { part: Some(part), ..wake_up(LATER, partitions([4, 5, 6])) };
    assert_eq!(left(&harness), [(expected, 5 * SECOND)]);
    assert_eq!(run_parts(&harness, &harness.runner()).await, [5]);
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn the_pause_doubles_up_to_two_minutes_while_there_is_no_permit() {
    let harness = DeliveryHarness::new();
    add(&harness, 5, LATER, 20).await;
    harness.endpoint.will((0..20).map(|_| Answer::status(200).after(50 * SECOND)));
    harness.wait_until(LATER).await;
    let runner = narrow_runner(&harness, 1);
    let mut next = wake_up(LATER, partitions([5]));
    let mut pauses = Vec::new();
    for times in 1..=8 {
        let report = runner.run(&next).await.unwrap();
        assert_eq!((report.attempted, report.left), (1, 20 - times));
        let (part, pause) = left(&harness).pop().unwrap();
        assert_eq!(part.part.as_ref().map(|part| part.postponed), u32::try_from(times).ok());
        pauses.push(pause.as_secs());
        next = part;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 120, 120, 120]);
    // The largest number that a message can have.
    next.part.as_mut().unwrap().postponed = u32::MAX;
    runner.run(&next).await.unwrap();
    assert_eq!(left(&harness).pop().unwrap().1, 120 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn rows_without_a_permit_are_left_to_the_sweep_if_the_queue_is_down() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 4).await;
    harness.endpoint.will([Answer::status(200).after(50 * SECOND)]);
    harness.wait_until(LATER).await;
    harness.queue.set_fault(Fault::Refused);
    let report = narrow_runner(&harness, 1).run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert_eq!((report.attempted, report.left), (1, 3));
    assert_eq!(LATER.until(harness.now()), 50 * SECOND);
    sweep(&harness).await;
    assert!(each_was_called_once(&harness, &added));
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_left_do_not_hide_those_of_another_part() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 100).await;
    harness.endpoint.will([Answer::status(200).after(50 * SECOND)]);
    harness.wait_until(LATER).await;
    let report = narrow_runner(&harness, 1).run(&wake_up(LATER, partitions([5]))).await.unwrap();
    assert_eq!((report.attempted, report.left), (1, 99));
    assert_eq!(run_parts(&harness, &harness.runner()).await, [36, 63], "each row is in one part");
    assert!(each_was_called_once(&harness, &added));
}
