//! The functions that the Functions host invokes, and no client can.
//!
//! Under the host it is the host that receives the wake-ups and keeps the time. It posts each one to the
//! function's name, in an envelope. Facts of the host (v4) that this module relies on:
//!
//! - a 2xx response must carry a JSON object
//! - after any other status the message comes back after `visibilityTimeout`; after the last try it goes to the
//!   poison queue. The host does not read the body.
//! - the host asks `GET /` every 25 ms before the first invocation; any response will do

mod envelope;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tracing::Instrument as _;
use warp::reply::{Reply as _, Response};

use self::envelope::Envelope;
use super::context::RequestContext;
use super::handlers::health;
use super::operations::{Access, Operation};
use crate::api::Problem;
use crate::delivery::{Deliverer, DeliveryOutcome};
use crate::maintenance::{SweepReport, Sweeper};
use crate::store::{InvalidWakeUp, StoreError, WakeUp};

/// What the host invokes.
pub struct Invocations {
    /// For `deliverConversation`.
    pub deliverer: Arc<Deliverer>,
    /// For `sweepDueConversations`.
    pub sweeper: Sweeper,
}

/// The operations that exist only under the Functions host: its ping and the functions that it invokes. Whoever
/// can call these functions can pretend to be the queue.
#[must_use]
pub fn invocation_operations() -> Vec<Operation> {
    let operation = |name, method, path, access| Operation { name, method, path, access };
    vec![
        operation("ping", Method::GET, "/", Access::Anyone(|_| Box::pin(ready(health::health())))),
        operation(
            "deliverConversation",
            Method::POST,
            "/deliverConversation",
            Access::FunctionsHost(|context, invocations| Box::pin(deliver_conversation(context, invocations))),
        ),
        operation(
            "sweepDueConversations",
            Method::POST,
            "/sweepDueConversations",
            Access::FunctionsHost(|context, invocations| Box::pin(sweep_due_conversations(context, invocations))),
        ),
    ]
}

/// How many times the host hands out a message before it moves it to the poison queue: `maxDequeueCount`
/// in host.json.
pub const MAX_DEQUEUE_COUNT: u64 = 5;

/// How long a sweep may go on. It is shorter than the function's timeout, which ends the whole process.
const MAX_SWEEP: Duration = Duration::from_mins(4);

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
enum InvocationError {
    /// The body cannot be read.
    #[error("the invocation cannot be read: {}", .0.detail())]
    Body(Problem),
    /// The envelope is not from a host with our function.json. No retry will mend that.
    #[error("the envelope of the invocation is broken: {0}")]
    Envelope(String),
    /// The message is no wake-up. It belongs into the poison queue.
    #[error("the message is no wake-up: {0}")]
    Message(#[from] InvalidWakeUp),
    /// The store failed. A later try may succeed.
    #[error("put off: {0}")]
    Store(#[from] StoreError),
    /// A defect.
    #[error("the delivery ended in a panic")]
    Panicked,
}

impl InvocationError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(problem) => problem.status(),
            Self::Envelope(_) => StatusCode::BAD_REQUEST,
            Self::Message(_) | Self::Store(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// `deliverConversation`: a message has come from the queue.
async fn deliver_conversation(mut context: RequestContext, invocations: Arc<Invocations>) -> Result<Response, Problem> {
    let delivered = match context.bytes().await {
        Ok(body) => deliver(&invocations, &body).await,
        Err(problem) => Err(InvocationError::Body(problem)),
    };
    Ok(respond(delivered))
}

/// `sweepDueConversations`: a minute has passed. The envelope has nothing that a sweep needs to know.
async fn sweep_due_conversations(
    mut context: RequestContext,
    invocations: Arc<Invocations>,
) -> Result<Response, Problem> {
    let _ = context.bytes().await;
    Ok(respond(sweep(&invocations.sweeper).await))
}

/// Answers in the host's form. The host does not read the reason of a failure, so the log has it.
fn respond(result: Result<String, InvocationError>) -> Response {
    let error = match result {
        Ok(line) => return envelope::outcome(Response::default(), StatusCode::OK, &line),
        Err(error) => error,
    };
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
        tracing::warn!(conversation.id = %wake_up.id, "this is the last try before the poison queue");
    }
    let about = format!("conversation {} of {}", wake_up.id, wake_up.client);
    let deliverer = Arc::clone(&invocations.deliverer);
    // The delivery is a task of its own: it goes on when the host's connection breaks.
    let delivery = tokio::spawn(async move { deliverer.deliver(&wake_up).await }.in_current_span());
    let outcome = match delivery.await.map_err(|_| InvocationError::Panicked)?? {
        // An alert in infra/ reads this line.
        DeliveryOutcome::Attempted { status, lateness } => {
            format!("attempt made {} ms after its time, now {}", lateness.as_millis(), status.as_str())
        }
        DeliveryOutcome::Abandoned => "attempt given up; the next follows when its lease is over".to_owned(),
        DeliveryOutcome::Postponed => "before its time; another wake-up was put".to_owned(),
        DeliveryOutcome::NothingToDo => "nothing to do".to_owned(),
        DeliveryOutcome::Undeliverable(reason) => format!("cannot be delivered: {reason}"),
    };
    Ok(format!("{about}: {outcome}"))
}

async fn sweep(sweeper: &Sweeper) -> Result<String, InvocationError> {
    let Ok(report) = tokio::time::timeout(MAX_SWEEP, sweeper.sweep()).await else {
        tracing::warn!("the sweep did not finish in time");
        return Ok("swept for as long as a sweep may take; the next sweep goes on".to_owned());
    };
    let SweepReport { seen, enqueued, overdue, poison_queue_length } = report?;
    // The alerts in infra/ read this line.
    Ok(format!(
        "{seen} conversations due soon or overdue, the oldest overdue by {} s; {enqueued} wake-ups put; \
         {poison_queue_length} messages in the poison queue",
        overdue.as_secs()
    ))
}
