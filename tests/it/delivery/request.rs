//! The request that the endpoint receives, on each attempt.

use std::time::Duration;

use mcp_scheduler::delivery::ClientKeys;
use mcp_scheduler::domain::{Method, Secret, Signatures};

use crate::support::app::client_keys;
use crate::support::delivery_harness::{Call, DeliveryHarness, NOON};

fn keys(harness: &DeliveryHarness) -> ClientKeys {
    client_keys(harness.client.as_str())
}

async fn calls_of(harness: &DeliveryHarness, attempts: usize) -> Vec<Call> {
    harness.start_worker();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let calls = harness.endpoint.calls();
    assert!(calls.len() >= attempts);
    calls
}

#[tokio::test(start_paused = true)]
async fn the_body_and_the_id_stay_the_same_and_the_attempt_number_grows() {
    let harness = DeliveryHarness::new();
    harness.endpoint.always_fails();
    let due = harness
        .schedule(Duration::from_millis(1500), |request| {
            request.additional_info = Some(serde_json::from_str("{ \"b\": 1.0,\"a\": 1e2 }").unwrap());
        })
        .await;
    let id = due.id.to_string();
    let calls = calls_of(&harness, 4).await;
    let due = (NOON + Duration::from_millis(1500)).to_string();
    let body = format!(
        "{{\"conversationId\":\"{id}\",\"conversationText\":\"Grüße\",\"scheduledTime\":\"{due}\",\
         \"additionalInfo\":{{ \"b\": 1.0,\"a\": 1e2 }}}}"
    );
    for (call, number) in calls.iter().zip(1..) {
        assert_eq!(call.request.body.as_deref(), Some(body.as_bytes()));
        assert_eq!(call.request.method, Method::Post);
        assert_eq!(call.url, "https://example.com/hook?a=b");
        assert_eq!(call.request.timeout, Duration::from_secs(30));
        assert_eq!(call.header("content-type"), Some("application/json"));
        assert_eq!(call.header("webhook-id"), Some(&*id));
        assert_eq!(call.header("idempotency-key"), Some(&*id));
        assert_eq!(call.header("webhook-timestamp"), Some(&*call.at.as_secs().to_string()));
        assert_eq!(call.header("scheduler-attempt"), Some(&*number.to_string()));
        assert_eq!(call.header("scheduler-scheduled-time"), Some(&*due));
        let late = (NOON + Duration::from_millis(1500)).until(call.at).as_millis().to_string();
        assert_eq!(call.header("scheduler-lateness-ms"), Some(&*late));
        let signature = keys(&harness).sign(Signatures::default(), &id, call.at, body.as_bytes());
        assert_eq!(call.header("webhook-signature"), Some(&*signature));
        let trace = format!("00-{}-{number:016x}-01", id.replace('-', ""));
        assert_eq!(call.header("traceparent"), Some(&*trace));
        assert_eq!(call.header("user-agent"), Some(concat!("mcp-scheduler/", env!("CARGO_PKG_VERSION"))));
    }
    for differs in ["webhook-timestamp", "webhook-signature"] {
        assert_ne!(calls[0].header(differs), calls[3].header(differs));
    }
}

/// The signatures are made before a delivery is due, for the second in which it should be sent.
#[tokio::test(start_paused = true)]
async fn a_request_is_signed_for_the_second_in_which_it_is_sent_however_long_its_claim_takes() {
    for (claim_takes, sent_after) in [(0, 2000), (9, 2000), (1500, 3490)] {
        let harness = DeliveryHarness::new();
        let due = harness.schedule(Duration::from_secs(2), |_| ()).await;
        // The first call reads the conversation, the second one commits the claim.
        harness.table.next_call_takes(Duration::ZERO);
        harness.table.next_call_takes(Duration::from_millis(claim_takes));
        harness.deliverer().deliver(&due, None).await.unwrap();
        let call = harness.endpoint.calls().pop().unwrap();
        assert_eq!(call.at, NOON + Duration::from_millis(sent_after));
        assert_eq!(call.header("webhook-timestamp"), Some(&*call.at.as_secs().to_string()));
        let body = call.request.body.as_deref().unwrap();
        let signature = keys(&harness).sign(Signatures::default(), &due.id.to_string(), call.at, body);
        assert_eq!(call.header("webhook-signature"), Some(&*signature), "the claim takes {claim_takes} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_headers_of_the_caller_are_sent_but_do_not_replace_ours() {
    let harness = DeliveryHarness::new();
    let headers = [
        ("X-Mine", " a\tb "),
        ("Authorization", "Bearer x"),
        ("Content-Type", "application/vnd.me+json"),
        ("User-Agent", "me"),
        ("Idempotency-Key", "mine"),
        ("Scheduler-Attempt", "99"),
        ("Traceparent", "00-1-2-00"),
        ("scheduler_scheduled_time", "never"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
    let due = harness.schedule(Duration::ZERO, |request| request.headers = Some(headers.into())).await;
    let call = &calls_of(&harness, 1).await[0];
    assert_eq!(call.header("x-mine"), Some(" a\tb "));
    assert_eq!(call.header("authorization"), Some("Bearer x"));
    assert_eq!(call.header("content-type"), Some("application/vnd.me+json"));
    assert_eq!(call.header("idempotency-key"), Some(&*due.id.to_string()));
    assert_eq!(call.header("scheduler-attempt"), Some("1"));
    assert_eq!(call.header("user-agent"), Some("me"), "some APIs want the caller's own");
    assert!(call.header("traceparent").unwrap().len() == 55);
    assert_eq!(call.header("scheduler_scheduled_time"), None, "some receivers read an underscore as a hyphen");
}

#[tokio::test(start_paused = true)]
async fn text_is_sent_verbatim() {
    let harness = DeliveryHarness::new();
    let text = "  \u{feff}Grüße\r\n\"{}\" 👋 ";
    harness
        .schedule(Duration::ZERO, |request| {
            request.format = Some("text".to_owned());
            request.conversation_text = Some(text.to_owned());
        })
        .await;
    let call = &calls_of(&harness, 1).await[0];
    assert_eq!(call.request.body.as_deref(), Some(text.as_bytes()));
    assert_eq!(call.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test(start_paused = true)]
async fn the_method_of_the_caller_is_used_and_get_and_delete_have_no_body() {
    for (name, method) in
        [("put", Method::Put), ("PATCH", Method::Patch), ("GET", Method::Get), ("Delete", Method::Delete)]
    {
        let harness = DeliveryHarness::new();
        harness.schedule(Duration::ZERO, |request| request.method = Some(name.to_owned())).await;
        let call = &calls_of(&harness, 1).await[0];
        assert_eq!(call.request.method, method);
        assert_eq!(call.request.body.is_some(), method.has_content(), "{name}");
        assert_eq!(call.header("content-type").is_some(), method.has_content(), "{name}");
        let body = call.request.body.as_deref().unwrap_or_default();
        let signature = keys(&harness).sign(Signatures::default(), call.header("webhook-id").unwrap(), call.at, body);
        assert_eq!(call.header("webhook-signature"), Some(&*signature), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_thread_is_in_the_body_and_in_a_header_that_wins() {
    for (format, in_body) in [("json", true), ("text", false)] {
        let harness = DeliveryHarness::new();
        harness.endpoint.always_fails();
        harness
            .schedule(Duration::ZERO, |request| {
                request.format = Some(format.to_owned());
                request.thread_id = Some("thread/7\"".to_owned());
                request.labels = Some(vec![("team".to_owned(), "ops".to_owned())]);
                let theirs = ["Scheduler-Thread-Id", "scheduler_thread_id"].map(str::to_owned);
                request.headers = Some(theirs.map(|name| (name, Secret::new("theirs".to_owned()))).into());
            })
            .await;
        for call in calls_of(&harness, 2).await {
            let ours: Vec<_> = call.request.headers.iter().filter(|(name, _)| name.contains("thread")).collect();
            assert!(ours.len() == 1 && call.header("scheduler-thread-id") == Some("thread/7\""), "{format}");
            let body = std::str::from_utf8(call.request.body.as_deref().unwrap()).unwrap();
            assert_eq!(body.ends_with(r#","threadId":"thread/7\""}"#), in_body, "{body}");
        }
    }
    let harness = DeliveryHarness::new();
    harness.schedule(Duration::ZERO, |_| ()).await;
    let call = &calls_of(&harness, 1).await[0];
    assert_eq!(call.header("scheduler-thread-id"), None);
}

#[tokio::test(start_paused = true)]
async fn the_body_of_the_caller_is_sent_with_its_placeholders_replaced_and_stays_the_same() {
    // The second one is so large that its payload has a row of its own.
    for text in ["Grüße \"{{occurrence}}\"\n".to_owned(), "日本".repeat(10_000)] {
        let harness = DeliveryHarness::new();
        harness.endpoint.always_fails();
        let due = harness
            .schedule(Duration::from_millis(1500), |request| {
                let body = r#"{ "n": 1.50, "t": ["{{conversationText}}", "{{additionalInfo.a}} {{ occurrence }}"],
                                "{{occurrence}}": "{{conversationId}} {{scheduledTime}} {{{{x}}" }"#;
                request.body = Some(serde_json::from_str(body).unwrap());
                request.conversation_text = Some(text.clone());
                request.additional_info = Some(serde_json::from_str(r#"{"a": {"b": 1e2}}"#).unwrap());
            })
            .await;
        let text = serde_json::to_string(&text).unwrap();
        let (id, time) = (due.id, NOON + Duration::from_millis(1500));
        let expected = format!(
            r#"{{ "n": 1.50, "t": [{text}, "{{\"b\": 1e2}} 1"],
                                "{{{{occurrence}}}}": "{id} {time} {{{{x}}}}" }}"#
        );
        for call in calls_of(&harness, 3).await {
            let body = std::str::from_utf8(call.request.body.as_deref().unwrap()).unwrap();
            assert_eq!(body, expected);
            assert_eq!(call.header("content-type"), Some("application/json"));
            let signature = keys(&harness).sign(Signatures::default(), &id.to_string(), call.at, body.as_bytes());
            assert_eq!(call.header("webhook-signature"), Some(&*signature));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_event_has_the_object_of_json_as_its_data_and_stays_the_same() {
    let harness = DeliveryHarness::new();
    harness.endpoint.always_fails();
    let due = harness
        .schedule(Duration::from_millis(1500), |request| {
            request.format = Some("CloudEvents".to_owned());
            request.additional_info = Some(serde_json::from_str("{ \"a\": 1e2 }").unwrap());
            request.thread_id = Some("thread-7".to_owned());
        })
        .await;
    let (id, time) = (due.id, NOON + Duration::from_millis(1500));
    let data = format!(
        r#"{{"conversationId":"{id}","conversationText":"Grüße","scheduledTime":"{time}","additionalInfo":{{ "a": 1e2 }},"threadId":"thread-7"}}"#
    );
    let body = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"mcp-scheduler","type":"mcp-scheduler.conversation.due","time":"{time}","datacontenttype":"application/json","data":{data}}}"#
    );
    for call in calls_of(&harness, 3).await {
        assert_eq!(std::str::from_utf8(call.request.body.as_deref().unwrap()), Ok(&*body));
        assert_eq!(call.header("content-type"), Some("application/cloudevents+json"));
        assert_eq!(call.header("webhook-id"), Some(&*id.to_string()));
    }
}
