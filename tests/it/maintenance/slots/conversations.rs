//! Messages of the first release, which name a conversation.

use mcp_scheduler::delivery::WakeUpOutcome;
use mcp_scheduler::domain::{ClientId, ConversationId};

use super::*;

async fn run(harness: &DeliveryHarness, client: &ClientId, id: ConversationId) -> RunReport {
    let text = format!(r#"{{"v":1,"job":{{"client":"{client}","id":"{id}","generation":1}}}}"#);
    match harness.handler().handle(&WakeUp::from_message(&text).unwrap()).await.unwrap() {
        WakeUpOutcome::Ran(report) => report,
        other @ WakeUpOutcome::Switched => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_the_first_release_delivers_its_conversation_on_time() {
    for early in [0, 1, 5] {
        let harness = DeliveryHarness::new();
        let added = add(&harness, 5, LATER, 2).await;
        harness.wait_until(LATER - early * SECOND).await;
        let report = run(&harness, &harness.client, added[0].id).await;
        assert_eq!(report, RunReport { attempted: 1, ..RunReport::default() });
        assert!(each_was_called_once(&harness, &added[..1]));
        assert_eq!(harness.endpoint.calls()[0].at, LATER);
        assert_eq!(run(&harness, &harness.client, added[0].id).await, RunReport::default(), "it is final");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_the_first_release_that_comes_too_early_is_dropped() {
    let harness = DeliveryHarness::new();
    let key = add(&harness, 5, LATER, 1).await.remove(0);
    harness.wait_until(LATER - 5 * SECOND - SECOND / 2).await;
    assert_eq!(run(&harness, &harness.client, key.id).await, RunReport::default());
    assert!(harness.endpoint.calls().is_empty());
    // The look of the handler has swept, so the second has a wake-up.
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(enqueued(&harness), [(Slot::of(LATER), partitions([5]))]);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_the_first_release_for_an_unknown_conversation_leads_to_nothing() {
    let harness = DeliveryHarness::new();
    let key = add(&harness, 5, LATER, 1).await.remove(0);
    harness.wait_until(LATER).await;
    let unknown = "0189c0de-0000-7000-8000-000000000001".parse().unwrap();
    assert_eq!(run(&harness, &harness.client, unknown).await, RunReport::default());
    assert_eq!(run(&harness, &"somebody-else".parse().unwrap(), key.id).await, RunReport::default());
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_conversation_of_the_first_release_without_a_permit_comes_again() {
    let harness = DeliveryHarness::new();
    let added = add(&harness, 5, LATER, 2).await;
    harness.endpoint.will([Answer::status(200).after(50 * SECOND)]);
    harness.wait_until(LATER).await;
    let deliverer = Arc::into_inner(harness.deliverer()).unwrap().with_max_in_flight(2);
    let runner = harness.runner_of(Arc::new(deliverer));
    let (first, second) = tokio::join!(
        runner.run_conversation(&harness.client, added[0].id),
        runner.run_conversation(&harness.client, added[1].id)
    );
    assert_eq!((first.unwrap().attempted, second.unwrap().left), (1, 1));
    assert_eq!(left(&harness)[0].1, 5 * SECOND);
    assert_eq!(run_parts(&harness, &harness.runner()).await, [1]);
    assert!(each_was_called_once(&harness, &added));
}
