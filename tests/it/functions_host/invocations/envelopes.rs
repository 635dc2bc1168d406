//! The envelopes and messages that a host, another version or another program can send.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use mcp_scheduler::domain::Status;
use mcp_scheduler::store::{DueKey, PartitionSet, Slot, WakeUp};
use mcp_scheduler::testing::Fault;
use serde_json::{Value, json};

use crate::support::delivery_harness::{self, CLIENT, DeliveryHarness, NOON};
use crate::support::invocations::{Host, envelope, first_release, message, text, text_of};

const HOUR: Duration = Duration::from_hours(1);

async fn due_now() -> (DeliveryHarness, DueKey, Host) {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(HOUR, |_| ()).await;
    harness.wait_until(NOON + HOUR).await;
    let host = Host::of(&harness);
    (harness, due, host)
}

/// Posts each body to its own service with a due conversation. Asserts this status, and that only 200 means a delivery.
async fn all(status: u16, bodies: impl Fn(&DueKey) -> Vec<(&'static str, Bytes)>) {
    let names = bodies(&due_now().await.1).len();
    for i in 0..names {
        let (harness, due, host) = due_now().await;
        let (name, body) = bodies(&due).swap_remove(i);
        let answer = host.deliver(body).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        let delivered = harness.read(due.id).await.status() == Status::Completed;
        assert_eq!((delivered, harness.endpoint.calls().len()), (status == 200, usize::from(status == 200)), "{name}");
    }
}

fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

/// An envelope with a changed message, as an object.
fn with(due: &DueKey, change: impl FnOnce(&mut Value)) -> Bytes {
    let mut message = message(due);
    change(&mut message);
    bytes(&json!({ "Data": { "msg": message } }))
}

fn metadata(due: &DueKey, metadata: &Value) -> Bytes {
    bytes(&json!({ "Data": { "msg": message(due) }, "Metadata": metadata }))
}

#[tokio::test(start_paused = true)]
async fn the_message_is_found_in_every_form_of_envelope() {
    all(200, |due| {
        let text = text(due);
        let pretty = serde_json::to_string_pretty(&message(due)).unwrap();
        let raw = json!({ "Data": { "msg": text } });
        vec![
            ("as the host writes it", bytes(&envelope(&text))),
            ("text in a string", bytes(&raw)),
            ("white space around the text", bytes(&envelope(&format!("\r\n {text}\t")))),
            (
                "white space around the literal",
                bytes(&json!({ "Data": { "msg": format!(" {} ", Value::from(text.clone())) } })),
            ),
            ("a message on many lines", bytes(&envelope(&pretty))),
            ("an envelope on many lines", serde_json::to_string_pretty(&raw).unwrap().into()),
            ("a byte-order mark", [b"\xef\xbb\xbf", &*bytes(&raw)].concat().into()),
            ("members in lower case", bytes(&json!({ "data": { "msg": text }, "metadata": {} }))),
            ("members the other way round", format!(r#"{{"Metadata":{{}},"Data":{{"msg":{}}}}}"#, message(due)).into()),
            ("further bindings and members", bytes(&json!({ "Data": { "msg": text, "req": [1] }, "Extra": null }))),
            ("escapes", bytes(&envelope(&text.replace("slot", "\\u0073lot")))),
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_metadata_of_a_message_prevents_its_delivery() {
    all(200, |due| {
        let count = |count: &str| -> Bytes {
            format!(r#"{{"Data":{{"msg":{}}},"Metadata":{{"DequeueCount":{count}}}}}"#, message(due)).into()
        };
        vec![
            ("nothing", bytes(&json!({ "Data": { "msg": message(due) } }))),
            ("null", metadata(due, &Value::Null)),
            ("a string", metadata(due, &json!("{}"))),
            ("an array", metadata(due, &json!([{ "DequeueCount": 1 }]))),
            (
                "nested",
                metadata(due, &json!({ "DequeueCount": "1", "sys": { "MethodName": "x", "a": [[{}]] }, "v": "1" })),
            ),
            ("no count", count("null")),
            ("a count as a string", count(r#""3""#)),
            ("a count as a string in a string", count(r#""\"3\"""#)),
            ("a huge count", count("18446744073709551616")),
            ("an infinite count", count("1e999")),
            ("a negative count", count("-1")),
            ("a count in words", count(r#""many""#)),
            ("a count that is an object", count(r#"{"value":5}"#)),
            ("two counts", count(r#"1,"DequeueCount":2"#)),
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_wake_up_is_answered_with_500() {
    all(500, |due| {
        let text = text(due);
        let literal = |text: &str| Value::from(text).to_string();
        let job = |name: &'static str, value: Value| with(due, move |m| m["job"][name] = value);
        vec![
            ("base64", bytes(&envelope(&STANDARD.encode(&text)))),
            ("encoded three times", bytes(&envelope(&literal(&text)))),
            ("encoded four times", bytes(&envelope(&literal(&literal(&text))))),
            ("a byte-order mark in the text", bytes(&envelope(&format!("\u{feff}{text}")))),
            ("no text", bytes(&envelope(""))),
            ("an array", bytes(&json!({ "Data": { "msg": [message(due)] } }))),
            ("a number", bytes(&json!({ "Data": { "msg": 1 } }))),
            ("true", bytes(&json!({ "Data": { "msg": true } }))),
            ("half a character", r#"{"Data":{"msg":"\ud800"}}"#.into()),
            ("the job alone", bytes(&json!({ "Data": { "msg": message(due)["job"] } }))),
            ("a job in a job", with(due, |m| m["job"] = json!({ "job": m["job"] }))),
            ("a newer version", with(due, |m| m["v"] = json!(3))),
            ("the version of another job", with(due, |m| m["v"] = json!(1))),
            ("a further field", with(due, |m| m["extra"] = json!(1))),
            ("a further field of the job", job("extra", json!(1))),
            ("a second with a fraction", job("slot", json!("2030-01-01T13:00:00.000Z"))),
            ("a second as a number", job("slot", json!(1_893_502_800))),
            ("a partition that does not exist", job("partitions", json!("g"))),
            ("partitions in another order", job("partitions", json!("f0"))),
            ("partitions as a list", job("partitions", json!(["0", "f"]))),
            ("an end without a beginning", job("until", json!(due.to_string()))),
            ("a beginning that is no key", job("after", json!("m~ann"))),
            ("names in capitals", bytes(&envelope(&text.replace("job", "Job")))),
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_the_first_release_has_exactly_its_form() {
    let first = |due: &DueKey| first_release(CLIENT, &due.id.to_string(), 1);
    all(200, |due| vec![("as it was written", bytes(&envelope(&first(due))))]).await;
    all(500, |due| {
        let job = |name: &str, value: Value| {
            let mut message: Value = serde_json::from_str(&first(due)).unwrap();
            message["job"][name] = value;
            bytes(&envelope(&message.to_string()))
        };
        let mut newer: Value = serde_json::from_str(&first(due)).unwrap();
        newer["v"] = json!(2);
        vec![
            ("another version", bytes(&envelope(&newer.to_string()))),
            ("a further field of the job", job("extra", json!(1))),
            ("a negative generation", job("generation", json!(-1))),
            ("a generation beyond its type", job("generation", json!(4_294_967_296_u64))),
            ("an id in braces", job("id", json!(format!("{{{}}}", due.id)))),
            ("a client that is too long", job("client", json!("a".repeat(65)))),
            ("a client that separates", job("client", json!("ann~m"))),
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_envelope_is_400() {
    all(400, |due| {
        let whole = bytes(&envelope(&text(due)));
        let deep = format!(r#"{{"Data":{{"msg":{}}},"Metadata":{}}}"#, message(due), "[".repeat(100_000));
        let message = message(due);
        vec![
            ("half of it", whole.slice(..whole.len() / 2)),
            ("more than it", [&*whole, b"{}"].concat().into()),
            ("in an array", bytes(&json!([envelope("{}")]))),
            ("a string", bytes(&json!(envelope("{}").to_string()))),
            ("null", "null".into()),
            ("not UTF-8", b"{\"Data\":{\"msg\":\"\xff\"}}".as_slice().into()),
            ("UTF-16", b"\xff\xfe{\0}\0".as_slice().into()),
            ("a form", "Data=msg".into()),
            ("Data null", bytes(&json!({ "Data": null }))),
            ("Data a string", bytes(&json!({ "Data": message.to_string() }))),
            ("Data an array", bytes(&json!({ "Data": [message] }))),
            ("Data empty", bytes(&json!({ "Data": {} }))),
            ("Data in Data", bytes(&json!({ "Data": { "Data": { "msg": message } } }))),
            ("a message that is null", bytes(&json!({ "Data": { "msg": null } }))),
            ("another case of the binding", bytes(&json!({ "Data": { "Msg": message } }))),
            ("two messages", format!(r#"{{"Data":{{"msg":{message},"msg":{message}}}}}"#).into()),
            ("two Datas", format!(r#"{{"Data":{{"msg":{message}}},"data":{{"msg":{message}}}}}"#).into()),
            ("no end of brackets", deep.into()),
        ]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_envelope_may_have_256_kib_and_no_more() {
    let padded = |due: &DueKey, length: usize| -> Bytes {
        let whole = envelope(&text(due)).to_string();
        format!("{whole}{}", " ".repeat(length - whole.len())).into()
    };
    all(200, |due| vec![("exactly", padded(due, 256 * 1024))]).await;
    all(413, |due| vec![("one more", padded(due, 256 * 1024 + 1))]).await;
}

#[tokio::test(start_paused = true)]
async fn the_type_of_the_body_does_not_matter() {
    for kind in ["text/plain", "application/json", "application/octet-stream", ";", ""] {
        let (_, due, host) = due_now().await;
        let body = Full::new(bytes(&envelope(&text(&due))));
        let request = Request::post("/deliverDueConversations").header("content-type", kind).body(body).unwrap();
        assert_eq!(host.request(request).await.status, 200, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_that_names_nothing_due_does_no_harm() {
    let (harness, due, host) = due_now().await;
    let slot = Slot::of(due.at);
    let elsewhere = PartitionSet::from(due.partition()).complement();
    let unknown = due.id.to_string().replace('7', "8");
    for text in [
        text_of(&WakeUp::of_slot(slot, elsewhere)),
        text_of(&WakeUp::of_slot(Slot::of(due.at + Duration::from_secs(1)), PartitionSet::ALL)),
        text_of(&WakeUp::of_slot(Slot::of(NOON), PartitionSet::ALL)),
        // Nobody has enqueued a wake-up for such a time.
        text_of(&WakeUp::of_slot(Slot::of(due.at + HOUR), PartitionSet::ALL)),
        first_release(CLIENT, &unknown, 1),
        first_release("eve", &due.id.to_string(), 1),
    ] {
        let answer = host.deliver(bytes(&envelope(&text))).await;
        assert!(answer.status == 200 && answer.figures()["attempts"] == 0, "{text}: {answer:?}");
    }
    assert!(harness.endpoint.calls().is_empty());
    // A conversation that is due is delivered, whatever generation a message of the first release names.
    assert_eq!(host.deliver(bytes(&envelope(&first_release(CLIENT, &due.id.to_string(), 99)))).await.status, 200);
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn the_dead_mans_switch_is_renewed_and_sweeps() {
    let harness = DeliveryHarness::new();
    let due = harness.schedule(HOUR, |_| ()).await;
    harness.wait_until(due.at + Duration::from_secs(30)).await;
    let host = Host::of(&harness);
    host.have_looked_in_vain(&harness).await;
    let answer = host.deliver(bytes(&envelope(&text_of(&WakeUp::Switch(Slot::of(due.at)))))).await;
    assert_eq!((answer.status, &*answer.line()), (200, "the dead man's switch was renewed"));
    let next = |wake_up: &WakeUp| matches!(wake_up, WakeUp::Switch(slot) if slot.start() > harness.now());
    assert!(harness.queue.enqueued().iter().any(|enqueued| next(&enqueued.wake_up)));
    assert_eq!(harness.read(due.id).await.status(), Status::Completed, "the sweep runs what is overdue");
}

#[tokio::test(start_paused = true)]
async fn the_host_retries_only_while_no_attempt_is_claimed() {
    for (faults, status) in [
        (vec![Fault::Refused], 500),                               // the due rows cannot be read
        (vec![Fault::None, Fault::Refused], 500),                  // the conversation cannot be read
        (vec![Fault::None, Fault::None, Fault::Refused], 500),     // the claim is refused
        (vec![Fault::None, Fault::None, Fault::RequestLost], 200), // the claim is lost, and made again
        (vec![Fault::None, Fault::None, Fault::AnswerLost], 200),  // the claim went through after all
    ] {
        let (harness, due, host) = due_now().await;
        host.have_looked().await;
        harness.table.next_calls(&faults);
        let answer = host.deliver(bytes(&envelope(&text(&due)))).await;
        assert_eq!(answer.status, status, "{faults:?}: {answer:?}");
        let again = host.deliver(bytes(&envelope(&text(&due)))).await;
        assert_eq!(again.status, 200, "{faults:?}: {again:?}");
        assert_eq!(harness.read(due.id).await.status(), Status::Completed, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_does_not_end_an_exchange_that_has_begun() {
    let (harness, due, host) = due_now().await;
    let answer = delivery_harness::Answer::status(200).after(Duration::from_secs(20));
    harness.endpoint.will([answer]);
    let body = bytes(&envelope(&text(&due)));
    let invocation = tokio::spawn(async move { host.deliver(body).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    invocation.abort();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(harness.read(due.id).await.status(), Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn only_post_reaches_a_function_and_only_at_its_own_path() {
    let (harness, _, host) = due_now().await;
    for function in ["deliverDueConversations", "sweepDueConversations"] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = host.call(method.clone(), &format!("/{function}")).await;
            assert_eq!(
                (answer.status, &answer.headers["allow"]),
                (405, &"POST".parse().unwrap()),
                "{method} {function}"
            );
        }
        for path in
            [format!("/{function}/"), format!("/{function}/x"), format!("/api/{function}"), format!("//{function}")]
        {
            assert_eq!(host.call(Method::POST, &path).await.status, 404, "{path}");
        }
        assert_eq!(host.call(Method::POST, &format!("/{}", function.to_lowercase())).await.status, 404);
    }
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_came_through_a_route_finds_no_function_of_the_hosts() {
    let (harness, due, host) = due_now().await;
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.9"),
        ("host", "app.azurewebsites.net"),
        ("host", "127.0.0.1"),
        ("user-agent", "curl/8.5.0"),
        ("user-agent", "curl/8.5.0 Azure-Functions-Host/4.1037.0.0"),
        ("user-agent", ""),
    ] {
        for function in ["deliverDueConversations", "sweepDueConversations"] {
            for method in [Method::POST, Method::GET, Method::OPTIONS] {
                let body = Full::new(bytes(&envelope(&text(&due))));
                let request = Request::builder().method(method.clone()).uri(format!("/{function}"));
                let answer = host.request(request.header(name, value).body(body).unwrap()).await;
                // As for any path that does not exist: no 405 either.
                assert_eq!(answer.status, 404, "{method} {function} with {name}: {value}");
            }
        }
    }
    assert!(harness.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_host_there_are_no_invocations() {
    let (harness, due, _) = due_now().await;
    let alone = Host::none(&harness);
    for path in ["/deliverDueConversations", "/sweepDueConversations"] {
        for method in [Method::GET, Method::POST] {
            let body = Full::new(bytes(&envelope(&text(&due))));
            let answer = alone.request(Request::builder().method(method).uri(path).body(body).unwrap()).await;
            assert_eq!(
                (answer.status, &answer.headers["content-type"]),
                (404, &"application/problem+json".parse().unwrap())
            );
        }
    }
    assert!(harness.endpoint.calls().is_empty());
}
