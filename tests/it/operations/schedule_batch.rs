//! `scheduleBatch`

use std::collections::HashMap;

use http::Method;
use serde_json::{Value, json};

use super::bulk::{Lossy, main_rows};
use crate::support::app::{BareApi, StoreDown, TestApp};
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;
use crate::support::simulation::seeded_rng::SeededRng;

const BATCH: &str = "/api/scheduler/batch";
const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn send(client: &ApiClient, key: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let request = client.request(Method::POST, BATCH).await.header("content-type", "application/json").body(body);
    Answer::to(key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))).await
}

/// Schedules a batch of these conversations.
async fn schedule(client: &ApiClient, key: Option<&str>, conversations: &[Value]) -> Answer {
    send(client, key, json!({ "conversations": conversations }).to_string()).await
}

fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["results"].as_array().unwrap().clone()
}

/// A conversation of the year 2035 with this text.
fn later(text: &str) -> Value {
    conversation(json!({ "conversationText": text, "scheduledTime": "2035-06-01T12:00:00Z" }))
}

fn many(count: usize) -> Vec<Value> {
    (0..count).map(|number| later(&format!("text {number}"))).collect()
}

async fn count(client: &ApiClient) -> usize {
    client.list("?limit=100").await.json()["conversations"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_hundred_are_scheduled_in_order() {
    let app = TestApp::start().await;
    let client = app.client();
    let answer = schedule(&client, None, &many(100)).await;
    let results = results(&answer);
    assert_eq!(results.len(), 100);
    for (number, result) in results.iter().enumerate() {
        let shown = client.status(result["conversationId"].as_str().unwrap()).await.json();
        assert_eq!(shown["conversationText"], format!("text {number}"));
    }
    assert!(answer.json()["serverTime"].is_string());
    assert_eq!(count(&client).await, 100);
}

#[tokio::test]
async fn each_result_is_that_of_a_single_request() {
    let app = TestApp::start().await;
    let client = app.client();
    let wrong = json!({ "conversationText": "", "scheduledTime": "soon", "endpiont": "https://example.com/" });
    let bodies = [
        later("one"),
        wrong.clone(),
        conversation(json!({ "scheduledTime": "2035-03-25T02:30", "timeZone": "Europe/Berlin" })),
        json!(7),
        json!([]),
    ];
    let answer = schedule(&client, None, &bodies).await;
    golden::check("batch", &answer.json());
    let in_batch = results(&answer);
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (body, result) in bodies.iter().zip(&in_batch) {
        let single = client.schedule_raw(body.to_string()).await;
        let mut expected = single.json();
        if single.status == 200 {
            assert_eq!(members(result), members(&expected));
            for name in ["status", "scheduledTime", "localTime", "notes"] {
                assert_eq!(result[name], expected[name]);
            }
            continue;
        }
        // The instance of an occurrence is the path of the request, which the whole response has.
        expected.as_object_mut().unwrap().remove("instance");
        expected["serverTime"] = result["problem"]["serverTime"].clone();
        assert_eq!(result, &json!({ "problem": expected }), "{body}");
    }
    assert_eq!(count(&client).await, 4, "two of the batch and two single ones");
}

#[tokio::test]
async fn a_member_that_is_given_twice_fails_its_conversation_alone() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = later("one").to_string();
    let twice = good.replacen('{', r#"{"method":"PUT","method":"POST","#, 1);
    let results = results(&send(&client, None, format!(r#"{{"conversations":[{good},{twice},{good}]}}"#)).await);
    assert!(results[0]["conversationId"].is_string() && results[2]["conversationId"].is_string());
    let error = &results[1]["problem"]["errors"][0];
    assert_eq!((&error["pointer"], &error["detail"]), (&json!("/method"), &json!("is given twice")));
}

#[tokio::test]
async fn a_batch_that_is_wrong_as_a_whole_schedules_nothing() {
    let app = TestApp::start().await;
    let client = app.client();
    let good = later("one").to_string();
    let hundred_and_one = vec![good.clone(); 101].join(",");
    for (body, pointer, told) in [
        ("{}".to_owned(), "/conversations", "is required: an array of 1 to 100"),
        (r#"{"conversations":null}"#.to_owned(), "/conversations", "is required"),
        (r#"{"conversations":[]}"#.to_owned(), "/conversations", "is empty; at least one item is needed"),
        (format!(r#"{{"conversations":[{hundred_and_one}]}}"#), "/conversations", "has 101 items; at most 100"),
        (format!(r#"{{"conversations":{good}}}"#), "/conversations", "must be an array such as"),
        (format!(r#"{{"conversations":[{good}],"dryRun":true}}"#), "/dryRun", "is not a field"),
        (format!(r#"{{"conversations":[{good}],"conversations":[{good}]}}"#), "/conversations", "is given twice"),
        (format!("[{good}]"), "", "must be a JSON object, not an array"),
    ] {
        let answer = send(&client, None, body).await;
        answer.assert_invalid(&[pointer]);
        assert!(answer.text.contains(told), "{}", answer.text);
    }
    for key in ["", "two words"] {
        schedule(&client, Some(key), &many(2)).await.assert_invalid(&["/Idempotency-Key"]);
    }
    assert_eq!(count(&client).await, 0);
}

#[tokio::test]
async fn a_batch_may_have_four_mebibytes() {
    let app = TestApp::start().await;
    let client = app.client();
    let text = "x".repeat(190 * 1024);
    let body = json!({ "conversations": (0..21).map(|_| later(&text)).collect::<Vec<_>>() }).to_string();
    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
    assert_eq!(results(&send(&client, None, padded(4 << 20)).await).len(), 21);
    send(&client, None, padded((4 << 20) + 1)).await.assert_problem(413, "body-too-large");
}

#[tokio::test]
async fn a_repeated_batch_schedules_only_what_is_missing() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut batch = many(4);
    batch[1]["endpoint"] = json!("ftp://example.com/");
    let first = results(&schedule(&client, Some(KEY), &batch).await);
    assert_eq!(count(&client).await, 3);
    assert_eq!(results(&schedule(&client, Some(KEY), &batch).await)[0], first[0], "byte for byte");
    // The failed one is corrected, and another one is changed.
    batch[1]["endpoint"] = json!("https://example.com/");
    batch[2]["conversationText"] = json!("other");
    let second = results(&schedule(&client, Some(KEY), &batch).await);
    assert_eq!([&second[0], &second[3]], [&first[0], &first[3]]);
    assert!(second[1]["conversationId"].is_string());
    assert_eq!(second[2]["problem"]["type"], "urn:mcp-scheduler:problem:idempotency-key-reused");
    assert_eq!(second[2]["problem"]["status"], 422);
    assert_eq!(count(&client).await, 4);
    // The same conversation has another key at another place, in another batch, and alone.
    batch.push(batch[0].clone());
    assert!(results(&schedule(&client, Some(KEY), &batch).await)[4]["conversationId"].is_string());
    schedule(&client, Some("another-key"), &batch[..1]).await;
    let single = client.request(Method::POST, "/api/scheduler/schedule").await.header("idempotency-key", KEY);
    let single = single.header("content-type", "application/json").body(batch[0].to_string());
    assert_ne!(Answer::to(single).await.json()["conversationId"], first[0]["conversationId"]);
    assert_eq!(count(&client).await, 7);
}

#[tokio::test]
async fn the_tool_has_one_line_for_each_conversation() {
    let app = TestApp::start().await;
    let client = app.client();
    let arguments = json!({
        "conversations": [later("one"), { "ignore\u{202e}all": 1 }, later("three")], "idempotencyKey": KEY,
    });
    let called = client.call_tool("scheduleBatch", arguments.clone()).await;
    let lines: Vec<_> = called.text.lines().collect();
    let results = called.structured["results"].as_array().unwrap();
    let scheduled = |at: usize| {
        let id = results[at]["conversationId"].as_str().unwrap();
        format!("{at}: {id} Scheduled 2035-06-01T12:00:00.000Z")
    };
    assert_eq!((called.is_error, lines.len()), (false, 4), "{called:?}");
    assert_eq!([lines[0], lines[2]], [scheduled(0), scheduled(2)]);
    assert!(lines[1].starts_with("1: not scheduled. The request is not valid. - "), "{}", lines[1]);
    assert!(lines[1].contains("conversationText is required: the text to deliver"), "{}", lines[1]);
    assert!(lines[3].starts_with("1 of 3 conversations were not scheduled."), "{}", lines[3]);
    assert_eq!(results[1]["problem"]["status"], 400);
    assert!(!format!("{called:?}").contains('\u{202e}') && !called.structured.to_string().contains('\u{202e}'));
    let rest = send(&client, Some(KEY), json!({ "conversations": arguments["conversations"] }).to_string()).await;
    assert_eq!(rest.json()["results"][0], results[0], "the key means the same over REST");
    let empty = client.call_tool("scheduleBatch", json!({ "conversations": [] })).await;
    assert!(empty.is_error && empty.text.contains("conversations is empty"), "{empty:?}");
}

#[tokio::test]
async fn a_failing_store_fails_each_conversation() {
    let api = BareApi::with_faults(StoreDown).start().await;
    let results = results(&schedule(&api.client(), None, &many(3)).await);
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|result| result["problem"]["status"] == 503), "{results:?}");
}

/// Each repetition of the batch schedules some more, until all are there, each once.
#[tokio::test]
async fn a_batch_is_scheduled_once_whatever_is_lost() {
    for seed in 0..20 {
        let api = BareApi::with_faults(Lossy(SeededRng::new(seed), 500));
        let table = api.table.clone();
        let api = api.start().await;
        let (client, batch) = (api.client(), many(20));
        let mut scheduled = HashMap::new();
        for round in 0.. {
            assert!(round < 100, "seed {seed}");
            let results = results(&schedule(&client, Some(KEY), &batch).await);
            for (at, result) in results.iter().enumerate().filter(|(_, result)| result["conversationId"].is_string()) {
                let id = result["conversationId"].clone();
                assert_eq!(*scheduled.entry(at).or_insert_with(|| id.clone()), id, "seed {seed}: it is the same");
            }
            if scheduled.len() == batch.len() {
                break;
            }
        }
        assert_eq!(main_rows(&table).await, 20, "seed {seed}");
    }
}
