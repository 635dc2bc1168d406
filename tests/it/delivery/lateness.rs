//! Lateness is the time of the first byte minus the due time, wherever the service shows it.
//!
//! The header and `latenessMs` are about the conversation and count from its scheduled time. The outcome and the log
//! are about the attempt and count from when that attempt was due.

use std::time::Duration;

use mcp_scheduler::delivery::DeliveryOutcome;
use mcp_scheduler::store::DueKey;
use tracing::Level;

use crate::support::captured_log::CapturedLog;
use crate::support::delivery_harness::{Answer, DeliveryHarness, NOON};
use crate::support::invocations::Host;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The lateness of one attempt in each place that shows it, in milliseconds.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    header: u64,
    outcome: u64,
    log: u64,
    /// The lateness of the first attempt, whichever attempt this is. None if the first attempt was lost.
    status: Option<u64>,
}

impl Shown {
    const fn everywhere(lateness: u64) -> Self {
        Self { header: lateness, outcome: lateness, log: lateness, status: Some(lateness) }
    }
}

/// Makes the next attempt. The commit of its claim takes this long.
async fn attempt(harness: &DeliveryHarness, due: &DueKey, claim_takes: Duration) -> Shown {
    let due = harness.next_due(due).await.unwrap();
    // The first call reads the conversation, the second one commits the claim.
    harness.table.next_call_takes(Duration::ZERO);
    harness.table.next_call_takes(claim_takes);
    let (log, guard) = CapturedLog::start(Level::DEBUG);
    let outcome = harness.deliverer().deliver(&due, None).await.unwrap();
    drop(guard);
    let DeliveryOutcome::Attempted { lateness, .. } = outcome else { panic!("no attempt: {outcome:?}") };
    let call = harness.endpoint.calls().pop().unwrap();
    Shown {
        header: call.header("scheduler-lateness-ms").unwrap().parse().unwrap(),
        outcome: lateness.as_millis().try_into().unwrap(),
        log: logged(&log.text()),
        status: Host::of(harness).status(due.id).await["latenessMs"].as_u64(),
    }
}

/// The field `lateness_ms` of the one event that says that an attempt is over.
fn logged(log: &str) -> u64 {
    let lines: Vec<_> = log.lines().filter(|line| line.contains("attempt finished")).collect();
    let [line] = lines[..] else { panic!("one attempt finished: {log}") };
    let (_, value) = line.split_once(" lateness_ms=").unwrap();
    value.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_delivery_on_time_is_0_ms_late_although_it_is_claimed_up_to_10_ms_ahead() {
    for claim_takes in [0, 1, 9, 10] {
        let harness = DeliveryHarness::new();
        harness.endpoint.will([Answer::status(200).after(3 * SECOND)]);
        let due = harness.schedule(SECOND, |_| ()).await;
        let shown = attempt(&harness, &due, claim_takes * MILLISECOND).await;
        assert_eq!(shown, Shown::everywhere(0), "the claim takes {claim_takes} ms");
        assert_eq!(harness.endpoint.calls()[0].at, NOON + SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_as_late_as_the_commit_of_its_claim() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(200).after(3 * SECOND)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    assert_eq!(attempt(&harness, &due, 700 * MILLISECOND).await, Shown::everywhere(700));
}

#[tokio::test(start_paused = true)]
async fn a_retry_counts_from_its_own_time_and_its_header_from_the_scheduled_time() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(503).after(SECOND)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    assert_eq!(attempt(&harness, &due, 200 * MILLISECOND).await, Shown::everywhere(200));
    let retry_at = harness.read(due.id).await.next_wake_at().unwrap();
    harness.wait_until(retry_at).await;
    let header = u64::try_from(NOON.until(retry_at).as_millis()).unwrap() + 300;
    let retry = attempt(&harness, &due, 300 * MILLISECOND).await;
    assert_eq!(retry, Shown { header, outcome: 300, log: 300, status: Some(200) });
}

#[tokio::test(start_paused = true)]
async fn the_attempt_after_a_lost_one_counts_from_the_end_of_the_pause() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    harness.lose_an_attempt(&due).await;
    let lease_ends = harness.next_due(&due).await.unwrap();
    assert_eq!(harness.deliverer().deliver(&lease_ends, None).await.unwrap(), DeliveryOutcome::NothingToDo);
    let pause_ends = harness.read(due.id).await.next_wake_at().unwrap();
    harness.wait_until(pause_ends + 4 * SECOND).await;
    let header = u64::try_from(NOON.until(pause_ends).as_millis()).unwrap() + 4000;
    let next = attempt(&harness, &due, Duration::ZERO).await;
    assert_eq!(next, Shown { header, outcome: 4000, log: 4000, status: None });
}

#[tokio::test(start_paused = true)]
async fn the_status_shows_no_lateness_while_the_first_attempt_is_in_flight() {
    let harness = DeliveryHarness::new();
    harness.endpoint.will([Answer::status(503).after(2 * SECOND), Answer::status(200).after(20 * SECOND)]);
    let due = harness.schedule(Duration::ZERO, |_| ()).await;
    let host = Host::of(&harness);
    assert!(host.status(due.id).await.get("latenessMs").is_none(), "nothing has been sent");
    harness.start_worker();
    tokio::time::sleep(SECOND).await;
    let first = host.status(due.id).await;
    assert_eq!((&first["attempts"][0]["outcome"], first.get("latenessMs")), (&"inFlight".into(), None));
    tokio::time::sleep(8 * SECOND).await;
    let second = host.status(due.id).await;
    assert_eq!((&second["attempts"][1]["outcome"], &second["latenessMs"]), (&"inFlight".into(), &0.into()));
}
