//! How conversations look in answers. Header values are credentials more often than not: only names
//! are shown.

use schemars::JsonSchema;
use serde::Serialize;

use super::Foreign;
use crate::domain::{
    Attempt, Conversation, ConversationId, Cursor, ErrorClass, Format, Method, Outcome, Policy, State, Status,
    Timestamp, TooLate,
};
use crate::store::Listing;

/// What a conversation that was just accepted is answered with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[schemars(with = "String", extend("enum" = Status::ALL.map(Status::as_str)))]
    status: Status,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
    due_in_seconds: f64,
}

impl Accepted {
    pub(crate) fn new(conversation: &Conversation, now: Timestamp) -> Self {
        Self {
            conversation_id: conversation.id,
            status: conversation.status(),
            scheduled_time: conversation.due.to_string(),
            server_time: now.to_string(),
            due_in_seconds: now.until(conversation.due).as_secs_f64(),
        }
    }
}

/// Whether a conversation was withdrawn.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancellation {
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    cancelled: bool,
    /// Its status, where it was too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    status: Option<Status>,
    /// Why it was too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Cancellation {
    pub(crate) const fn new(conversation_id: ConversationId) -> Self {
        Self { conversation_id, cancelled: true, status: None, reason: None }
    }

    /// For where that is an answer, not an error.
    pub(crate) fn too_late(conversation_id: ConversationId, status: Status, reason: TooLate) -> Self {
        let reason = Some(format!("The conversation {reason}."));
        Self { conversation_id, cancelled: false, status: Some(status), reason }
    }
}

/// What a conversation that is delivered after all is answered with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Redelivering {
    conversation_id: ConversationId,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_time: Option<String>,
    server_time: String,
}

impl Redelivering {
    pub(crate) fn new(conversation: &Conversation, now: Timestamp) -> Self {
        Self {
            conversation_id: conversation.id,
            status: conversation.status(),
            next_attempt_time: next_attempt(conversation),
            server_time: now.to_string(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<'a> {
    conversations: Vec<Summary<'a>>,
    next_cursor: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
}

impl<'a> Page<'a> {
    pub(crate) fn new(listing: &'a Listing, now: Timestamp) -> Self {
        Self {
            conversations: listing.conversations.iter().map(Summary::new).collect(),
            next_cursor: listing.next.map(|id| Cursor(id).to_string()),
            server_time: now.to_string(),
        }
    }
}

/// A conversation in a list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[schemars(with = "String", extend("enum" = Status::ALL.map(Status::as_str)))]
    status: Status,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    #[schemars(extend("format" = "date-time"))]
    created_time: String,
    endpoint: &'a str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    next_attempt_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl<'a> Summary<'a> {
    fn new(conversation: &'a Conversation) -> Self {
        Self {
            conversation_id: conversation.id,
            status: conversation.status(),
            scheduled_time: conversation.due.to_string(),
            created_time: conversation.created.to_string(),
            endpoint: conversation.target.endpoint.as_str(),
            attempts: conversation.attempts_begun(),
            next_attempt_time: next_attempt(conversation),
            last_error: last_error(conversation),
        }
    }
}

/// A conversation in full. Header values are credentials more often than not: only names are shown.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View<'a, F> {
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[schemars(with = "String", extend("enum" = Status::ALL.map(Status::as_str)))]
    status: Status,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
    #[schemars(extend("format" = "date-time"))]
    created_time: String,
    #[schemars(extend("format" = "date-time"))]
    updated_time: String,
    conversation_text: F,
    endpoint: &'a str,
    #[schemars(with = "String")]
    method: Method,
    headers: serde_json::Map<String, serde_json::Value>,
    additional_info: Option<F>,
    #[schemars(with = "String")]
    format: Format,
    retry: RetryView,
    timeout_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    next_attempt_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    attempts: Vec<AttemptView<F>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RetryView {
    max_attempts: u32,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptView<F> {
    number: u32,
    #[schemars(extend("format" = "date-time"))]
    started_time: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    error: Option<ErrorClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_excerpt: Option<F>,
}

impl<'a, F: Foreign<'a>> View<'a, F> {
    pub(crate) fn new(conversation: &'a Conversation, now: Timestamp) -> Self {
        let Policy { max_attempts, timeout_seconds } = conversation.policy;
        let first = conversation.attempts.first().map(|a| a.began).or_else(|| conversation.in_flight());
        let target = &conversation.target;
        Self {
            conversation_id: conversation.id,
            status: conversation.status(),
            scheduled_time: conversation.due.to_string(),
            server_time: now.to_string(),
            created_time: conversation.created.to_string(),
            updated_time: conversation.updated.to_string(),
            conversation_text: F::text(&conversation.content.text),
            endpoint: target.endpoint.as_str(),
            method: target.method,
            headers: target.headers.iter().map(|(name, _)| (name.to_owned(), "[redacted]".into())).collect(),
            additional_info: conversation.content.info.as_ref().map(F::json),
            format: conversation.content.format,
            retry: RetryView { max_attempts },
            timeout_seconds,
            next_attempt_time: next_attempt(conversation),
            lateness_ms: first.filter(|a| a.number == 1).map(|a| millis(conversation.due, a.started)),
            last_error: last_error(conversation),
            attempts: attempts(conversation),
        }
    }
}

fn attempts<'a, F: Foreign<'a>>(conversation: &'a Conversation) -> Vec<AttemptView<F>> {
    let over = conversation.attempts.iter().map(|Attempt { began, report }| AttemptView {
        number: began.number,
        started_time: began.started.to_string(),
        outcome: match report.outcome {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::PermanentFailure => "permanentFailure",
            Outcome::Unknown => "unknown",
        },
        duration_ms: Some(report.duration_ms),
        http_status: report.http_status,
        error: report.error,
        response_excerpt: Some(&*report.response_excerpt).filter(|text| !text.is_empty()).map(F::text),
    });
    let in_flight = conversation.in_flight().map(|began| AttemptView {
        number: began.number,
        started_time: began.started.to_string(),
        outcome: "inFlight",
        duration_ms: None,
        http_status: None,
        error: None,
        response_excerpt: None,
    });
    over.chain(in_flight).collect()
}

fn next_attempt(conversation: &Conversation) -> Option<String> {
    match &conversation.state {
        State::Scheduled => Some(conversation.due.to_string()),
        State::Waiting { next_attempt } => Some(next_attempt.to_string()),
        _ => None,
    }
}

fn last_error(conversation: &Conversation) -> Option<String> {
    match &conversation.state {
        State::Failed { reason } => Some(reason.clone()),
        _ => conversation.attempts.last().filter(|a| a.report.outcome != Outcome::Success).map(|a| a.report.reason()),
    }
}

fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(from.until(to).as_millis()).unwrap_or(u64::MAX)
}
