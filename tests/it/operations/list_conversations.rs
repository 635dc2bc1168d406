//! `listConversations`

use std::collections::HashSet;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{ApiClient, in_seconds};
use crate::support::golden;
use crate::support::receiver::Receiver;

fn ids(page: &Value) -> Vec<String> {
    let conversations = page["conversations"].as_array().unwrap();
    conversations.iter().map(|c| c["conversationId"].as_str().unwrap().to_owned()).collect()
}

/// All pages, following the cursor from each to the next.
async fn pages(client: &ApiClient, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.list(&format!("?{query}{cursor}")).await.json();
        pages.push(ids(&page));
        assert!(pages.len() < 1000, "the cursor leads in circles");
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

async fn schedule_many(client: &ApiClient, count: usize) -> Vec<String> {
    stream::iter(0..count).map(|_| client.scheduled(json!({}))).buffer_unordered(16).collect().await
}

#[tokio::test]
async fn the_newest_comes_first() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut scheduled = Vec::new();
    for day in ["2035-06-03", "2035-06-01", "2035-06-02"] {
        scheduled.push(client.scheduled(json!({ "scheduledTime": format!("{day}T12:00:00Z") })).await);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    scheduled.reverse();
    let answer = client.list("?limit=2").await;
    assert_eq!(answer.status, 200);
    assert_eq!(ids(&answer.json()), scheduled[..2]);
    golden::check("list", &answer.json());
    assert_eq!(ids(&client.list("").await.json()), scheduled);
}

#[tokio::test]
async fn a_list_without_conversations_is_an_empty_page() {
    let app = TestApp::start().await;
    let answer = app.client().list("").await;
    assert_eq!(answer.status, 200);
    golden::check("list-empty", &answer.json());
}

#[tokio::test]
async fn each_conversation_is_on_exactly_one_page() {
    let app = TestApp::start().await;
    let client = app.client();
    let scheduled: HashSet<_> = schedule_many(&client, 250).await.into_iter().collect();
    assert_eq!(scheduled.len(), 250);
    let in_one_go = pages(&client, "limit=100").await;
    assert_eq!(in_one_go.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
    let all = in_one_go.concat();
    assert_eq!(all.iter().cloned().collect::<HashSet<_>>(), scheduled);
    // Pages follow the order of the ids, and ids of the same millisecond are in random order.
    assert!(all.is_sorted_by(|a, b| a > b));
    for limit in [1, 7, 50] {
        assert_eq!(pages(&client, &format!("limit={limit}")).await.concat(), all, "by {limit}");
    }
}

#[tokio::test]
async fn scheduling_while_a_client_reads_pages_does_not_change_them() {
    let app = TestApp::start().await;
    let client = app.client();
    let before: HashSet<_> = schedule_many(&client, 10).await.into_iter().collect();
    let first = client.list("?limit=5").await.json();
    schedule_many(&client, 10).await;
    let second = client.list(&format!("?cursor={}", first["nextCursor"].as_str().unwrap())).await.json();
    let seen: Vec<_> = [ids(&first), ids(&second)].concat();
    assert_eq!(seen.len(), 10);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), before);
}

#[tokio::test]
async fn a_list_can_be_filtered_by_status() {
    let (app, receiver) = (TestApp::start().await, Receiver::accepting().await);
    let client = app.client();
    let mut of = std::collections::HashMap::<&str, Vec<String>>::new();
    for _ in 0..5 {
        of.entry("Scheduled").or_default().push(client.scheduled(json!({})).await);
        let cancelled = client.scheduled(json!({})).await;
        client.cancel(&cancelled).await;
        of.entry("Cancelled").or_default().push(cancelled);
    }
    let now = json!({ "scheduledTime": in_seconds(0), "endpoint": receiver.url("/") });
    let completed = client.scheduled(now).await;
    let record = client.wait_for(&completed, "Completed").await;
    let listed = client.list("?status=Completed").await.json()["conversations"][0].clone();
    assert_eq!((&listed["endedTime"], &listed["latenessMs"]), (&record["updatedTime"], &record["latenessMs"]));
    assert!(listed["latenessMs"].is_u64(), "{listed}");
    of.entry("Completed").or_default().push(completed);
    for status in ["Scheduled", "InProgress", "Completed", "Failed", "Cancelled", "cancelled"] {
        let key = if status == "cancelled" { "Cancelled" } else { status };
        let expected: HashSet<_> = of.get(key).into_iter().flatten().cloned().collect();
        for limit in [2, 100] {
            let found = pages(&client, &format!("status={status}&limit={limit}")).await.concat();
            assert_eq!(found.len(), expected.len(), "{status}");
            assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected, "{status}");
        }
    }
}

#[tokio::test]
async fn what_is_due_next_comes_first_and_times_limit_the_list() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut due = Vec::new();
    for day in ["2035-06-03", "2035-06-01", "2035-06-02"] {
        due.push((day, client.scheduled(json!({ "scheduledTime": format!("{day}T12:00:00Z") })).await));
    }
    due.sort_unstable();
    let expected: Vec<_> = due.into_iter().map(|(_, id)| id).collect();
    for query in ["status=Scheduled", "order=due", "status=scheduled&order=Due", "status=Scheduled&from=&to="] {
        for limit in [1, 2, 100] {
            assert_eq!(pages(&client, &format!("{query}&limit={limit}")).await.concat(), expected, "{query}");
        }
    }
    for (from, to, part) in [
        ("2035-06-01T12:00:00Z", "2035-06-02T12:00:00Z", &expected[..1]),
        ("2035-06-01T12:00:00.001Z", "2035-06-02T12:00:00.001Z", &expected[1..2]),
        ("2035-06-01T15:00:00+03:00", "2035-07-01T00:00:00+00:00", &expected[..]),
    ] {
        let found = pages(&client, &format!("status=Scheduled&from={from}&to={to}&limit=1")).await.concat();
        assert_eq!(found, part, "from {from} to {to}");
    }
    client.cancel(&expected[1]).await;
    client.cancel(&expected[0]).await;
    assert_eq!(
        pages(&client, "status=Cancelled").await.concat(),
        [&*expected[0], &expected[1]],
        "the latest end first"
    );
}

#[tokio::test]
async fn a_list_can_be_filtered_by_a_label() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut ops = Vec::new();
    for number in 0..12 {
        let team = if number % 3 == 0 { "ops:a b" } else { "dev" };
        let id = client.scheduled(json!({ "labels": { "team": team, "number": number.to_string() } })).await;
        if number % 3 == 0 {
            ops.push(id);
        }
    }
    client.scheduled(json!({})).await;
    let newest_first: Vec<_> = ops.iter().rev().cloned().collect();
    assert_eq!(pages(&client, "label=team:ops:a%20b&limit=3").await.concat(), newest_first);
    let live = pages(&client, "status=Scheduled&label=team:ops:a+b&limit=3").await.concat();
    assert_eq!(HashSet::<String>::from_iter(live), HashSet::from_iter(ops));
    for other in ["team:Ops", "team:", "number:12", "other:ops"] {
        let wrong = client.list(&format!("?label={other}")).await;
        assert_eq!(ids(&wrong.json()), [""; 0], "{other}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    let app = TestApp::start().await;
    let client = app.client();
    schedule_many(&client, 3).await;
    let first = client.list("?status=Scheduled&limit=1").await.json();
    let cursor = first["nextCursor"].as_str().unwrap();
    for query in [
        "",
        "status=Failed&",
        "order=due&",
        "status=Scheduled&from=2030-01-01T00:00:00Z&",
        "status=Scheduled&label=a:b&",
        "status=Scheduled&endpointHost=example.com&",
    ] {
        let answer = client.list(&format!("?{query}cursor={cursor}")).await;
        answer.assert_invalid(&["/cursor"]);
        assert!(answer.text.contains("the same filters and order"), "{}", answer.text);
    }
    let changed = format!("{}{}", &cursor[..cursor.len() - 2], if cursor.ends_with("AA") { "BB" } else { "AA" });
    client.list(&format!("?status=Scheduled&cursor={changed}")).await.assert_invalid(&["/cursor"]);
    for query in ["status=Scheduled&", "status=scheduled&order=due&limit=100&"] {
        assert_eq!(client.list(&format!("?{query}cursor={cursor}")).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn a_list_shows_the_first_characters_of_a_text_and_no_headers() {
    let app = TestApp::start().await;
    let client = app.client();
    let excerpt = async || client.list("").await.json()["conversations"][0]["textExcerpt"].clone();
    client.scheduled(json!({ "conversationText": "Hello", "headers": { "Authorization": "canary" } })).await;
    assert_eq!(excerpt().await, "Hello");
    assert!(!client.list("").await.text.contains("canary"));

    // A large text is not in the row that a list reads.
    let large = format!("A large text: {}canary", "é".repeat(20_000));
    client.scheduled(json!({ "conversationText": large })).await;
    assert_eq!(excerpt().await, format!("A large text: {}…", "é".repeat(65)));
    assert!(!client.list("").await.text.contains("canary"));
}

#[tokio::test]
async fn a_list_shows_only_the_conversations_of_its_client() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.client(), app.other_client());
    let scheduled = schedule_many(&alice, 3).await;
    assert_eq!(ids(&bob.list("").await.json()), [""; 0]);
    let cursor = alice.list("?limit=1").await.json()["nextCursor"].as_str().unwrap().to_owned();
    bob.list(&format!("?cursor={cursor}")).await.assert_invalid(&["/cursor"]);
    assert_eq!(ids(&alice.list("").await.json()).len(), scheduled.len());
}

#[tokio::test]
async fn an_empty_parameter_counts_as_missing() {
    let app = TestApp::start().await;
    let client = app.client();
    let scheduled = schedule_many(&client, 3).await;
    let listed = client.list("?status=&limit=&cursor=").await;
    assert_eq!(ids(&listed.json()).len(), scheduled.len());
}

#[tokio::test]
async fn an_invalid_parameter_is_pointed_at() {
    let app = TestApp::start().await;
    let client = app.client();
    let long = "x".repeat(8000);
    for (query, pointer) in [
        ("?status=Done", "/status"),
        ("?limit=0", "/limit"),
        ("?limit=101", "/limit"),
        ("?limit=-1", "/limit"),
        ("?limit=1.5", "/limit"),
        ("?limit=99999999999999999999", "/limit"),
        ("?order=up", "/order"),
        ("?label=team", "/label"),
        ("?label=Team:ops", "/label"),
        ("?status=Failed&order=due", "/order"),
        ("?order=ended", "/order"),
        ("?from=2030-01-01T00:00:00Z", "/from"),
        ("?status=Failed&from=soon", "/from"),
        ("?status=Failed&to=1893456000", "/to"),
        ("?status=Failed&from=2030-01-02T00:00Z&to=2030-01-01T00:00Z", "/to"),
        ("?since=2030-01-01T00:00:00Z", "/since"),
        ("?cursor=nonsense", "/cursor"),
        ("?cursor=%00", "/cursor"),
        ("?cursor=MDE4OTAwMDA", "/cursor"),
        ("?Limit=1", "/Limit"),
        ("?offset=1", "/offset"),
        ("?a/b~c=1", "/a~1b~0c"),
        ("?limit=1&limit=2", "/limit"),
        ("?status=Failed&status=Failed", "/status"),
    ] {
        client.list(query).await.assert_invalid(&[pointer]);
    }
    for query in [format!("?{long}=1"), format!("?status={long}"), format!("?cursor={long}")] {
        client.list(&query).await.assert_problem(400, "invalid-request");
    }
    for query in ["?", "?&", "?limit=100", "?limit=%31", "?limit=1.0"] {
        assert_eq!(client.list(query).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn a_list_can_be_filtered_by_the_host_of_the_endpoint() {
    let app = TestApp::start().await;
    let client = app.client();
    let mut ids_of = Vec::new();
    for endpoint in
        ["https://a.example/x", "https://A.Example:8443/", "https://b.a.example/", "https://b.example/a.example"]
    {
        ids_of.push(client.scheduled(json!({ "endpoint": endpoint })).await);
    }
    for query in ["endpointHost=a.example", "endpointHost=A.EXAMPLE&status=Scheduled", "endpointHost=a.example&limit=1"]
    {
        let found: HashSet<_> = pages(&client, query).await.concat().into_iter().collect();
        assert_eq!(found, ids_of[..2].iter().cloned().collect(), "{query}");
    }
    client.list("?endpointHost=https://a.example").await.assert_invalid(&["/endpointHost"]);
}
