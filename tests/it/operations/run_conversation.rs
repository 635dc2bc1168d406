//! `runConversation`

use http::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient, in_seconds};
use crate::support::receiver::{Receiver, Reply};

/// Everything that a copy takes over.
fn everything(receiver: &Receiver) -> Value {
    json!({
        "endpoint": receiver.url("/hook"), "method": "PUT", "headers": { "X-Own": "yes" },
        "additionalInfo": { "ticket": 7 }, "format": "json", "body": { "text": "{{conversationText}}" },
        "successWhen": { "pointer": "/ok", "absent": true }, "retry": { "maxAttempts": 3 }, "timeoutSeconds": 7,
        "labels": { "team": "ops" }, "threadId": "thread-1", "expireAfter": "1h",
        "onFailed": { "endpoint": "https://example.com/failed", "headers": { "X-Own": "yes" } },
    })
}

fn with(mut fields: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    fields.as_object_mut().unwrap().extend(more);
    fields
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["conversationId"].as_str().unwrap().to_owned()
}

async fn run_once(client: &ApiClient, id: &str, key: &str) -> Answer {
    let request = client.request(Method::POST, &format!("/api/scheduler/{id}/run")).await;
    Answer::to(request.header("idempotency-key", key)).await
}

/// A conversation as it is shown, without the time of the answer.
async fn shown(client: &ApiClient, id: &str) -> Value {
    let mut shown = client.status(id).await.json();
    shown.as_object_mut().unwrap().remove("serverTime");
    shown
}

#[tokio::test]
async fn a_copy_is_sent_now_and_the_series_stays_as_it_is() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let series = json!({ "scheduledTime": null, "recurrence": { "cron": "0 9 * * 5", "timeZone": "Europe/Berlin" } });
    let id = client.scheduled(with(everything(&receiver), &series)).await;
    let before = shown(&client, &id).await;
    let answer = client.run(&id).await;
    let copy = id_of(&answer);
    assert_ne!(copy, id);
    assert_eq!((&answer.json()["status"], &answer.json()["dueInSeconds"]), (&json!("Scheduled"), &json!(0.0)));
    let delivered = client.wait_for(&copy, "Completed").await;
    assert_eq!(shown(&client, &id).await, before);
    for field in ["recurrence", "paused", "timeZone"] {
        assert_eq!(delivered.get(field), None, "{field}");
    }
    for field in [
        "conversationText",
        "endpoint",
        "method",
        "headers",
        "additionalInfo",
        "format",
        "body",
        "successWhen",
        "retry",
        "timeoutSeconds",
        "labels",
        "threadId",
        "expireAfter",
        "onFailed",
    ] {
        assert!(before.get(field).is_some(), "{field}");
        assert_eq!(delivered[field], before[field], "{field}");
    }
    let [request] = &receiver.received()[..] else { panic!("one request") };
    assert_eq!((&*request.body, request.headers["x-own"].to_str().unwrap()), (&br#"{"text":"hello"}"#[..], "yes"));
    assert_eq!(request.headers["webhook-id"].to_str().unwrap(), copy);
}

#[tokio::test]
async fn a_conversation_in_every_status_is_run() {
    let receiver = Receiver::start([Reply::status(200), Reply::status(410), Reply::status(200)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let now = || json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") });
    let completed = client.scheduled(now()).await;
    client.wait_for(&completed, "Completed").await;
    let failed = client.scheduled(now()).await;
    client.wait_for(&failed, "Failed").await;
    let cancelled = client.scheduled(json!({ "endpoint": receiver.url("/") })).await;
    client.cancel(&cancelled).await;
    let scheduled = client.scheduled(json!({ "endpoint": receiver.url("/") })).await;
    for id in [&completed, &failed, &cancelled, &scheduled] {
        let before = shown(&client, id).await;
        for _ in 0..2 {
            let copy = id_of(&client.run(id).await);
            client.wait_for(&copy, "Completed").await;
        }
        assert_eq!(shown(&client, id).await, before);
    }
    assert_eq!(receiver.received().len(), 10, "a call without a key sends once more each time");
}

#[tokio::test]
async fn a_conversation_is_run_while_an_attempt_of_it_waits_for_the_next_one() {
    let receiver = Receiver::start([Reply::status(503), Reply::status(200)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") })).await;
    client.wait_for(&id, "InProgress").await;
    receiver.wait_for(1).await;
    let copy = id_of(&client.run(&id).await);
    client.wait_for(&copy, "Completed").await;
}

#[tokio::test]
async fn with_a_key_a_repetition_runs_nothing() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let id = client.scheduled(json!({ "endpoint": receiver.url("/") })).await;
    let first = run_once(&client, &id, "once").await;
    let copy = id_of(&first);
    client.wait_for(&copy, "Completed").await;
    assert_eq!(run_once(&client, &id, "once").await.text, first.text);
    let by_tool = client.call_tool("runConversation", json!({ "conversationId": id, "idempotencyKey": "once" })).await;
    assert_eq!((by_tool.is_error, by_tool.text), (false, copy.clone()));
    let other = client.scheduled(json!({ "endpoint": receiver.url("/") })).await;
    run_once(&client, &other, "once").await.assert_problem(422, "idempotency-key-reused");
    let another = id_of(&run_once(&client, &id, "twice").await);
    assert_ne!(another, copy);
    client.wait_for(&another, "Completed").await;
    assert_eq!(receiver.received().len(), 2);
    run_once(&client, &id, "").await.assert_invalid(&["/Idempotency-Key"]);
}

#[tokio::test]
async fn requests_at_once_with_one_key_run_one_copy() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let id = client.scheduled(json!({ "endpoint": receiver.url("/") })).await;
    let answers = futures_util::future::join_all((0..10).map(|_| run_once(&client, &id, "once"))).await;
    let copy = id_of(&answers[0]);
    assert!(answers.iter().all(|answer| answer.text == answers[0].text), "{answers:?}");
    client.wait_for(&copy, "Completed").await;
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn another_clients_conversation_does_not_exist_and_is_not_run() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let (alice, bob) = (app.client(), app.other_client());
    let id = bob.scheduled(json!({ "endpoint": receiver.url("/") })).await;
    let unknown = alice.run("01890000-0000-7000-8000-00000000000f").await;
    unknown.assert_problem(404, "no-such-conversation");
    for other in [&id, "nonsense", "a%2Fb"] {
        let answer = alice.run(other).await;
        assert_eq!((answer.status, answer.text), (404, unknown.text.clone()), "{other}");
    }
    assert_eq!(alice.list("").await.json()["conversations"], json!([]));
    assert_eq!(receiver.received().len(), 0);
}
