//! Invocations: what the Functions host calls and no client can.
//!
//! Under the host it is the host that receives the wake-ups and keeps the time. It posts each one to
//! the function's name, in an envelope, and reads an envelope back. What its source says of that (host
//! v4, `DefaultHttpWorkerService` and `ScriptInvocationContextExtensions`):
//!
//! - a message's text arrives as a JSON string that holds a JSON string literal that holds the text,
//!   and numbers about it arrive as strings
//! - 2xx must carry a JSON object; on an empty body the host waits until the function's timeout
//! - on any other status the message comes back after `visibilityTimeout`, and the last time goes to
//!   the poison queue; the body is not read
//! - `GET /` must be answered, with anything, before the first call; it is asked every 25 ms

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::Instrument as _;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

use super::{Call, Problem, Route, health};
use crate::delivery::{Delivered, Deliverer, Sweeper, Swept};
use crate::domain::{Hint, InvalidHint, Object};
use crate::store::StoreError;

/// What the host invokes.
pub struct Invocations {
    /// For `deliverConversation`.
    pub deliverer: Arc<Deliverer>,
    /// For `sweepDueConversations`.
    pub sweeper: Sweeper,
}

/// The functions that the host invokes. They are reachable under the host only: whoever can call
/// them can pretend to be the queue.
pub const INVOCATIONS: [Route; 2] = [
    Route { operation: "deliverConversation", method: Method::POST, path: "/deliverConversation" },
    Route { operation: "sweepDueConversations", method: Method::POST, path: "/sweepDueConversations" },
];

/// How often the host hands out a message before it moves it to the poison queue: `maxDequeueCount`
/// in host.json.
pub const MAX_DEQUEUE_COUNT: u64 = 5;

/// How long a sweep may go on. The function's timeout, which ends the whole process, is longer.
const MAX_SWEEP: Duration = Duration::from_mins(4);

/// The routes of the invocations and the host's ping.
pub(super) fn filter(invocations: Arc<Invocations>, call: BoxedFilter<(Call,)>) -> BoxedFilter<(Response,)> {
    let sweeper = Arc::clone(&invocations);
    let deliver = warp::path!("deliverConversation").and(warp::post()).and(call.clone()).then(move |call| {
        let invocations = Arc::clone(&invocations);
        invoke(call, async move |body| deliver_conversation(&invocations, &body?).await)
    });
    let sweep = warp::path!("sweepDueConversations").and(warp::post()).and(call).then(move |call| {
        let invocations = Arc::clone(&sweeper);
        // The time is all that the host has to say, and whatever the envelope is: it is time to sweep.
        invoke(call, async move |_| sweep_due_conversations(&invocations.sweeper).await)
    });
    let ping = warp::path::end().and(warp::get()).map(|| health::health().into_response());
    deliver.or(sweep).unify().or(ping).unify().boxed()
}

/// Reads an invocation, runs it, and answers in the host's form.
async fn invoke<F>(mut call: Call, run: impl FnOnce(Result<bytes::Bytes, Failed>) -> F) -> Response
where
    F: Future<Output = Result<String, Failed>>,
{
    let body = call.bytes().await.map_err(Failed::Body);
    let failed = match run(body).await {
        Ok(line) => return answer(Response::default(), StatusCode::OK, &line),
        Err(failed) => failed,
    };
    // The host does not read why; the log is the only place that says it.
    let (line, status) = (failed.to_string(), failed.status());
    if status.is_server_error() {
        tracing::warn!("{line}");
    } else {
        tracing::error!("{line}");
    }
    let response = if let Failed::Body(problem) = failed { problem.into_response() } else { Response::default() };
    answer(response, status, &line)
}

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// There is no body to read.
    #[error("the invocation cannot be read: {}", .0.detail())]
    Body(Problem),
    /// It is not from a host with our function.json: no retry will mend that.
    #[error("the envelope of the invocation is broken: {0}")]
    Envelope(String),
    /// What was in the queue is no wake-up. It belongs into the poison queue.
    #[error("the message is no wake-up: {0}")]
    Message(#[from] InvalidHint),
    /// Another time, it may go well.
    #[error("put off: {0}")]
    Store(#[from] StoreError),
    /// A defect.
    #[error("the delivery ended in a panic")]
    Panicked,
}

impl Failed {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(problem) => problem.status(),
            Self::Envelope(_) => StatusCode::BAD_REQUEST,
            Self::Message(_) | Self::Store(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// `deliverConversation`: the queue says that a conversation should be looked at.
async fn deliver_conversation(invocations: &Invocations, body: &[u8]) -> Result<String, Failed> {
    let envelope = Envelope::read(body)?;
    let hint = Hint::from_message(&envelope.message())?;
    if envelope.dequeue_count().is_some_and(|count| count >= MAX_DEQUEUE_COUNT) {
        tracing::warn!(conversation.id = %hint.id, "this is the last try before the poison queue");
    }
    let about = format!("conversation {} of {}", hint.id, hint.client);
    let deliverer = Arc::clone(&invocations.deliverer);
    // A task of its own: a connection that breaks does not end an exchange that has begun.
    let delivery = tokio::spawn(async move { deliverer.deliver(&hint).await }.in_current_span());
    let became = match delivery.await.map_err(|_| Failed::Panicked)? {
        // An alert in infra/ reads this line.
        Ok(Delivered::Attempted { status, late }) => {
            format!("attempt made {} ms after its time, now {}", late.as_millis(), status.as_str())
        }
        Ok(Delivered::Abandoned) => "attempt given up; the next follows when its lease is over".to_owned(),
        Ok(Delivered::Postponed) => "before its time; another wake-up was put".to_owned(),
        Ok(Delivered::Dropped) => "nothing to do".to_owned(),
        // Nothing gets better by trying again soon; the sweep comes by, less and less often.
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Refused(_))) => {
            tracing::error!("{about} cannot be delivered: {error}");
            format!("cannot be delivered: {error}")
        }
        Err(error) => return Err(error.into()),
    };
    Ok(format!("{about}: {became}"))
}

/// `sweepDueConversations`: a minute has passed.
async fn sweep_due_conversations(sweeper: &Sweeper) -> Result<String, Failed> {
    let Ok(swept) = tokio::time::timeout(MAX_SWEEP, sweeper.sweep()).await else {
        tracing::warn!("sweep not finished in time");
        return Ok("swept for as long as it may take; the next sweep goes on".to_owned());
    };
    let swept = swept?;
    let Swept { seen, hinted, overdue, poisoned } = swept;
    // The alerts in infra/ read this line.
    Ok(format!(
        "{seen} conversations due soon or overdue, the oldest overdue by {} s; {hinted} wake-ups put; \
         {poisoned} messages in the poison queue",
        overdue.as_secs()
    ))
}

/// What the host posts. It says more than is read here.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Data", alias = "data")]
    data: Option<Object<Data>>,
    #[serde(rename = "Metadata", alias = "metadata")]
    metadata: Option<Box<RawValue>>,
}

/// The bindings of `deliverConversation`, by their names in function.json.
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
    fn read(body: &[u8]) -> Result<Self, Failed> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let broken = |what: &str| Failed::Envelope(what.to_owned());
        let Object(envelope) = serde_json::from_slice::<Object<Self>>(body).map_err(|error| {
            // Where, but not what: it may be somebody's secret.
            Failed::Envelope(format!("not the JSON that a host sends, at byte {} of {}", error.column(), body.len()))
        })?;
        match &envelope.data {
            None => Err(broken("it has no Data")),
            Some(Object(Data { msg: None })) => Err(broken("Data has no msg; function.json must name its binding so")),
            Some(_) => Ok(envelope),
        }
    }

    /// The message, taken out of at most two string literals.
    fn message(&self) -> Cow<'_, str> {
        let raw = self.data.as_ref().and_then(|Object(data)| data.msg.as_deref());
        let mut text = Cow::Borrowed(raw.map_or("", RawValue::get));
        for _ in 0..2 {
            let Ok(inner) = serde_json::from_str::<String>(&text) else { break };
            text = Cow::Owned(inner);
        }
        text
    }

    /// How often the message was handed out: a number, or a string that holds one.
    fn dequeue_count(&self) -> Option<u64> {
        let metadata: Metadata = serde_json::from_str(self.metadata.as_ref()?.get()).ok()?;
        metadata.dequeue_count.get().trim_matches('"').parse().ok()
    }
}

/// What the host reads back.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    outputs: Nothing,
    logs: [&'a str; 1],
    return_value: (),
}

#[derive(Serialize)]
struct Nothing {}

fn answer(mut response: Response, status: StatusCode, line: &str) -> Response {
    let body = serde_json::to_vec(&Answer { outputs: Nothing {}, logs: [line], return_value: () });
    *response.body_mut() = body.unwrap_or_else(|_| b"{}".to_vec()).into();
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
