//! The envelope in which the Functions host posts an invocation, and the envelope of our response.
//!
//! The source is the code of the Functions host v4: `DefaultHttpWorkerService` and `ScriptInvocationContextExtensions`.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use warp::reply::Response;

use crate::json::StrictObject;

/// The members of an invocation that are read here. The host sends more.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(rename = "Data", alias = "data")]
    data: Option<StrictObject<Data>>,
    #[serde(rename = "Metadata", alias = "metadata")]
    metadata: Option<Box<RawValue>>,
}

/// The bindings of `deliverDueConversations`, by their names in function.json.
#[derive(Deserialize)]
struct Data {
    msg: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "DequeueCount")]
    dequeue_count: Box<RawValue>,
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// A sentence that says where the envelope is broken. It repeats no content, because a message may contain a
    /// secret.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let StrictObject(envelope) = serde_json::from_slice::<StrictObject<Self>>(body)
            .map_err(|error| format!("it is not the JSON of a host, at byte {} of {}", error.column(), body.len()))?;
        match &envelope.data {
            None => Err("it has no Data".to_owned()),
            Some(StrictObject(Data { msg: None })) => {
                Err("Data has no msg; the binding in function.json must have this name".to_owned())
            }
            Some(_) => Ok(envelope),
        }
    }

    /// The text of the queue message. The host wraps it in up to two JSON string literals.
    pub(super) fn message(&self) -> Cow<'_, str> {
        let raw = self.data.as_ref().and_then(|StrictObject(data)| data.msg.as_deref());
        let mut text = Cow::Borrowed(raw.map_or("", RawValue::get));
        for _ in 0..2 {
            let Ok(inner) = serde_json::from_str::<String>(&text) else { break };
            text = Cow::Owned(inner);
        }
        text
    }

    /// The number of times that the host has handed out the message. The host sends a number or a string with a number.
    pub(super) fn dequeue_count(&self) -> Option<u64> {
        let metadata: Metadata = serde_json::from_str(self.metadata.as_ref()?.get()).ok()?;
        metadata.dequeue_count.get().trim_matches('"').parse().ok()
    }
}

/// The envelope of our response. After an empty body the host would wait until the function's timeout.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome<'a> {
    outputs: Empty,
    logs: [&'a str; 1],
    return_value: (),
}

#[derive(Serialize)]
struct Empty {}

/// Writes the envelope of an outcome into a response. The line appears in the host's log.
pub(super) fn outcome(mut response: Response, status: StatusCode, line: &str) -> Response {
    let body = serde_json::to_vec(&Outcome { outputs: Empty {}, logs: [line], return_value: () });
    *response.body_mut() = body.unwrap_or_else(|_| b"{}".to_vec()).into();
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
