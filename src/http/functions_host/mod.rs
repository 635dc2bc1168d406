//! The functions that only the Functions host can invoke.
//!
//! Under the host, the host receives the wake-ups and runs the timer. For each it posts an envelope to the path that is
//! the function's name. This module relies on these facts about the host (v4):
//!
//! - A 2xx response must carry a JSON object.
//! - After any other status the message becomes visible again after `visibilityTimeout`. After the last try it goes to
//!   the poison queue. The host does not read the body.
//! - Before the first invocation the host sends `GET /` every 25 ms. It accepts any response.

mod envelope;
mod figures;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tracing::{Instrument as _, Span};
use warp::reply::{Reply as _, Response};

use self::envelope::Envelope;
use self::figures::Figures;
use super::context::{Invocations, RequestContext};
use super::handlers::health;
use super::operation::{Access, Operation, undocumented};
use crate::api::Problem;
use crate::delivery::{InvalidWakeUp, WakeUp, WakeUpHandler, WakeUpOutcome};
use crate::metrics;

/// The operations that exist only under the Functions host: its ping and the functions that it invokes. For other
/// callers these functions do not exist, because they could forge messages of the queue.
#[must_use]
pub fn invocation_operations() -> Vec<Operation> {
    vec![
        undocumented("ping", Method::GET, "/", Access::Anyone(|_| Box::pin(ready(health::ping())))),
        undocumented(
            "deliverDueConversations",
            Method::POST,
            "/deliverDueConversations",
            Access::FunctionsHost(|context, invocations| Box::pin(deliver_due_conversations(context, invocations))),
        ),
        undocumented(
            "sweepDueConversations",
            Method::POST,
            "/sweepDueConversations",
            Access::FunctionsHost(|context, invocations| Box::pin(sweep_due_conversations(context, invocations))),
        ),
    ]
}

/// The number of times that the host hands out a message before it moves it to the poison queue: `maxDequeueCount` in
/// host.json.
pub const MAX_DEQUEUE_COUNT: u64 = 5;

/// The longest time that a sweep may take. The host ends the whole process after the longer timeout of the function.
const MAX_SWEEP: Duration = Duration::from_mins(4);

/// The reason why an invocation fails.
#[derive(Debug, thiserror::Error)]
enum InvocationError {
    /// The body cannot be read.
    #[error("the invocation cannot be read: {}", .0.detail())]
    Body(Problem),
    /// The envelope is not from a host with our function.json. A retry would fail in the same way.
    #[error("the envelope of the invocation is broken: {0}")]
    Envelope(String),
    /// The message is not a wake-up. It goes to the poison queue.
    #[error("the message is not a wake-up: {0}")]
    Message(#[from] InvalidWakeUp),
    /// The store failed. A later try may succeed.
    #[error("not done, a later try follows: {0}")]
    Store(Cause),
    /// The delivery has a defect.
    #[error("the delivery panicked")]
    Panicked,
}

/// The error of the store below. This layer does not know its type.
type Cause = Box<dyn std::error::Error + Send + Sync>;

impl InvocationError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(problem) => problem.status(),
            Self::Envelope(_) => StatusCode::BAD_REQUEST,
            Self::Message(_) | Self::Store(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// `deliverDueConversations`: the queue has a message.
async fn deliver_due_conversations(
    mut context: RequestContext,
    invocations: Arc<Invocations>,
) -> Result<Response, Problem> {
    Span::current()
        .record("faas.trigger", "pubsub")
        .record("messaging.system", "azure_queue_storage")
        .record("messaging.operation.type", "process");
    let delivered = match context.bytes().await {
        Ok(body) => deliver(&invocations, &body).await,
        Err(problem) => Err(InvocationError::Body(problem)),
    };
    Ok(respond(delivered))
}

/// `sweepDueConversations`: a minute has passed. The sweep needs nothing from the envelope.
async fn sweep_due_conversations(
    mut context: RequestContext,
    invocations: Arc<Invocations>,
) -> Result<Response, Problem> {
    Span::current().record("faas.trigger", "timer");
    let _ = context.bytes().await;
    Ok(respond(sweep(&invocations.wake_ups).await))
}

/// The response in the host's form. The host does not read the reason of a failure, so it is logged here.
fn respond(result: Result<String, InvocationError>) -> Response {
    let error = match result {
        Ok(line) => return envelope::outcome(Response::default(), StatusCode::OK, &line),
        Err(error) => error,
    };
    if matches!(error, InvocationError::Message(_)) {
        metrics::record(|metrics| metrics.wake_up_dropped("not_a_wake_up"));
    }
    let (line, status) = (error.to_string(), error.status());
    if status.is_server_error() {
        tracing::warn!("{line}");
    } else {
        tracing::error!("{line}");
    }
    let response =
        if let InvocationError::Body(problem) = error { problem.into_response() } else { Response::default() };
    envelope::outcome(response, status, &line)
}

async fn deliver(invocations: &Invocations, body: &Bytes) -> Result<String, InvocationError> {
    let envelope = Envelope::read(body).map_err(InvocationError::Envelope)?;
    let wake_up = WakeUp::from_message(&envelope.message())?;
    if envelope.dequeue_count().is_some_and(|count| count >= MAX_DEQUEUE_COUNT) {
        tracing::warn!(?wake_up, "this is the last try before the poison queue");
    }
    let handler = Arc::clone(&invocations.wake_ups);
    // The run is a task of its own, so that it finishes even if the host closes the connection.
    let run = tokio::spawn(async move { handler.handle(&wake_up).await }.in_current_span());
    let outcome = run.await.map_err(|_| InvocationError::Panicked)?;
    Ok(match outcome.map_err(|error| InvocationError::Store(error.into()))? {
        WakeUpOutcome::Switched => "the dead man's switch was renewed".to_owned(),
        WakeUpOutcome::Ran(report) => Figures::from(report).line(),
    })
}

async fn sweep(handler: &WakeUpHandler) -> Result<String, InvocationError> {
    let Ok(report) = tokio::time::timeout(MAX_SWEEP, handler.sweep()).await else {
        tracing::warn!("the sweep was stopped at its time limit");
        return Ok("stopped at the time limit of a sweep; the next sweep continues".to_owned());
    };
    let report = report.map_err(|error| InvocationError::Store(error.into()))?;
    Ok(Figures::from(report).line())
}
