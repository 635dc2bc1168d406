//! The dead man's switch: a wake-up that is always on its way and sweeps when the timer does not.

use mcp_scheduler::testing::{Fault, Faults, SimulatedQueue};

use super::*;

const SWITCH: Duration = Duration::from_mins(15);
const SOON: Duration = Duration::from_mins(2);

/// The switch comes.
async fn switched(harness: &DeliveryHarness, slot: Slot) -> Result<(), StoreError> {
    harness.sweeper().switched(slot).await
}

/// The messages of the switch that were enqueued since the last `before`.
fn switches_since(harness: &DeliveryHarness, before: usize) -> Vec<Slot> {
    switches(harness).into_iter().skip(before).map(|(_, slot)| slot).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_sweep_sends_the_switch_15_minutes_ahead_and_the_next_ones_do_not() {
    let harness = DeliveryHarness::new();
    for _ in 0..14 {
        sweep(&harness).await;
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(switches(&harness), [(NOON, Slot::of(NOON + SWITCH))]);
    assert_eq!(harness.queue.enqueued()[0].delay + SECOND, SWITCH);
    assert_eq!(watermark(&harness).await.switch, Slot::of(NOON + SWITCH));
}

#[tokio::test(start_paused = true)]
async fn while_the_timer_works_the_switch_costs_four_messages_an_hour() {
    let harness = DeliveryHarness::new();
    harness.start_worker();
    tokio::time::sleep(10 * HOUR).await;
    let sent = switches(&harness).len();
    assert!((40..=43).contains(&sent), "{sent} in ten hours");
}

#[tokio::test(start_paused = true)]
async fn the_switch_puts_its_successor_and_sweeps() {
    let harness = DeliveryHarness::new();
    let overdue = add(&harness, 4, LATER, 1).await;
    add(&harness, 9, LATER + 2 * MINUTE, 1).await;
    harness.wait_until(LATER + MINUTE).await;
    switched(&harness, Slot::of(LATER + MINUTE)).await.unwrap();
    assert_eq!(switches(&harness), [(LATER + MINUTE, Slot::of(LATER + MINUTE + SOON))], "nobody has swept before");
    assert!(each_was_called_once(&harness, &overdue));
    assert_eq!(enqueued(&harness), [(Slot::of(LATER + 2 * MINUTE), partitions([9]))]);
    assert_eq!(watermark(&harness).await.switch, Slot::of(LATER + MINUTE + SOON));
}

#[tokio::test(start_paused = true)]
async fn the_successor_is_15_minutes_ahead_while_the_sweeps_keep_up_and_2_while_they_do_not() {
    for (behind, ahead) in [(90, SWITCH), (91, SOON)] {
        let harness = DeliveryHarness::new();
        sweep(&harness).await;
        harness.wait_until(NOON + SWITCH - behind * SECOND).await;
        sweep(&harness).await;
        harness.wait_until(NOON + SWITCH).await;
        switched(&harness, Slot::of(NOON + SWITCH)).await.unwrap();
        let expected = Slot::of(NOON + SWITCH + ahead);
        assert_eq!(switches_since(&harness, 1), [expected], "{behind} s after the last sweep");
    }
}

#[tokio::test(start_paused = true)]
async fn a_double_puts_no_successor() {
    let harness = DeliveryHarness::new();
    sweep(&harness).await;
    harness.wait_until(NOON + SWITCH).await;
    switched(&harness, Slot::of(NOON + SWITCH)).await.unwrap();
    let before = switches(&harness).len();
    for _ in 0..3 {
        switched(&harness, Slot::of(NOON + SWITCH)).await.unwrap();
    }
    assert_eq!(switches_since(&harness, before), []);
}

#[tokio::test(start_paused = true)]
async fn of_two_doubles_that_race_one_line_goes_on() {
    let harness = DeliveryHarness::new();
    sweep(&harness).await;
    harness.wait_until(NOON + SWITCH).await;
    for _ in 0..200 {
        harness.table.next_call_takes(Duration::from_millis(10));
    }
    let before = switches(&harness).len();
    let slot = Slot::of(NOON + SWITCH);
    let (one, other) = tokio::join!(switched(&harness, slot), switched(&harness, slot));
    assert!(one.is_ok() && other.is_ok());
    let mut line = switches_since(&harness, before);
    assert_eq!(line.len(), 2, "both read the watermark before one of them wrote it");
    for _ in 0..5 {
        let (before, next) = (switches(&harness).len(), line.iter().max().copied().unwrap());
        harness.wait_until(next.start()).await;
        for slot in line {
            switched(&harness, slot).await.unwrap();
        }
        line = switches_since(&harness, before);
        assert_eq!(line.len(), 1);
    }
}

/// A queue that doubles every message and needs some time for each.
struct Doubling;

impl Faults for Doubling {
    fn next(&self) -> Fault {
        Fault::Doubled
    }

    fn latency(&self) -> Duration {
        Duration::from_millis(700)
    }
}

#[tokio::test(start_paused = true)]
async fn doubles_die_out() {
    let harness = DeliveryHarness::with_queue(SimulatedQueue::new(Doubling));
    harness.start_worker();
    tokio::time::sleep(10 * HOUR).await;
    // Two copies of a message come together and may put a successor each, but never more.
    let sent = switches(&harness).len();
    assert!(sent <= 2 * 43, "{sent} in ten hours");
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_is_lost_is_renewed_by_the_sweep_before_its_time() {
    let harness = DeliveryHarness::new();
    harness.queue.set_fault(Fault::RequestLost);
    sweep(&harness).await;
    harness.queue.set_fault(Fault::None);
    tokio::time::sleep(MINUTE / 2).await;
    for _ in 0..16 {
        sweep(&harness).await;
        tokio::time::sleep(MINUTE).await;
    }
    let sent = switches(&harness);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].0, NOON + SWITCH - MINUTE / 2);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_was_not_enqueued_is_not_recorded() {
    let harness = DeliveryHarness::new();
    harness.queue.set_fault(Fault::Refused);
    sweep(&harness).await;
    assert_eq!(watermark(&harness).await.switch, Slot::of(Timestamp::MIN));
    harness.queue.set_fault(Fault::None);
    sweep(&harness).await;
    assert_eq!(watermark(&harness).await.switch, Slot::of(NOON + SWITCH));
}

#[tokio::test(start_paused = true)]
async fn the_switch_comes_again_while_the_table_is_down() {
    for is_known in [true, false] {
        let harness = DeliveryHarness::new();
        harness.table.set_down(true);
        harness.clock.set_known(is_known);
        let slot = Slot::of(NOON + 4 * SECOND);
        switched(&harness, slot).await.unwrap();
        let from = if is_known { NOON } else { slot.start() };
        assert_eq!(switches(&harness), [(NOON, Slot::of(from + SOON))]);
        assert_eq!(harness.queue.enqueued()[0].delay, SOON, "whatever the clock shows");
    }
}

#[tokio::test(start_paused = true)]
async fn the_switch_fails_only_if_its_successor_was_not_enqueued() {
    let slot = Slot::of(NOON);
    for table_is_down in [true, false] {
        let harness = DeliveryHarness::new();
        harness.table.set_down(table_is_down);
        harness.queue.set_fault(Fault::Refused);
        assert!(switched(&harness, slot).await.is_err());
    }
    // The watermark is read and written, and then the sweep reads it in vain.
    let harness = DeliveryHarness::new();
    harness.table.next_calls(&[Fault::None, Fault::None, Fault::Refused]);
    switched(&harness, slot).await.unwrap();
    assert_eq!(watermark(&harness).await.switch, Slot::of(NOON + SOON));
    assert_eq!(watermark(&harness).await.lowest(), Slot::of(Timestamp::MIN), "the sweep has failed");
    // Without its record, the successor is still on its way.
    let harness = DeliveryHarness::new();
    harness.table.next_calls(&[Fault::None, Fault::Refused]);
    switched(&harness, slot).await.unwrap();
    assert_eq!(switches_since(&harness, 0), [Slot::of(NOON + SOON)]);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_is_too_early_is_put_again_and_a_forged_one_is_dropped() {
    let harness = DeliveryHarness::new();
    sweep(&harness).await;
    for (ahead, again) in [(7, true), (961, true), (962, false), (100_000, false)] {
        let (before, slot) = (switches(&harness).len(), Slot::of(NOON + ahead * SECOND));
        switched(&harness, slot).await.unwrap();
        assert_eq!(switches_since(&harness, before), if again { vec![slot] } else { vec![] }, "{ahead} s");
    }
    assert_eq!(watermark(&harness).await.switch, Slot::of(NOON + SWITCH));
}
