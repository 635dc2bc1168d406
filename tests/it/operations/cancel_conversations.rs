//! `cancelConversations`

use serde_json::{Value, json};

use super::bulk::{Lossy, post, walk};
use crate::support::app::{BareApi, StoreDown, TestApp};
use crate::support::client::{ApiClient, in_seconds};
use crate::support::golden;
use crate::support::receiver::{Receiver, Reply};
use crate::support::simulation::seeded_rng::SeededRng;

const CANCEL: &str = "/api/scheduler/cancel";

async fn with_status(client: &ApiClient, status: &str) -> usize {
    let list = client.list(&format!("?status={status}&limit=100")).await;
    list.json()["conversations"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_empty_filter_cancels_everything_a_hundred_at_a_time() {
    let app = TestApp::start().await;
    let client = app.client();
    for _ in 0..130 {
        client.scheduled(json!({})).await;
    }
    let others = app.other_client().scheduled(json!({})).await;
    let first = post(&client, CANCEL, &json!({ "filter": {} })).await;
    golden::check("cancel-conversations", &{
        let mut answer = first.json();
        answer["cursor"] = json!("<cursor>");
        answer
    });
    assert_eq!((&first.json()["cancelled"], &first.json()["skipped"]), (&json!(100), &json!(0)));
    let rest = json!({ "filter": {}, "cursor": first.json()["cursor"] });
    let second = post(&client, CANCEL, &rest).await.json();
    assert_eq!(second, json!({ "cancelled": 30, "skipped": 0 }), "the last call has no cursor");
    for body in [rest, json!({ "filter": {} })] {
        assert_eq!(post(&client, CANCEL, &body).await.json(), json!({ "cancelled": 0, "skipped": 0 }));
    }
    assert_eq!(with_status(&client, "Scheduled").await, 0);
    assert_eq!(app.other_client().status(&others).await.json()["status"], "Scheduled");
}

#[tokio::test]
async fn only_what_matches_all_of_the_filter_is_cancelled() {
    let app = TestApp::start().await;
    let client = app.client();
    let (day, next) = ("2035-06-01T12:00:00Z", "2035-06-02T12:00:00Z");
    let mut ids = Vec::new();
    for (endpoint, team, at) in [
        ("https://a.example/hook", "ops", day),
        ("https://A.example:8443/", "dev", day),
        ("https://b.a.example/", "ops", day),
        ("https://c.example/", "ops", next),
    ] {
        let conversation = json!({ "endpoint": endpoint, "labels": { "team": team }, "scheduledTime": at });
        ids.push(client.scheduled(conversation).await);
    }
    for (filter, cancelled) in [
        (json!({ "endpointHost": "A.EXAMPLE", "label": "team:dev", "to": next }), &[1][..]),
        (json!({ "status": "Scheduled", "from": next }), &[3]),
        (json!({ "status": "InProgress" }), &[]),
        (json!({ "endpointHost": "example" }), &[]),
        (json!({ "endpointHost": "a.example" }), &[0]),
    ] {
        let answer = post(&client, CANCEL, &json!({ "filter": filter })).await;
        assert_eq!(answer.json()["cancelled"], cancelled.len(), "{filter}: {}", answer.text);
        for at in cancelled {
            assert_eq!(client.status(&ids[*at]).await.json()["status"], "Cancelled", "{filter}");
        }
    }
    assert_eq!(with_status(&client, "Scheduled").await, 1);
}

#[tokio::test]
async fn what_is_being_delivered_is_skipped_and_what_waits_for_a_retry_is_cancelled() {
    let slow = Receiver::start([Reply::status(200).after(std::time::Duration::from_secs(5))]).await;
    let failing = Receiver::start([Reply::status(503)]).await;
    let app = TestApp::start().await;
    let client = app.client();
    let at = |receiver: &Receiver| json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") });
    let (leased, waiting) = (client.scheduled(at(&slow)).await, client.scheduled(at(&failing)).await);
    slow.wait_for(1).await;
    failing.wait_for(1).await;
    while client.status(&waiting).await.json()["attempts"][0]["outcome"] == "inFlight" {
        tokio::task::yield_now().await;
    }
    let answer = post(&client, CANCEL, &json!({ "filter": { "status": "InProgress" } })).await;
    assert_eq!(answer.json(), json!({ "cancelled": 1, "skipped": 1 }));
    assert_eq!(client.status(&waiting).await.json()["status"], "Cancelled");
    assert_eq!(client.status(&leased).await.json()["status"], "InProgress");
}

#[tokio::test]
async fn a_cursor_fits_only_its_filter() {
    let app = TestApp::start().await;
    let client = app.client();
    for _ in 0..3 {
        client.scheduled(json!({ "labels": { "team": "ops" } })).await;
    }
    let first = post(&client, CANCEL, &json!({ "filter": { "label": "team:ops" }, "limit": 1 })).await.json();
    for filter in [json!({}), json!({ "label": "team:ops", "endpointHost": "example.com" })] {
        let answer = post(&client, CANCEL, &json!({ "filter": filter, "cursor": first["cursor"] })).await;
        answer.assert_invalid(&["/cursor"]);
    }
    assert_eq!(with_status(&client, "Scheduled").await, 2);
}

#[tokio::test]
async fn a_wrong_request_cancels_nothing() {
    let app = TestApp::start().await;
    let client = app.client();
    client.scheduled(json!({})).await;
    for (body, pointers) in [
        (json!({}), &["/filter"][..]),
        (json!({ "filter": null }), &["/filter"]),
        (json!({ "filter": "all" }), &["/filter"]),
        (json!({ "status": "Scheduled" }), &["/status", "/filter"]),
        (json!({ "filter": { "status": "Failed" } }), &["/filter/status"]),
        (json!({ "filter": { "host": "example.com", "label": "ops" } }), &["/filter/host", "/filter/label"]),
        (json!({ "filter": { "endpointHost": "https://example.com" } }), &["/filter/endpointHost"]),
        (json!({ "filter": {}, "limit": 101 }), &["/limit"]),
        (json!({ "filter": {}, "limit": 0, "cursor": 1 }), &["/limit", "/cursor"]),
        (json!({ "filter": {}, "cursor": "2" }), &["/cursor"]),
    ] {
        post(&client, CANCEL, &body).await.assert_invalid(pointers);
    }
    assert_eq!(with_status(&client, "Scheduled").await, 1);
}

#[tokio::test]
async fn the_tool_says_how_many_and_how_to_go_on() {
    let app = TestApp::start().await;
    let client = app.client();
    for _ in 0..2 {
        client.scheduled(json!({})).await;
    }
    let first = client.call_tool("cancelConversations", json!({ "filter": {}, "limit": 1 })).await;
    assert_eq!(
        first.text,
        "cancelled 1, skipped 0.\nThere may be more conversations. Call cancelConversations again with the same filter \
         and the cursor."
    );
    let rest = json!({ "filter": {}, "limit": 1, "cursor": first.structured["cursor"] });
    let second = client.call_tool("cancelConversations", rest).await;
    assert_eq!((&*second.text, &second.structured["cancelled"]), ("cancelled 1, skipped 0.", &json!(1)));
    assert_eq!(second.structured.get("cursor"), None);
}

#[tokio::test]
async fn a_failing_store_is_unavailable() {
    let api = BareApi::with_faults(StoreDown).start().await;
    post(&api.client(), CANCEL, &json!({ "filter": {} })).await.assert_problem(503, "unavailable");
}

/// A call that fails is repeated with the same cursor.
#[tokio::test]
async fn everything_is_cancelled_whatever_is_lost() {
    for seed in 0..10 {
        let api = BareApi::with_faults(Lossy(SeededRng::new(seed), 30)).start().await;
        let client = api.client();
        let mut ids = Vec::new();
        while ids.len() < 10 {
            let answer = client.schedule(json!({})).await;
            ids.extend(answer.json()["conversationId"].as_str().map(str::to_owned));
        }
        let mut body = json!({ "filter": {}, "limit": 3 });
        for calls in 0.. {
            assert!(calls < 2000, "seed {seed}");
            let answer = post(&client, CANCEL, &body).await;
            match (answer.status, answer.json().get("cursor")) {
                (200, Some(cursor)) => body["cursor"] = cursor.clone(),
                (200, None) => break,
                _ => answer.assert_problem(503, "unavailable"),
            }
        }
        for id in ids {
            let shown: Value = loop {
                let answer = client.status(&id).await;
                if answer.status == 200 {
                    break answer.json();
                }
            };
            assert_eq!(shown["status"], "Cancelled", "seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_label_that_few_have_is_found_by_walking() {
    let app = TestApp::start().await;
    let client = app.client();
    for number in 0..30 {
        client.scheduled(json!({ "labels": { "rare": if number % 10 == 0 { "yes" } else { "no" } } })).await;
    }
    let body = json!({ "filter": { "label": "rare:yes" }, "limit": 1 });
    let (cancelled, skipped, calls) = walk(&client, CANCEL, "cancelled", body).await;
    assert!((cancelled, skipped) == (3, 0) && calls <= 4, "{cancelled} {skipped} {calls}");
    assert_eq!(with_status(&client, "Cancelled").await, 3);
}
