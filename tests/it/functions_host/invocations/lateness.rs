//! The answer to `deliverConversation` says how late the attempt was; an alert in infra/ reads it.

use std::time::Duration;

use crate::support::delivery_harness::{DeliveryHarness, NOON};
use crate::support::invocations::{Host, envelope};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_line_of_an_attempt_has_the_lateness_of_its_header() {
    // Half a second early, so that the claim is committed ahead; then with a claim that takes 700 ms.
    for (at, claim_takes, late) in [(NOON + SECOND / 2, 0, 0), (NOON + SECOND, 700, 700)] {
        let harness = DeliveryHarness::new();
        let wake_up = harness.schedule(SECOND, |_| ()).await;
        harness.wait_until(at).await;
        harness.table.next_call_takes(Duration::ZERO);
        harness.table.next_call_takes(Duration::from_millis(claim_takes));
        let line = Host::of(&harness).deliver(envelope(&wake_up.to_message()).to_string()).await.line();
        assert!(line.contains(&format!("attempt made {late} ms after its time, ")), "{line}");
        let seen = harness.endpoint.calls()[0].header("scheduler-lateness-ms").unwrap().to_owned();
        assert_eq!(seen, late.to_string());
    }
}
