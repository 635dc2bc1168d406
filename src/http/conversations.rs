//! The operations on conversations, and how conversations look in answers.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use url::form_urlencoded;
use warp::reply::Response;

use super::{Call, Problem, json};
use crate::domain::{
    AnyJson, Attempt, Conversation, ConversationId, ErrorClass, FieldError, Format, Method, Outcome, Policy,
    ScheduleRequest, State, Status, Timestamp,
};

const SCHEDULE: &str = "/api/scheduler/schedule";
const STATUS: &str = "/api/scheduler/status";
const SCHEDULER: &str = "/api/scheduler";

pub(super) async fn schedule_conversation(mut call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULE);
    let principal = call.authenticate().await.map_err(at)?;
    let scheduler = &call.api.clone().scheduler;
    let timed = |problem: Problem| problem.at(SCHEDULE).server_time(scheduler.now());
    let request: ScheduleRequest = call.json().await.map_err(timed)?;
    let accepted = scheduler.schedule(principal.client(), request).await.map_err(|e| timed(e.into()))?;
    let now = scheduler.now();
    json(&Accepted {
        conversation_id: accepted.id,
        status: accepted.status(),
        scheduled_time: accepted.due.to_string(),
        server_time: now.to_string(),
        due_in_seconds: now.until(accepted.due).as_secs_f64(),
    })
}

pub(super) async fn get_conversation_status(id: String, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(STATUS);
    let principal = call.authenticate().await.map_err(at)?;
    let scheduler = &call.api.scheduler;
    let id: ConversationId = id.parse().map_err(|_| at(Problem::no_such_conversation()))?;
    let conversation = scheduler.get(principal.client(), id).await.map_err(|e| at(e.into()))?;
    json(&View::new(&conversation, scheduler.now()))
}

pub(super) async fn cancel_conversation(id: String, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULER);
    let principal = call.authenticate().await.map_err(at)?;
    let conversation_id: ConversationId = id.parse().map_err(|_| at(Problem::no_such_conversation()))?;
    call.api.scheduler.cancel(principal.client(), conversation_id).await.map_err(|e| at(e.into()))?;
    json(&Cancelled { conversation_id, cancelled: true })
}

pub(super) async fn list_conversations(query: &str, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULER);
    let principal = call.authenticate().await.map_err(at)?;
    let scheduler = &call.api.scheduler;
    let ListQuery { status, limit, cursor } =
        ListQuery::parse(query).map_err(|error| at(Problem::invalid(vec![error])))?;
    let page = scheduler.list(principal.client(), status, limit, cursor).await.map_err(|e| at(e.into()))?;
    json(&Page {
        conversations: page.conversations.iter().map(Summary::new).collect(),
        next_cursor: page.next.map(|id| URL_SAFE_NO_PAD.encode(id.to_string())),
        server_time: scheduler.now().to_string(),
    })
}

struct ListQuery {
    status: Option<Status>,
    limit: usize,
    cursor: Option<ConversationId>,
}

impl ListQuery {
    const MAX_LIMIT: usize = 100;

    fn parse(query: &str) -> Result<Self, FieldError> {
        let mut parsed = Self { status: None, limit: 50, cursor: None };
        let mut seen = HashSet::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let wrong = |detail: String| FieldError {
                pointer: format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                detail,
            };
            if !seen.insert(name.clone()) {
                return Err(wrong("is there twice".to_owned()));
            }
            match &*name {
                // Written out and left empty, as generated clients do: not set.
                "status" | "limit" | "cursor" if value.is_empty() => {}
                "status" => {
                    let known = Status::ALL.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(&value));
                    let words = Status::ALL.map(Status::as_str).join(", ");
                    parsed.status = Some(known.ok_or_else(|| wrong(format!("must be one of {words}")))?);
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|n| (1..=Self::MAX_LIMIT).contains(n));
                    parsed.limit =
                        limit.ok_or_else(|| wrong(format!("must be a number from 1 to {}", Self::MAX_LIMIT)))?;
                }
                "cursor" => {
                    let id = URL_SAFE_NO_PAD.decode(&*value).ok().and_then(|b| String::from_utf8(b).ok()?.parse().ok());
                    parsed.cursor =
                        Some(id.ok_or_else(|| wrong("must be the nextCursor of an earlier page".to_owned()))?);
                }
                _ => return Err(wrong("is not a parameter; status, limit and cursor are".to_owned())),
            }
        }
        Ok(parsed)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    conversation_id: ConversationId,
    status: Status,
    scheduled_time: String,
    server_time: String,
    due_in_seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled {
    conversation_id: ConversationId,
    cancelled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    conversations: Vec<Summary<'a>>,
    next_cursor: Option<String>,
    server_time: String,
}

/// A conversation in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    conversation_id: ConversationId,
    status: Status,
    scheduled_time: String,
    created_time: String,
    endpoint: &'a str,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    conversation_id: ConversationId,
    status: Status,
    scheduled_time: String,
    server_time: String,
    created_time: String,
    updated_time: String,
    conversation_text: &'a str,
    endpoint: &'a str,
    method: Method,
    headers: serde_json::Map<String, serde_json::Value>,
    additional_info: Option<&'a AnyJson>,
    format: Format,
    retry: RetryView,
    timeout_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    attempts: Vec<AttemptView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RetryView {
    max_attempts: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView<'a> {
    number: u32,
    started_time: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorClass>,
    #[serde(skip_serializing_if = "str::is_empty")]
    response_excerpt: &'a str,
}

impl<'a> View<'a> {
    fn new(conversation: &'a Conversation, now: Timestamp) -> Self {
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
            conversation_text: &conversation.content.text,
            endpoint: target.endpoint.as_str(),
            method: target.method,
            headers: target.headers.iter().map(|(name, _)| (name.to_owned(), "[redacted]".into())).collect(),
            additional_info: conversation.content.info.as_ref(),
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

fn attempts(conversation: &Conversation) -> Vec<AttemptView<'_>> {
    let over = conversation.attempts.iter().map(|Attempt { began, report }| AttemptView {
        number: began.number,
        started_time: began.started.to_string(),
        outcome: match report.outcome {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Unknown => "unknown",
        },
        duration_ms: Some(report.duration_ms),
        http_status: report.http_status,
        error: report.error,
        response_excerpt: &report.response_excerpt,
    });
    let in_flight = conversation.in_flight().map(|began| AttemptView {
        number: began.number,
        started_time: began.started.to_string(),
        outcome: "inFlight",
        duration_ms: None,
        http_status: None,
        error: None,
        response_excerpt: "",
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
