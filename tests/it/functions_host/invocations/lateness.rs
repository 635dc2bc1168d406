//! The answer to `deliverDueConversations` says how late the latest attempt was; an alert in infra/ reads it.

use std::time::Duration;

use mcp_scheduler::store::{PartitionSet, Slot, WakeUp};
use serde_json::json;

use crate::support::delivery_harness::{DeliveryHarness, NOON};
use crate::support::invocations::{Host, envelope, text, text_of};

const SECOND: Duration = Duration::from_secs(1);
/// A member of the figures of a run.
const LATENESS: &str = "scheduler.delivery.lateness";

#[tokio::test(start_paused = true)]
async fn the_line_of_a_run_has_the_lateness_of_its_latest_attempt() {
    // The rows are read early, so that the claim is committed ahead; then the claim takes 700 ms.
    for (ahead, claim_takes, late) in [(SECOND, 0, 0_u16), (Duration::ZERO, 700, 700)] {
        let harness = DeliveryHarness::new();
        let host = Host::of(&harness);
        host.have_looked().await;
        let due = harness.schedule(2 * SECOND, |_| ()).await;
        harness.wait_until(due.at - ahead).await;
        for latency in [Duration::ZERO, Duration::ZERO, Duration::from_millis(claim_takes)] {
            harness.table.next_call_takes(latency);
        }
        let run = host.deliver(envelope(&text(&due)).to_string()).await.figures();
        assert_eq!((&run["attempts"], &run[LATENESS]), (&json!(1), &json!(f64::from(late) / 1e3)), "{run}");
        let seen = harness.endpoint.calls()[0].header("scheduler-lateness-ms").unwrap().to_owned();
        assert_eq!(seen, late.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_of_several_says_how_late_the_latest_was() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(10 * SECOND + SECOND / 10, |_| ()).await;
    harness.schedule(10 * SECOND + SECOND / 2, |_| ()).await;
    harness.wait_until(NOON + 12 * SECOND).await;
    let all = text_of(&WakeUp::of_slot(Slot::of(due.at), PartitionSet::ALL));
    let host = Host::of(&harness);
    let run = async || host.deliver(envelope(&all).to_string()).await.line();
    assert_eq!(
        run().await,
        r#"{"message":"wake-up handled","attempts":2,"scheduler.delivery.lateness":1.9,"nothing_to_do":0,"left":0,"undeliverable":0}"#
    );
    // A run without an attempt has no lateness.
    let line = run().await;
    assert!(!line.contains(LATENESS) && line.contains(r#""attempts":0"#), "{line}");
}
