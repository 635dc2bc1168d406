//! A call of a function without an HTTP trigger: its envelope, and the meaning of the answer.

use std::convert::Infallible;

use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use mcp_scheduler::time::{Clock as _, SystemClock, SystemEntropy, random};
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::Instance;
use super::handler::NotRunning;
use super::log::Source;

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    NotRunning(#[from] NotRunning),
    #[error("no answer: {0}")]
    Transport(reqwest::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("the answer is not a JSON object with its media type: {0}")]
    Answer(String),
    #[error("the function's timeout has passed; the handler is ended")]
    Timeout,
}

/// Posts an envelope to a function and reads the answer as the host does.
pub(super) async fn invoke(instance: &Instance, function: &str, body: &Value) -> Result<(), Failed> {
    let id = new_id();
    instance.handler.ready(4 * instance.app.initialization_timeout).await?;
    let exchange = exchange(instance, function, &id, body);
    let Ok(answer) = timeout(instance.app.function_timeout, exchange).await else {
        instance.end_after_timeout();
        return Err(Failed::Timeout);
    };
    for line in answer?.get("Logs").and_then(Value::as_array).into_iter().flatten() {
        instance.log.add(Source::Function, format!("{function} {id}: {}", line.as_str().unwrap_or("not a text")));
    }
    Ok(())
}

async fn exchange(instance: &Instance, function: &str, id: &str, body: &Value) -> Result<Map<String, Value>, Failed> {
    let url = format!("http://{}/{function}", instance.handler.address);
    let request = instance.http.post(url).body(encoded(instance, body));
    let request = request.header("content-type", "application/json; charset=utf-8");
    let request = request.header("x-azure-functions-invocationid", id);
    let request = request.header("x-azure-functions-hostversion", super::VERSION);
    let request = request.header("user-agent", format!("Azure-Functions-Host/{}", super::VERSION));
    let response = request.send().await.map_err(Failed::Transport)?;
    if !response.status().is_success() {
        return Err(Failed::Status(response.status().as_u16()));
    }
    let media_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let is_json = media_type.is_some_and(|value| value.starts_with("application/json"));
    let text = response.text().await.map_err(Failed::Transport)?;
    if text.is_empty() || is_json && text.trim() == "null" {
        // Such an invocation ends only with its timeout.
        std::future::pending::<()>().await;
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(answer)) if is_json => Ok(answer),
        _ => Err(Failed::Answer(text)),
    }
}

/// Without a length, unless the host runs on a developer's machine.
fn encoded(instance: &Instance, body: &Value) -> reqwest::Body {
    let bytes = Bytes::from(body.to_string());
    if instance.settings.iter().any(|(name, _)| name == "FUNCTIONS_CORETOOLS_ENVIRONMENT") {
        return bytes.into();
    }
    reqwest::Body::wrap(StreamBody::new(stream::iter([Ok::<_, Infallible>(Frame::data(bytes))])))
}

pub(super) fn new_id() -> String {
    Uuid::from_bytes(random(&SystemEntropy::new())).to_string()
}

/// The metadata `sys` of every invocation.
pub(super) fn sys(function: &str) -> Value {
    json!({ "MethodName": function, "UtcNow": SystemClock.now().to_string(), "RandGuid": new_id() })
}

/// The envelope of a queue message. The host sends a message that is no JSON object as its JSON text in a string. The
/// top-level fields of a message that is an object replace metadata of the same name.
pub(super) fn of_message(function: &str, binding: &str, message: &Message) -> Value {
    let mut metadata = Map::new();
    let mut say = |name: &str, value: &Value| {
        let as_it_goes = if value.is_object() { value.clone() } else { Value::from(value.to_string()) };
        metadata.insert(name.to_owned(), as_it_goes);
    };
    say("DequeueCount", &message.dequeue_count.into());
    say("Id", &message.id.as_str().into());
    say("PopReceipt", &message.pop_receipt.as_str().into());
    if let Ok(Value::Object(fields)) = serde_json::from_str(&message.text) {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_array() && !value.is_null()) {
            match value {
                Value::Object(_) | Value::String(_) => say(name, value),
                Value::Bool(value) => say(name, &(if *value { "True" } else { "False" }).into()),
                number => say(name, &number.to_string().into()),
            }
        }
    }
    for (name, time) in &message.times {
        metadata.insert((*name).to_owned(), time.as_str().into());
    }
    metadata.insert("sys".to_owned(), sys(function));
    let literal = Value::from(message.text.as_str()).to_string();
    json!({ "Data": { binding: literal }, "Metadata": metadata })
}

/// A message as it was received.
pub(super) struct Message {
    pub id: String,
    pub pop_receipt: String,
    pub dequeue_count: u64,
    /// `InsertionTime` and the like.
    pub times: [(&'static str, String); 3],
    pub text: String,
}

#[test]
fn a_message_goes_as_a_literal_in_a_string_and_its_fields_cover_what_is_said_about_it() {
    let times = ["ExpirationTime", "InsertionTime", "NextVisibleTime"].map(|name| (name, "a time".to_owned()));
    let text = r#"{"a":1,"b":1.5,"c":true,"Id":"mine","job":{"b":2},"list":[],"n":null}"#.to_owned();
    let message = Message { id: "5f0c".to_owned(), pop_receipt: "AgAA".to_owned(), dequeue_count: 1, times, text };
    let mut envelope = of_message("deliver", "msg", &message);
    assert_eq!(envelope["Data"]["msg"], Value::from(message.text.as_str()).to_string());
    assert_eq!(envelope["Metadata"].as_object_mut().unwrap().remove("sys").unwrap()["MethodName"], "deliver");
    let expected = json!({
        "DequeueCount": "1", "Id": "\"mine\"", "PopReceipt": "\"AgAA\"", "a": "\"1\"", "b": "\"1.5\"",
        "c": "\"True\"", "job": { "b": 2 },
        "ExpirationTime": "a time", "InsertionTime": "a time", "NextVisibleTime": "a time",
    });
    assert_eq!(envelope["Metadata"], expected);
}
