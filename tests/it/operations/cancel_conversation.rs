//! `cancelConversation`

use std::time::Duration;

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::in_seconds;
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

#[tokio::test]
async fn a_cancelled_conversation_stays_visible_and_is_never_sent() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(2), "endpoint": receiver.url("/") })).await;
    let later = client.scheduled(json!({ "scheduledTime": in_seconds(3), "endpoint": receiver.url("/later") })).await;
    let answer = client.cancel(&id).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({ "conversationId": id, "cancelled": true }));
    client.wait_for(&later, "Completed").await;
    let paths: Vec<_> = receiver.received().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/later"]);
    let shown = client.status(&id).await.json();
    assert_eq!(shown["status"], "Cancelled");
    golden::check("status-cancelled", &shown);
}

#[tokio::test]
async fn a_repeated_cancel_gets_the_same_answer() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let first = client.cancel(&id).await;
    golden::check("cancel", &first.json());
    for _ in 0..3 {
        let again = client.cancel(&id).await;
        assert_eq!((again.status, again.text), (200, first.text.clone()));
    }
}

#[tokio::test]
async fn concurrent_cancels_all_succeed() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let answers = futures_util::future::join_all((0..20).map(|_| client.cancel(&id))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

#[tokio::test]
async fn a_conversation_in_flight_cannot_be_cancelled() {
    let receiver = Receiver::start([Reply::status(200).after(Duration::from_mins(1))]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    receiver.wait_for(1).await;
    let answer = client.cancel(&id).await;
    answer.assert_problem(409, "too-late");
    assert_eq!(answer.json()["conversationStatus"], "InProgress");
    golden::check("problem-too-late-delivering", &answer.json());
}

#[tokio::test]
async fn a_request_that_a_proxy_repeats_gets_the_same_answer() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let first = client.cancel(&id).await;
    let again = futures_util::future::join_all((0..40).map(|_| client.cancel(&id))).await;
    assert!(again.iter().all(|answer| (answer.status, &answer.text) == (200, &first.text)), "{again:?}");
    // All of them at once, too.
    let id = client.scheduled(json!({})).await;
    let answers = futures_util::future::join_all((0..40).map(|_| client.cancel(&id))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

#[tokio::test]
async fn a_conversation_between_attempts_can_be_cancelled() {
    let receiver = Receiver::start([Reply::status(503)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    receiver.wait_for(1).await;
    while client.status(&id).await.json()["nextAttemptTime"].is_null() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(client.cancel(&id).await.status, 200);
    assert_eq!(client.status(&id).await.json()["status"], "Cancelled");
}

#[tokio::test]
async fn a_cancel_of_a_final_conversation_says_how_it_ended() {
    for (status, end) in [(200, "Completed"), (400, "Failed")] {
        let receiver = Receiver::start([Reply::status(status)]).await;
        let app = TestApp::start().await;
        let client = app.client();
        let once = json!({ "maxAttempts": 1 });
        let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "retry": once });
        let id = client.scheduled(now).await;
        client.wait_for(&id, end).await;
        let answer = client.cancel(&id).await;
        answer.assert_problem(409, "too-late");
        assert_eq!(answer.json()["conversationStatus"], end);
        golden::check(&format!("problem-too-late-{}", end.to_lowercase()), &answer.json());
    }
}

#[tokio::test]
async fn another_clients_conversation_does_not_exist_and_is_not_touched() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.client(), app.other_client());
    let id = bob.scheduled(json!({})).await;
    let unknown = alice.cancel("01890000-0000-7000-8000-00000000000f").await;
    unknown.assert_problem(404, "no-such-conversation");
    for other in [&id, "nonsense", "a%2Fb", "%00"] {
        let answer = alice.cancel(other).await;
        assert_eq!((answer.status, answer.text), (404, unknown.text.clone()), "{other}");
    }
    assert_eq!(bob.status(&id).await.json()["status"], "Scheduled");
}
