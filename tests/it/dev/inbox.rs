//! The inbox receives what verifies, and the page shows it.

use http::Method;
use serde_json::json;

use super::{DevApp, schedule};
use crate::support::client::{Answer, http};
use crate::support::receiver::Receiver;

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_of_each_client_method_and_format_arrives_with_what_a_test_asks_for() {
    let app = DevApp::start().await;
    let ben = app.another_client("ben").await;
    let id = schedule(
        &app.client(),
        json!({ "conversationText": "Grüße", "delay": "1h", "endpoint": app.url("/dev/inbox") }),
    )
    .await;
    let below = app.url("/dev/inbox/of-ben");
    for (delay, method, format) in
        [("2h", "GET", "json"), ("3h", "DELETE", "json"), ("4h", "PUT", "text"), ("5h", "PATCH", "cloudevents")]
    {
        let conversation = json!({ "conversationText": format, "delay": delay, "endpoint": below, "method": method, "format": format });
        schedule(&ben, conversation).await;
    }
    app.turn("P1D").await;
    let arrivals = app.arrivals().await;
    let first = &arrivals[0];
    for (member, expected) in [
        ("clientId", json!("local")),
        ("conversationId", json!(id)),
        ("latenessMs", json!(0)),
        ("attempt", json!(1)),
        ("text", json!("Grüße")),
        ("method", json!("POST")),
        ("path", json!("/dev/inbox")),
        ("receivedAt", first["scheduledTime"].clone()),
    ] {
        assert_eq!(first[member], expected, "{first}");
    }
    assert_eq!(first["headers"]["webhook-id"], id);
    assert!(first["body"].as_str().unwrap().contains("\"conversationText\":\"Grüße\""));
    let others: Vec<_> =
        arrivals[1..].iter().map(|a| [&a["clientId"], &a["method"], &a["text"]].map(|v| v.as_str().unwrap())).collect();
    let expected = [["ben", "GET", ""], ["ben", "DELETE", ""], ["ben", "PUT", "text"], ["ben", "PATCH", "cloudevents"]];
    assert_eq!(others, expected);

    let emptied = app.client().request(Method::DELETE, "/dev/inbox").await.send().await.unwrap();
    assert_eq!((emptied.status().as_u16(), app.arrivals().await.len()), (204, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_verify_is_refused_and_not_kept() {
    let (app, receiver) = (DevApp::start().await, Receiver::accepting().await);
    schedule(&app.client(), json!({ "delay": "1h", "endpoint": receiver.url("/") })).await;
    app.turn("2h").await;
    let original = receiver.received().remove(0);
    let send = async |body: Vec<u8>, timestamp: Option<&str>| {
        let mut headers = original.headers.clone();
        headers.remove("host");
        headers.remove("content-length");
        if let Some(timestamp) = timestamp {
            headers.insert("webhook-timestamp", timestamp.parse().unwrap());
        }
        Answer::unchecked(http().post(app.url("/dev/inbox")).headers(headers).body(body)).await
    };
    let body = original.body.to_vec();
    for (sent, timestamp, reason) in [
        (b"{}".to_vec(), None, "no signature fits the keys and the request"),
        (body.clone(), Some("1893499200"), "in the future, and at most 300 s are allowed"),
    ] {
        let answer = send(sent, timestamp).await;
        answer.assert_problem(401, "unauthorized");
        assert!(answer.text.contains(reason), "{}", answer.text);
    }
    assert!(app.arrivals().await.is_empty());
    assert_eq!(send(body, None).await.status, 200, "the delivery itself is accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_no_token_and_lets_no_other_script_run() {
    let app = DevApp::start().await;
    for (path, content_type) in [
        ("/dev", "text/html; charset=utf-8"),
        ("/dev/page.js", "text/javascript; charset=utf-8"),
        ("/dev/page.css", "text/css; charset=utf-8"),
    ] {
        let answer = Answer::unchecked(http().get(app.url(path))).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
    }
    let page = Answer::unchecked(http().get(app.url("/dev"))).await.text;
    let scripts: Vec<_> = page.match_indices("<script").map(|(at, _)| &page[at..]).collect();
    assert!(scripts.len() == 1 && scripts[0].contains("src=\"dev/page.js\"></script>"), "{page}");
    assert!(!page.contains("<style") && !page.contains("style="), "{page}");
}
