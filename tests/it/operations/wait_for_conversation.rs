//! `waitForConversation`

use std::time::Duration;

use mcp_scheduler::api::RecurrenceRequest;
use mcp_scheduler::domain::{ConversationId, Status};
use mcp_scheduler::scheduler::{Scheduler, SchedulerError};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::client::in_seconds;
use crate::support::delivery_harness::{Answer, DeliveryHarness};
use crate::support::receiver::Receiver;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A service that delivers, with the use cases of a service that stops at this token.
fn service(stop: &CancellationToken) -> (DeliveryHarness, Scheduler) {
    let harness = DeliveryHarness::in_one_process();
    harness.start();
    let scheduler = harness.scheduler.clone().waiting_until(stop.clone());
    (harness, scheduler)
}

/// The status that a wait returns, and the time it took.
async fn wait(
    harness: &DeliveryHarness,
    scheduler: &Scheduler,
    id: ConversationId,
    longest: Duration,
) -> (Status, Duration) {
    let began = Instant::now();
    let found = scheduler.wait(&harness.client, id, longest).await.unwrap();
    (found.whole.conversation.status(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_within_a_second_of_the_conversation_and_is_never_longer_than_it_says() {
    let (harness, scheduler) = service(&CancellationToken::new());
    let due = harness.schedule(7 * SECOND, |_| ()).await;
    let (status, took) = wait(&harness, &scheduler, due.id, 20 * SECOND).await;
    assert_eq!(status, Status::Completed);
    assert!((7 * SECOND..=8 * SECOND).contains(&took), "{took:?}");
    assert_eq!(wait(&harness, &scheduler, due.id, 20 * SECOND).await, (Status::Completed, Duration::ZERO));

    let later = harness.schedule(MINUTE, |_| ()).await;
    assert_eq!(wait(&harness, &scheduler, later.id, 20 * SECOND).await, (Status::Scheduled, 20 * SECOND));
    assert_eq!(wait(&harness, &scheduler, later.id, Duration::ZERO).await, (Status::Scheduled, Duration::ZERO));

    let half = Duration::from_millis(500);
    let between = harness.schedule(2 * SECOND + half, |_| ()).await;
    let longest = Duration::from_millis(2800);
    assert_eq!(wait(&harness, &scheduler, between.id, longest).await, (Status::Completed, longest), "as it is then");
}

#[tokio::test(start_paused = true)]
async fn every_end_ends_a_wait_and_an_occurrence_is_no_end() {
    let (harness, scheduler) = service(&CancellationToken::new());
    let due = harness.schedule(MINUTE, |_| ()).await;
    let cancel = async {
        sleep(3 * SECOND).await;
        scheduler.cancel(&harness.client, due.id).await.unwrap();
    };
    let ((status, took), ()) = tokio::join!(wait(&harness, &scheduler, due.id, 20 * SECOND), cancel);
    assert_eq!(status, Status::Cancelled);
    assert!(took <= 4 * SECOND, "{took:?}");

    let each_minute = RecurrenceRequest {
        cron: Some("* * * * *".to_owned()),
        max_occurrences: Some(2),
        ..RecurrenceRequest::default()
    };
    let series = harness.schedule(SECOND, |request| request.recurrence = Some(each_minute)).await;
    let (status, _) = wait(&harness, &scheduler, series.id, 5 * MINUTE).await;
    assert_eq!((status, harness.endpoint.calls().len()), (Status::Completed, 2));

    harness.endpoint.will([Answer::status(410)]);
    let failing = harness.schedule(SECOND, |_| ()).await;
    assert_eq!(wait(&harness, &scheduler, failing.id, 20 * SECOND).await.0, Status::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_service_ends_a_wait_and_under_the_functions_host_there_is_none() {
    let stop = CancellationToken::new();
    let (harness, scheduler) = service(&stop);
    let due = harness.schedule(MINUTE, |_| ()).await;
    let stopping = async {
        sleep(4 * SECOND).await;
        stop.cancel();
    };
    let (waited, ()) = tokio::join!(wait(&harness, &scheduler, due.id, 20 * SECOND), stopping);
    assert_eq!(waited, (Status::Scheduled, 4 * SECOND));
    assert_eq!(wait(&harness, &scheduler, due.id, 20 * SECOND).await, (Status::Scheduled, Duration::ZERO));
    let under_the_host = &harness.scheduler;
    assert_eq!(wait(&harness, under_the_host, due.id, 20 * SECOND).await, (Status::Scheduled, Duration::ZERO));
    let of_bob = scheduler.wait(&"bob".parse().unwrap(), due.id, 20 * SECOND).await;
    assert!(matches!(of_bob, Err(SchedulerError::NotFound)));
}

#[tokio::test]
async fn the_answer_is_that_of_get_conversation_status_and_an_unknown_id_is_not_waited_for() {
    let app = TestApp::start().await;
    let (client, receiver) = (app.client(), Receiver::accepting().await);
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(1), "endpoint": receiver.url("/") })).await;
    let waited = client.get(&format!("/api/scheduler/wait/{id}")).await;
    let status = client.status(&id).await;
    assert_eq!((waited.status, waited.header("etag")), (200, status.header("etag")));
    let [mut waited, mut status] = [waited.json(), status.json()];
    for record in [&mut waited, &mut status] {
        assert!(record.as_object_mut().unwrap().remove("serverTime").is_some());
    }
    assert_eq!((&waited["status"], &waited), (&json!("Completed"), &status));

    let open = client.scheduled(json!({})).await;
    let path = format!("/api/scheduler/wait/{open}");
    assert_eq!(client.get(&format!("{path}?waitSeconds=0")).await.json()["status"], "Scheduled");
    client.get(&format!("{path}?waitSeconds=21")).await.assert_invalid(&["/waitSeconds"]);
    client.get(&format!("{path}?timeout=5")).await.assert_invalid(&["/timeout"]);
    app.other_client().get(&path).await.assert_problem(404, "no-such-conversation");
    client.get("/api/scheduler/wait/1").await.assert_problem(404, "no-such-conversation");
}
