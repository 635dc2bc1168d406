//! `scheduleConversation`

mod bodies;
mod callbacks;
mod idempotency;
mod recurrence;
mod times;

use http::Method;
use mcp_scheduler::domain::Timestamp;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, conversation, in_seconds};
use crate::support::golden;
use crate::support::receiver::Receiver;

#[tokio::test]
async fn the_answer_has_the_id_the_time_and_the_seconds_until_then() {
    let app = TestApp::start().await;
    let answer = app.client().schedule(json!({ "scheduledTime": "2035-06-01T14:00:00.25+02:00" })).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(json["status"], "Scheduled");
    assert_eq!(json["scheduledTime"], "2035-06-01T12:00:00.250Z");
    let time = |name: &str| Timestamp::parse(json[name].as_str().unwrap()).unwrap();
    let due_in = time("serverTime").until(time("scheduledTime")).as_secs_f64();
    assert!((json["dueInSeconds"].as_f64().unwrap() - due_in).abs() < 0.0015, "{json}");
    golden::check("schedule", &json);
}

#[tokio::test]
async fn a_naive_time_is_utc() {
    let app = TestApp::start().await;
    let answer = app.client().schedule(json!({ "scheduledTime": "2035-06-01T12:00:00" })).await;
    assert_eq!(answer.json()["scheduledTime"], "2035-06-01T12:00:00.000Z");
}

#[tokio::test]
async fn a_time_in_the_last_minute_is_due_now() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let id = client.scheduled(json!({ "scheduledTime": in_seconds(-50), "endpoint": receiver.url("/") })).await;
    let completed = client.wait_for(&id, "Completed").await;
    assert!(completed["latenessMs"].as_u64().unwrap() < 10_000, "{completed}");
}

#[tokio::test]
async fn an_older_time_is_refused_and_the_server_says_what_time_it_is() {
    let app = TestApp::start().await;
    let answer = app.client().schedule(json!({ "scheduledTime": in_seconds(-3600) })).await;
    answer.assert_invalid(&["/scheduledTime"]);
    let json = answer.json();
    let now = Timestamp::parse(json["serverTime"].as_str().unwrap()).unwrap();
    assert!(now.until(Timestamp::parse(&in_seconds(0)).unwrap()).as_secs() < 10);
    assert!(json["detail"].as_str().unwrap().contains("seconds in the past"), "{json}");
}

#[tokio::test]
async fn method_names_are_accepted_in_any_case() {
    let app = TestApp::start().await;
    let client = app.client();
    for (given, shown) in [("put", "PUT"), ("Get", "GET"), ("DELETE", "DELETE")] {
        let id = client.scheduled(json!({ "method": given })).await;
        assert_eq!(client.status(&id).await.json()["method"], shown);
    }
}

#[tokio::test]
async fn an_optional_field_may_be_null() {
    let app = TestApp::start().await;
    let nulls = json!({
        "labels": null, "body": null, "successWhen": null, "threadId": null, "expireAfter": null, "onFailed": null, "onCompleted": null, "method": null, "headers": null, "additionalInfo": null, "format": null, "retry": null, "timeoutSeconds": null,
    });
    let answer = app.client().schedule(nulls).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn all_errors_of_a_request_are_reported_together() {
    let app = TestApp::start().await;
    let answer = app.client().schedule_raw("{}").await;
    answer.assert_invalid(&["/conversationText", "/scheduledTime", "/endpoint"]);
    golden::check("problem-invalid-request", &answer.json());
}

#[tokio::test]
async fn two_conversations_never_share_an_id() {
    let app = TestApp::start().await;
    let client = app.client();
    let same = json!({});
    assert_ne!(client.scheduled(same.clone()).await, client.scheduled(same).await);
}

#[tokio::test]
async fn a_request_is_authenticated_before_it_is_validated() {
    let app = TestApp::start().await;
    let request = app.client().anonymous(Method::POST, "/api/scheduler/schedule");
    let answer = Answer::to(request.header("content-type", "text/plain").body("{")).await;
    answer.assert_problem(401, "unauthorized");
    assert_eq!(answer.challenge(), "Bearer");
    golden::check("problem-unauthorized", &answer.json());
}

#[tokio::test]
async fn only_json_in_utf_8_is_read() {
    let app = TestApp::start().await;
    let client = app.client();
    let schedule = async |headers: &[(&str, &str)]| {
        let mut request = client.request(Method::POST, "/api/scheduler/schedule").await;
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::to(request.body(conversation(json!({})).to_string())).await
    };
    for good in [
        "application/json",
        "application/json;charset=utf-8",
        "Application/JSON; Charset=\"UTF-8\"",
        "application/json ; charset=utf-8; x=y",
    ] {
        assert_eq!(schedule(&[("content-type", good)]).await.status, 200, "{good}");
    }
    assert_eq!(schedule(&[("content-type", "application/json"), ("content-encoding", "Identity")]).await.status, 200);
    for bad in [
        "",
        "json",
        "text/json",
        "application/jsonp",
        "application/json, text/plain",
        "application/json; charset=latin1",
        "application/json; charset=utf-8; charset=utf-16",
        "application/x-www-form-urlencoded",
    ] {
        schedule(&[("content-type", bad)]).await.assert_problem(415, "unsupported-media-type");
    }
    let two = schedule(&[("content-type", "application/json"), ("content-type", "text/plain")]).await;
    two.assert_problem(415, "unsupported-media-type");
    for coding in ["gzip", "br", "identity, gzip"] {
        let answer = schedule(&[("content-type", "application/json"), ("content-encoding", coding)]).await;
        answer.assert_problem(415, "unsupported-media-type");
    }
    schedule(&[]).await.assert_problem(415, "unsupported-media-type");
    golden::check("problem-unsupported-media-type", &schedule(&[]).await.json());
}

#[tokio::test]
async fn the_service_accepts_what_it_answers() {
    let app = TestApp::start().await;
    let client = app.client();
    let id = client.scheduled(json!({})).await;
    let shown: Value = client.status(&id).await.json();
    let again = client.schedule(json!({ "scheduledTime": shown["scheduledTime"] })).await;
    assert_eq!(again.json()["scheduledTime"], shown["scheduledTime"]);
}
