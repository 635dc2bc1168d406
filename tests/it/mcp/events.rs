//! The Events extension: subscribing, renewing, unsubscribing, and a subscriber that others wrote.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use mcp_scheduler::testing::{Fault, Faults};
use serde_json::{Value, json};

use crate::support::app::{BareApi, CLIENT, KEY, TestApp};
use crate::support::client::{ApiClient, conversation, in_seconds};
use crate::support::golden;
use crate::support::installed::{ROOT, installed};
use crate::support::mcp_wire::{newest, older};
use crate::support::receiver::{Received, Receiver, Reply};

/// 32 bytes.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_SECRET: &str = "whsec_//////////////////////////////////////////8=";

async fn call(client: &ApiClient, method: &str, params: Value) -> Value {
    let answer = client.mcp(newest(method, params)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert!(answer["error"].is_object() || answer["result"]["resultType"] == "complete", "{answer}");
    answer
}

fn params(url: &str) -> Value {
    json!({ "name": "conversation.due", "delivery": { "mode": "webhook", "url": url, "secret": SECRET }, "cursor": null })
}

async fn subscribe(client: &ApiClient, params: Value) -> Value {
    call(client, "events/subscribe", params).await
}

/// The error code and its data.
fn error(answer: &Value) -> (i64, Value) {
    (answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{answer}")), answer["error"]["data"].clone())
}

fn verified(received: &Received, secret: &str) {
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    webhook.verify(&received.body, &received.headers).unwrap();
}

fn body(received: &Received) -> Value {
    serde_json::from_slice(&received.body).unwrap()
}

fn seconds_until(time: &Value) -> i64 {
    let time = chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
    (time.to_utc() - chrono::Utc::now()).num_seconds()
}

#[tokio::test]
async fn a_verified_subscriber_gets_what_is_due_until_it_unsubscribes() {
    let app = TestApp::start().await;
    let (client, receiver) = (app.client(), Receiver::start([Reply::echo()]).await);
    let url = receiver.url("/hook?key=1");
    let granted = subscribe(&client, params(&url)).await["result"].clone();
    let id = granted["id"].as_str().unwrap_or_else(|| panic!("{granted}")).to_owned();
    assert!(id.strip_prefix("sub_").is_some_and(|digits| digits.len() == 32), "{id}");
    assert_eq!((&granted["cursor"], &granted["truncated"]), (&json!(null), &json!(false)));
    assert!((7 * 86_400 - 60..=7 * 86_400).contains(&seconds_until(&granted["refreshBefore"])), "{granted}");
    let [challenge] = &receiver.received()[..] else { panic!("one challenge") };
    verified(challenge, SECRET);
    assert_eq!(challenge.headers["x-mcp-subscription-id"], *id);
    assert!(challenge.headers["webhook-id"].to_str().unwrap().starts_with("msg_verification_"));
    assert_eq!(body(challenge)["type"], "verification");

    let due = |seconds| json!({ "endpoint": null, "deliver": "events", "scheduledTime": in_seconds(seconds) });
    let scheduled = client.scheduled(due(1)).await;
    let record = client.wait_for(&scheduled, "Completed").await;
    assert_eq!((&record["deliver"], record.get("endpoint")), (&json!("events"), None));
    let event = receiver.wait_for(2).await.pop().unwrap();
    verified(&event, SECRET);
    assert_eq!(body(&event)["data"]["conversationId"], *scheduled);

    // A repetition renews it, without another challenge: with a shorter time, and another secret.
    let mut renewed = params(&url);
    (renewed["ttlMs"], renewed["delivery"]["secret"]) = (json!(3_600_000), json!(NEW_SECRET));
    let again = subscribe(&client, renewed).await["result"].clone();
    assert_eq!(again["id"], *id);
    assert!((3_500..=3_600).contains(&seconds_until(&again["refreshBefore"])), "{again}");
    let scheduled = client.scheduled(due(0)).await;
    client.wait_for(&scheduled, "Completed").await;
    let event = receiver.wait_for(3).await.pop().unwrap();
    verified(&event, SECRET);
    verified(&event, NEW_SECRET);

    let without = json!({ "name": "conversation.due", "arguments": {}, "delivery": { "mode": "webhook", "url": url } });
    let of_another = call(&app.other_client(), "events/unsubscribe", without.clone()).await;
    assert_eq!(error(&of_another), (-32011, json!({ "kind": "subscription" })));
    assert_eq!(call(&client, "events/unsubscribe", without.clone()).await["result"]["id"], json!(null));
    assert_eq!(error(&call(&client, "events/unsubscribe", without).await).0, -32011);
    let mut nobody = due(0);
    nobody["retry"] = json!({ "maxAttempts": 1 });
    let record = client.wait_for(&client.scheduled(nobody).await, "Failed").await;
    assert_eq!(record["lastError"], "no program of this client has subscribed to the event");
    assert_eq!(record["attempts"][0]["error"], "no_subscription");
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test]
async fn a_receiver_that_does_not_return_the_challenge_is_refused_with_a_reason_that_tells_nothing_else() {
    let app = TestApp::start().await;
    let client = app.client();
    let replies = [
        (Reply::close(), "connection_refused"),
        (Reply::status(204), "challenge_failed"),
        (Reply::status(200).body(r#"{"challenge":"0"}"#), "challenge_failed"),
        (Reply::status(302).header("location", "http://127.0.0.1/"), "challenge_failed"),
        (Reply::status(404).body("secret"), "http_4xx"),
        (Reply::status(503), "http_5xx"),
    ];
    let count = replies.len();
    let (replies, reasons): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
    let receiver = Receiver::start(replies.into_iter().chain([Reply::echo()])).await;
    for reason in reasons {
        let refused = subscribe(&client, params(&receiver.url("/"))).await;
        assert_eq!(error(&refused), (-32015, json!({ "reason": reason })), "{refused}");
        assert!(!refused.to_string().contains("secret"));
    }
    // Nothing was stored that would count as verified.
    assert!(subscribe(&client, params(&receiver.url("/"))).await["result"]["id"].is_string());
    assert_eq!(receiver.received().len(), count + 1);
}

#[tokio::test]
async fn a_challenge_goes_only_where_a_delivery_may_go() {
    let app = TestApp::start_with(&[("DELIVERY_ALLOWED_NETWORKS", "")]).await;
    let (client, receiver) = (app.client(), Receiver::start([Reply::echo()]).await);
    for url in [&*receiver.url("/"), "https://127.0.0.1/", "https://10.0.0.1/", "https://user@example.com/", "x"] {
        let refused = subscribe(&client, params(url)).await;
        assert_eq!(error(&refused).0, -32602, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().starts_with("delivery.url "), "{refused}");
    }
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_wrong_call_names_the_problem_and_never_the_secret() {
    let app = TestApp::start().await;
    let (client, receiver) = (app.client(), Receiver::start([Reply::echo()]).await);
    let url = receiver.url("/");
    let changed = |pointer: &str, value: Value| {
        let mut params = params(&url);
        params["arguments"] = json!({});
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        params.pointer_mut(parent).unwrap()[name] = value;
        params
    };
    for (params, code) in [
        (changed("/delivery/secret", json!("whsec_c2hvcnQ=")), -32602),
        (changed("/delivery/secret", json!(null)), -32602),
        (changed("/delivery/secret", json!(["canary"])), -32602),
        (changed("/delivery/mode", json!("push")), -32014),
        (changed("/name", json!("conversation.seen")), -32011),
        (changed("/arguments/conversationId", json!("canary")), -32602),
        (changed("/arguments/channel", json!("")), -32602),
        (changed("/arguments/channel", json!("x".repeat(65))), -32602),
        (changed("/arguments/chanel", json!("canary")), -32602),
        (changed("/ttlMs", json!("canary")), -32602),
        (json!({ "name": "conversation.due" }), -32602),
    ] {
        let answer = subscribe(&client, params.clone()).await;
        assert_eq!(error(&answer).0, code, "{params} {answer}");
        assert!(!answer.to_string().contains("canary"), "{answer}");
    }
    assert_eq!(receiver.received().len(), 0, "nothing was challenged");
}

#[tokio::test]
async fn subscribing_needs_both_scopes_and_listing_none() {
    let app = TestApp::start().await;
    let (reader, receiver) = (app.reader(), Receiver::start([Reply::echo()]).await);
    let writer = app.client().with_scopes("conversations:write").await;
    for (client, method, scope) in [
        (&reader, "events/subscribe", "conversations:write"),
        (&writer, "events/subscribe", "conversations:read"),
        (&reader, "events/unsubscribe", "conversations:write"),
    ] {
        let answer = client.mcp(newest(method, params(&receiver.url("/")))).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
        let wants = answer.headers["www-authenticate"].to_str().unwrap().to_owned();
        assert!(wants.contains("insufficient_scope") && wants.contains(scope), "{wants}");
    }
    assert_eq!(receiver.received().len(), 0);
    assert_eq!(call(&reader, "events/list", json!({})).await["result"]["events"][0]["name"], "conversation.due");
}

#[tokio::test]
async fn a_client_has_at_most_100_subscriptions_and_one_url_is_challenged_once() {
    let app = TestApp::start().await;
    let (client, receiver) = (app.client(), Receiver::start([Reply::echo()]).await);
    let numbered = |number: usize| {
        let mut params = params(&receiver.url("/"));
        params["arguments"] = json!({ "channel": number.to_string() });
        params
    };
    for number in 0..100 {
        assert!(subscribe(&client, numbered(number)).await["result"]["id"].is_string(), "{number}");
    }
    let refused = subscribe(&client, numbered(100)).await;
    assert_eq!(error(&refused), (-32013, json!({ "limit": "subscriptions", "max": 100 })));
    assert!(subscribe(&client, numbered(7)).await["result"]["id"].is_string(), "a renewal");
    assert_eq!(receiver.received().len(), 1);
    // The verification of one client is none for another.
    assert!(subscribe(&app.other_client(), numbered(0)).await["result"]["id"].is_string());
    assert_eq!(receiver.received().len(), 2);
    call(&client, "events/unsubscribe", numbered(7)).await;
    assert!(subscribe(&client, numbered(100)).await["result"]["id"].is_string());
}

#[tokio::test]
async fn the_accepted_text_has_other_codes_and_ids_of_messages() {
    let app = TestApp::start_with(&[("MCP_EVENTS_TEXT", "final")]).await;
    let (client, receiver) = (app.client(), Receiver::start([Reply::status(404), Reply::echo()]).await);
    let mut unknown = params(&receiver.url("/"));
    unknown["name"] = json!("conversation.seen");
    assert_eq!(error(&subscribe(&client, unknown).await).0, -32023);
    assert_eq!(error(&subscribe(&client, params(&receiver.url("/"))).await).0, -32027);
    let granted = subscribe(&client, params(&receiver.url("/"))).await;
    let due = json!({ "endpoint": null, "deliver": "events", "scheduledTime": in_seconds(0) });
    let scheduled = client.scheduled(due).await;
    client.wait_for(&scheduled, "Completed").await;
    let event = receiver.wait_for(3).await.pop().unwrap();
    verified(&event, SECRET);
    let id = granted["result"]["id"].as_str().unwrap();
    assert_eq!(event.headers["webhook-id"], format!("msg_{scheduled}_{id}"));
    assert_eq!(body(&event)["eventId"], *scheduled);
}

#[tokio::test]
async fn an_event_that_is_too_large_for_a_message_is_not_scheduled() {
    let app = TestApp::start().await;
    let client = app.client();
    let with = |text: String| conversation(json!({ "endpoint": null, "deliver": "events", "conversationText": text }));
    let most = 252 * 1024 - 2;
    // A quotation mark is two bytes in JSON.
    assert_eq!(client.schedule(with("\"".repeat(most / 2))).await.status, 200);
    let answer = client.schedule(with("\"".repeat(most / 2 + 1))).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (400, &json!("/conversationText")));
    let request = json!({ "endpoint": null, "deliver": "events", "headers": { "X-A": "1" }, "format": "text" });
    let answer = client.schedule(conversation(request)).await.json();
    let pointers: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, ["/headers", "/format"], "{answer}");
}

/// Counts the calls of the store.
struct Count(Arc<AtomicUsize>);

impl Faults for Count {
    fn next(&self) -> Fault {
        self.0.fetch_add(1, SeqCst);
        Fault::None
    }
}

#[tokio::test]
async fn events_are_offered_and_described_without_a_call_of_the_store() {
    let calls = Arc::new(AtomicUsize::new(0));
    let running = BareApi::with_faults(Count(Arc::clone(&calls))).start().await;
    let client = running.client();
    client.token().await;
    let before = calls.load(SeqCst);
    let client_info = json!({ "name": "t", "version": "1" });
    let handshake = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client_info });
    for message in [newest("server/discover", json!({})), older("initialize", handshake)] {
        let found = client.mcp(message).await.json();
        let capabilities = &found["result"]["capabilities"];
        assert_eq!(capabilities["events"], json!({}), "{found}");
        assert_eq!(capabilities["extensions"]["io.modelcontextprotocol/events"], json!({}), "{found}");
    }
    call(&client, "tools/list", json!({})).await;
    golden::check("mcp-events", &call(&client, "events/list", json!({})).await["result"]["events"]);
    assert_eq!(calls.load(SeqCst), before);
}

/// The AI SDK lists, subscribes, verifies the signature of what arrives, renews, and unsubscribes.
#[tokio::test(flavor = "multi_thread")]
async fn the_ai_sdk_subscribes_and_gets_what_is_due_and_what_has_failed() {
    let app = TestApp::start().await;
    // Node looks for packages beside the file.
    let beside = installed("target/mcp-clients").join(format!("events-{}.mjs", app.address.port()));
    fs::copy(Path::new(ROOT).join("examples/event-subscriber.mjs"), &beside).unwrap();
    let mut command = Command::new(installed("target/mcp-clients/node_modules/node/bin/node"));
    command.arg(&beside).env("NO_PROXY", "*");
    command.env("SCHEDULER_URL", format!("http://{}", app.address)).env("CLIENT_ID", CLIENT).env("API_KEY", KEY);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    fs::remove_file(beside).unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && err.is_empty(), "{}\n{out}{err}", output.status);
    let expected = "events conversation.due conversation.failed\n\
                    conversation.due Water the plants.\n\
                    conversation.failed the endpoint answered 404, which is not tried again\n\
                    renewed true\n\
                    unsubscribed\n";
    assert_eq!(out, expected);
}
