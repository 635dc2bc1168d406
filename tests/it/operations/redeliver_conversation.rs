//! `redeliverConversation`

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{ApiClient, in_seconds};
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};

/// Schedules a conversation and waits until it has failed.
async fn failed(client: &ApiClient, receiver: &Receiver, max_attempts: u32) -> String {
    let retry = json!({ "maxAttempts": max_attempts });
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/"), "retry": retry });
    let id = client.scheduled(now).await;
    client.wait_for(&id, "Failed").await;
    id
}

fn numbers(shown: &Value) -> Vec<u64> {
    shown["attempts"].as_array().unwrap().iter().map(|a| a["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_failed_conversation_is_sent_again_at_once_and_keeps_its_attempts() {
    let receiver = Receiver::start([Reply::status(503), Reply::status(404), Reply::status(200)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = failed(&client, &receiver, 1).await;
    let answer = client.redeliver(&id).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    golden::check("redeliver", &answer.json());
    assert_eq!(numbers(&client.wait_for(&id, "Failed").await), [1, 2]);
    client.redeliver(&id).await;
    let shown = client.wait_for(&id, "Completed").await;
    assert_eq!(numbers(&shown), [1, 2, 3]);
    golden::check("status-redelivered", &shown);
    let header = |name: &str| -> Vec<String> {
        let values = receiver.received().into_iter().map(|r| r.headers[name].to_str().unwrap().to_owned());
        values.collect()
    };
    assert_eq!(header("scheduler-attempt"), ["1", "2", "3"]);
    assert_eq!(header("webhook-id"), [&*id, &*id, &*id], "to the receiver it is the same conversation");
    let bodies: Vec<_> = receiver.received().into_iter().map(|r| r.body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
}

#[tokio::test]
async fn only_a_failed_conversation_can_be_redelivered() {
    let receiver = Receiver::accepting().await;
    let app = TestApp::start().await;
    let client = app.client();
    let scheduled = client.scheduled(json!({})).await;
    let cancelled = client.scheduled(json!({})).await;
    client.cancel(&cancelled).await;
    let completed = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    client.wait_for(&completed, "Completed").await;
    for (id, status) in [(scheduled, "Scheduled"), (cancelled, "Cancelled"), (completed, "Completed")] {
        let answer = client.redeliver(&id).await;
        answer.assert_problem(409, "not-failed");
        assert_eq!(answer.json()["conversationStatus"], status);
        assert_eq!(client.status(&id).await.json()["status"], status);
        if status == "Completed" {
            golden::check("problem-not-failed", &answer.json());
        }
    }
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_request_that_a_proxy_repeats_gets_the_same_answer_and_is_one_redelivery() {
    let receiver = Receiver::start([Reply::status(410), Reply::status(503)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = failed(&client, &receiver, 2).await;
    let first = client.redeliver(&id).await;
    // Also after the first attempt, while the next one waits.
    receiver.wait_for(2).await;
    for _ in 0..40 {
        let again = client.redeliver(&id).await;
        assert_eq!((again.status, &again.json()["status"]), (first.status, &first.json()["status"]), "{}", again.text);
    }
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn a_conversation_has_at_most_a_hundred_attempts_in_its_life() {
    let receiver = Receiver::start([Reply::status(410)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = failed(&client, &receiver, 20).await;
    for _ in 0..80 {
        let answer = client.redeliver(&id).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        client.wait_for(&id, "Failed").await;
    }
    for _ in 0..2 {
        let answer = client.redeliver(&id).await;
        answer.assert_problem(409, "too-many-attempts");
        golden::check("problem-too-many-attempts", &answer.json());
    }
    assert_eq!(receiver.received().len(), 81, "with the 20 of another delivery it could become 101");
    assert_eq!(client.status(&id).await.json()["status"], "Failed");
}

#[tokio::test]
async fn concurrent_redeliveries_make_at_most_one_attempt_each() {
    let receiver = Receiver::start([Reply::status(410)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = failed(&client, &receiver, 8).await;
    let answers = futures_util::future::join_all((0..20).map(|_| client.redeliver(&id))).await;
    let redelivered = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(redelivered >= 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)), "{answers:?}");
    let shown = client.wait_for(&id, "Failed").await;
    // A call after the redelivered attempt has failed is another redelivery, so more than one can succeed.
    assert!((2..=1 + redelivered).contains(&numbers(&shown).len()), "{shown}");
}

#[tokio::test]
async fn another_clients_conversation_does_not_exist_and_is_not_touched() {
    let receiver = Receiver::start([Reply::status(404)]).await;
    let app = TestApp::start().await;
    let (alice, bob) = (app.client(), app.other_client());
    let id = failed(&bob, &receiver, 1).await;
    let unknown = alice.redeliver("01890000-0000-7000-8000-00000000000f").await;
    unknown.assert_problem(404, "no-such-conversation");
    for other in [&id, "nonsense", "a%2Fb", "%00"] {
        let answer = alice.redeliver(other).await;
        assert_eq!((answer.status, answer.text), (404, unknown.text.clone()), "{other}");
    }
    assert_eq!(numbers(&bob.status(&id).await.json()), [1]);
}
