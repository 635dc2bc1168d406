//! `approveClientHost`, and what a client may schedule that needs approved hosts.

use http::Method;
use serde_json::{Value, json};

use crate::support::app::{OTHER, TestApp};
use crate::support::client::{Answer, ApiClient, conversation};
use crate::support::golden;
use crate::support::mcp_wire::newest;
use crate::support::receiver::{Receiver, Reply};

const PATH: &str = "/api/clients/bob/hosts";

async fn bound() -> (TestApp, ApiClient, ApiClient) {
    let app = TestApp::start().await;
    let (operator, client) = (app.operator().await, app.other_client());
    let bound = json!({ "approvedHostsOnly": true });
    assert_eq!(operator.post_json("/api/clients/bob/limits", &bound).await.status, 200);
    (app, operator, client)
}

fn to(host: &str) -> Value {
    json!({ "endpoint": format!("https://{host}/hook") })
}

#[tokio::test]
async fn a_host_that_is_not_approved_is_refused_until_a_person_approves_it() {
    let (_app, operator, client) = bound().await;
    let refused = client.schedule(to("hooks.example.com:8443")).await;
    refused.assert_problem(403, "host-not-approved");
    golden::check("problem-host-not-approved", &refused.json());
    let tool = client.call_tool("scheduleConversation", conversation(to("hooks.example.com"))).await;
    let command = format!("mcp-scheduler client approve {OTHER} hooks.example.com");
    assert!(tool.is_error && tool.text.contains(&command), "{tool:?}");
    assert_eq!(client.list("").await.json()["conversations"], json!([]));

    let approved = operator.post_json(PATH, &json!({ "host": "HOOKS.example.com" })).await;
    assert_eq!((approved.status, &approved.json()["approvedHosts"]), (200, &json!(["hooks.example.com"])));
    client.scheduled(to("hooks.example.com:8443")).await;
    client.schedule(to("sub.hooks.example.com")).await.assert_problem(403, "host-not-approved");
    let back = operator.post_json(PATH, &json!({ "host": "hooks.example.com", "approved": false })).await;
    assert_eq!((back.status, &back.json()["approvedHosts"]), (200, &Value::Null));
    client.schedule(to("hooks.example.com")).await.assert_problem(403, "host-not-approved");
    client.scheduled(json!({ "deliver": "inbox", "endpoint": null })).await;
}

#[tokio::test]
async fn no_other_way_leads_to_a_host_that_is_not_approved() {
    let (_app, operator, client) = bound().await;
    operator.post_json(PATH, &json!({ "host": "a.example" })).await;
    let id = client.scheduled(to("a.example")).await;
    let callback = json!({ "endpoint": "https://b.example/" });
    for name in ["onFailed", "onCompleted"] {
        let mut with_callback = to("a.example");
        with_callback[name] = callback.clone();
        client.schedule(with_callback).await.assert_problem(403, "host-not-approved");
    }
    client.put_named("daily", conversation(to("b.example"))).await.assert_problem(403, "host-not-approved");
    assert_eq!(client.put_named("daily", conversation(to("a.example"))).await.status, 200);
    client.put_named("daily", conversation(to("b.example"))).await.assert_problem(403, "host-not-approved");
    let patch = async |change: Value| {
        let request = client.request(Method::PATCH, &format!("/api/scheduler/{id}")).await;
        Answer::to(request.header("content-type", "application/json").body(change.to_string())).await
    };
    patch(to("b.example")).await.assert_problem(403, "host-not-approved");
    patch(json!({ "onFailed": callback })).await.assert_problem(403, "host-not-approved");
    let batch = json!({ "conversations": [conversation(to("b.example")), conversation(to("a.example"))] });
    let results = client.post_json("/api/scheduler/batch", &batch).await.json();
    assert_eq!(results["results"][0]["problem"]["type"], "urn:mcp-scheduler:problem:host-not-approved");
    assert!(results["results"][1]["conversationId"].is_string(), "{results}");

    operator.post_json(PATH, &json!({ "host": "a.example", "approved": false })).await;
    client.run(&id).await.assert_problem(403, "host-not-approved");
    assert_eq!(patch(json!({ "conversationText": "new" })).await.status, 200, "it had this host before");
}

#[tokio::test]
async fn what_was_scheduled_before_is_delivered_and_redelivered_without_the_approval() {
    let (_app, operator, client) = bound().await;
    let receiver = Receiver::start([Reply::status(410), Reply::status(204)]).await;
    operator.post_json(PATH, &json!({ "host": "127.0.0.1" })).await;
    let id = client.scheduled(json!({ "endpoint": receiver.url("/"), "scheduledTime": null, "delay": "1s" })).await;
    operator.post_json(PATH, &json!({ "host": "127.0.0.1", "approved": false })).await;
    client.wait_for(&id, "Failed").await;
    assert_eq!(client.redeliver(&id).await.status, 200);
    client.wait_for(&id, "Completed").await;
}

#[tokio::test]
async fn a_wrong_host_is_corrected() {
    let (_app, operator, _client) = bound().await;
    for host in [json!("https://a.example"), json!("a.example:443"), json!(""), json!(null), json!(7)] {
        operator.post_json(PATH, &json!({ "host": host })).await.assert_invalid(&["/host"]);
    }
    operator
        .post_json("/api/clients/nobody/hosts", &json!({ "host": "a" }))
        .await
        .assert_problem(404, "no-such-client");
}

#[tokio::test]
async fn a_subscription_to_events_sends_only_to_an_approved_host() {
    let (_app, operator, client) = bound().await;
    let receiver = Receiver::start([Reply::echo()]).await;
    let secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let delivery = json!({ "mode": "webhook", "url": receiver.url("/"), "secret": secret });
    let subscribe = newest("events/subscribe", json!({ "name": "conversation.due", "delivery": delivery }));
    let refused = client.mcp(subscribe.clone()).await.json()["error"].clone();
    assert_eq!((&refused["code"], &refused["data"]), (&json!(-32012), &json!({ "reason": "hostNotApproved" })));
    assert!(refused["message"].as_str().unwrap().contains("client approve bob 127.0.0.1"), "{refused}");
    assert!(receiver.received().is_empty(), "not even a challenge");
    operator.post_json(PATH, &json!({ "host": "127.0.0.1" })).await;
    assert!(client.mcp(subscribe.clone()).await.json()["result"]["id"].is_string());
    operator.post_json(PATH, &json!({ "host": "127.0.0.1", "approved": false })).await;
    let renewed = client.mcp(subscribe).await.json();
    assert_eq!(renewed["error"]["data"], json!({ "reason": "hostNotApproved" }), "{renewed}");
}
