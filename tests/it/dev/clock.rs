//! What happens when the clock is turned.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeZone as _, Timelike as _};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

use super::{DevApp, schedule, time};
use crate::support::client::{Answer, ApiClient};
use crate::support::receiver::{Received, Receiver, Reply};

fn text(received: &Received) -> String {
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    body["conversationText"].as_str().unwrap().to_owned()
}

fn header<'a>(received: &'a Received, name: &str) -> &'a str {
    received.headers[name].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_until_the_new_time_arrives_in_order_and_nothing_before() {
    let app = DevApp::start().await;
    let (anna, ben) = (app.client(), app.another_client("ben").await);
    let replies = [200, 503, 200, 200, 200].map(Reply::status);
    let receiver = Receiver::start(replies).await;
    let conversation =
        |text: &str, delay: &str| json!({ "conversationText": text, "delay": delay, "endpoint": receiver.url("/") });
    let retried = schedule(&anna, conversation("second", "2h")).await;
    schedule(&ben, conversation("first", "1h")).await;
    // The retry follows after five seconds or so.
    schedule(&ben, conversation("third", "2h1m")).await;
    schedule(&anna, conversation("last", "5h")).await;

    let began = app.now().await;
    let turned = app.turn("PT59M").await;
    assert_eq!((receiver.received().len(), &turned["attempts"]["success"]), (0, &json!(0)));
    assert!(time(&turned["now"]) >= began + Duration::from_mins(59));
    let turned = app.turn("PT3H").await;
    let received = receiver.received();
    let texts: Vec<_> = received.iter().map(text).collect();
    assert_eq!(texts, ["first", "second", "second", "third"]);
    let expected = json!({ "success": 3, "failure": 1, "permanentFailure": 0, "unknown": 0 });
    assert_eq!((&turned["attempts"], &turned["pending"], &turned["rest"]), (&expected, &json!(1), &Value::Null));
    for received in &received {
        assert_eq!(header(received, "scheduler-lateness-ms") == "0", header(received, "scheduler-attempt") == "1");
    }
    let attempts = anna.status(&retried).await.json()["attempts"].clone();
    let pause = time(&attempts[0]["startedTime"]).until(time(&attempts[1]["startedTime"]));
    assert!((Duration::from_secs(4)..=Duration::from_secs(6)).contains(&pause), "{attempts}");
    assert_eq!(app.turn("1h30m").await["pending"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurrence_keeps_its_local_time_over_a_year_and_misses_no_day() {
    let app = DevApp::start().await;
    let recurrence = json!({ "cron": "0 9 * * *", "timeZone": "Europe/Berlin" });
    schedule(&app.client(), json!({ "recurrence": recurrence, "endpoint": app.url("/dev/inbox") })).await;
    let turned = app.turn("P366D").await;
    let arrivals = app.arrivals().await;
    assert_eq!((turned["attempts"]["success"].as_u64(), arrivals.len()), (Some(366), 366), "{turned}");
    let mut utc_hours = Vec::new();
    for (number, arrival) in (1..).zip(&arrivals) {
        let scheduled = time(&arrival["scheduledTime"]).as_secs();
        let local = chrono_tz::Europe::Berlin.timestamp_opt(scheduled, 0).unwrap();
        assert_eq!((local.hour(), local.minute()), (9, 0), "{arrival}");
        let headers = &arrival["headers"];
        let told = (&headers["scheduler-occurrence"], &headers["scheduler-missed-occurrences"], &arrival["latenessMs"]);
        assert_eq!(told, (&json!(number.to_string()), &json!("0"), &json!(0)));
        utc_hours.push(local.to_utc().hour());
    }
    utc_hours.dedup();
    assert_eq!(utc_hours.len(), 3, "the clocks of the zone change twice in a year");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_signatures_have_the_real_time() {
    let app = DevApp::start().await;
    let client = app.client();
    let before = client.token().await.to_owned();
    let receiver = Receiver::accepting().await;
    schedule(&client, json!({ "delay": "P3D", "endpoint": receiver.url("/") })).await;
    app.turn("P4D").await;
    assert!(app.now().await >= SystemClock.now() + Duration::from_hours(95));

    // It would have expired after an hour.
    assert_eq!(client.list("").await.status, 200);
    assert_eq!(client.token().await, before);
    assert_eq!(app.client().list("").await.status, 200, "and a new one is valid now");
    let received = receiver.received().remove(0);
    let webhook = Webhook::new(app.client.signing_secret.expose()).unwrap();
    webhook.verify(&received.body, &received.headers).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_delivered_in_the_same_turn() {
    let app = DevApp::start().await;
    let client = app.client();
    let onward = json!({ "onCompleted": { "endpoint": app.url("/dev/inbox/done") } });
    let mut first = json!({ "delay": "1d", "endpoint": app.url("/dev/inbox"), "conversationText": "first" });
    first.as_object_mut().unwrap().extend(onward.as_object().unwrap().clone());
    schedule(&client, first).await;
    let turned = app.turn("P2D").await;
    let paths: Vec<_> = app.arrivals().await.iter().map(|arrival| arrival["path"].clone()).collect();
    assert_eq!((turned["pending"].as_u64(), paths), (Some(0), vec![json!("/dev/inbox"), json!("/dev/inbox/done")]));
}

/// An endpoint that schedules a conversation before it answers.
async fn start_scheduling_endpoint(client: ApiClient, conversation: Value) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = Arc::new(client);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = |request: Request<Incoming>| {
            let (client, conversation) = (Arc::clone(&client), conversation.clone());
            async move {
                request.into_body().collect().await.unwrap();
                schedule(&client, conversation).await;
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        };
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_schedules_while_the_clock_is_turned_is_delivered_in_its_order() {
    let app = DevApp::start().await;
    let between = json!({ "conversationText": "between", "delay": "30m", "endpoint": app.url("/dev/inbox") });
    let endpoint = start_scheduling_endpoint(app.client(), between).await;
    let first = schedule(&app.client(), json!({ "delay": "1h", "endpoint": endpoint })).await;
    // They are read ahead while the endpoint schedules.
    for (text, delay) in [("last", "2h"), ("after it", "4h")] {
        let conversation = json!({ "conversationText": text, "delay": delay, "endpoint": app.url("/dev/inbox") });
        schedule(&app.client(), conversation).await;
    }
    let turned = app.turn("3h").await;
    assert_eq!((&turned["attempts"]["success"], &turned["pending"]), (&json!(3), &json!(1)), "{turned}");
    let arrivals = app.arrivals().await;
    let texts: Vec<_> = arrivals.iter().map(|arrival| arrival["text"].clone()).collect();
    assert_eq!(texts, ["between", "last"]);
    let first = time(&app.client().status(&first).await.json()["scheduledTime"]);
    assert_eq!(time(&arrivals[0]["receivedAt"]), first + Duration::from_mins(30));
    assert_eq!(arrivals[0]["latenessMs"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_also_passes_by_itself() {
    let app = DevApp::start().await;
    app.turn("P1D").await;
    let id = schedule(&app.client(), json!({ "delay": "1s", "endpoint": app.url("/dev/inbox") })).await;
    app.client().wait_for(&id, "Completed").await;
    assert_eq!(app.arrivals().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_turns_the_clock_and_a_wrong_duration_is_explained() {
    let app = DevApp::start().await;
    let client = app.client();
    for (method, path) in [
        (Method::POST, "/dev/clock"),
        (Method::GET, "/dev/clock"),
        (Method::GET, "/dev/inbox"),
        (Method::DELETE, "/dev/inbox"),
    ] {
        let answer = Answer::to(client.anonymous(method, path)).await;
        answer.assert_problem(401, "unauthorized");
    }
    for (advance, taught) in [
        (json!("P1M"), "months or years, which differ in length; use days"),
        (json!("-P1D"), "the clock only goes forward"),
        (json!("soon"), "is not a duration such as 90s, 5m, 2h, 7d"),
        (json!("3654d"), "more than ten years"),
        (json!("5"), "has no unit; write 5s for seconds"),
        (Value::Null, "is required: how far to turn the clock, such as P4D"),
    ] {
        let answer = client.post_json("/dev/clock", &json!({ "advance": advance })).await;
        answer.assert_invalid(&["/advance"]);
        assert!(answer.text.contains(taught), "{}", answer.text);
    }
    assert!(app.now().await < SystemClock.now() + Duration::from_mins(1), "nothing was turned");
}

/// How long it takes depends on the machine and the profile, so it is measured by hand:
/// `cargo test --locked --profile hold --test it -- --ignored --nocapture a_year_of_a_hundred_thousand_conversations`.
#[ignore = "a measurement"]
#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_a_hundred_thousand_conversations() {
    const COUNT: u64 = 100_000;
    let app = DevApp::start().await;
    let (client, year) = (app.client(), Duration::from_hours(365 * 24));
    for first in (0..COUNT).step_by(100) {
        let one = |number| {
            let delay = year.as_secs() * number / COUNT + 60;
            json!({ "conversationText": "hello", "delay": format!("{delay}s"), "endpoint": app.url("/dev/inbox") })
        };
        let conversations: Vec<_> = (first..first + 100).map(one).collect();
        assert_eq!(
            client.post_json("/api/scheduler/batch", &json!({ "conversations": conversations })).await.status,
            200
        );
    }
    let began = Instant::now();
    let turn = client.request(Method::POST, "/dev/clock").await.timeout(Duration::from_mins(10));
    let turn = turn.header("content-type", "application/json").body(r#"{"advance":"P366D"}"#);
    let turned = Answer::to(turn).await.json();
    println!("{COUNT} conversations of a year: {:?}, {turned}", began.elapsed());
    assert_eq!(turned["attempts"]["success"], COUNT);
}
