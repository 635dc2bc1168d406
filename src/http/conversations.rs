//! The operations on conversations.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded;
use warp::reply::Response;

use super::{Call, Problem, json};
use crate::answers::{Accepted, Cancelled, Page, Redelivering, View};
use crate::domain::{ConversationId, FieldError, ScheduleRequest, Scope, Status};

const SCHEDULE: &str = "/api/scheduler/schedule";
const STATUS: &str = "/api/scheduler/status";
const SCHEDULER: &str = "/api/scheduler";

pub(super) async fn schedule_conversation(mut call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULE);
    let principal = call.authorize(Scope::Write).await.map_err(at)?;
    let scheduler = &call.api.clone().scheduler;
    let timed = |problem: Problem| problem.at(SCHEDULE).server_time(scheduler.now());
    let request: ScheduleRequest = call.json().await.map_err(timed)?;
    let accepted = scheduler.schedule(principal.client(), request).await.map_err(|e| timed(e.into()))?;
    json(&Accepted::new(&accepted, scheduler.now()))
}

pub(super) async fn get_conversation_status(id: String, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(STATUS);
    let principal = call.authorize(Scope::Read).await.map_err(at)?;
    let scheduler = &call.api.scheduler;
    let id: ConversationId = id.parse().map_err(|_| at(Problem::no_such_conversation()))?;
    let conversation = scheduler.get(principal.client(), id).await.map_err(|e| at(e.into()))?;
    json(&View::new(&conversation, scheduler.now()))
}

pub(super) async fn cancel_conversation(id: String, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULER);
    let principal = call.authorize(Scope::Write).await.map_err(at)?;
    let conversation_id: ConversationId = id.parse().map_err(|_| at(Problem::no_such_conversation()))?;
    call.api.scheduler.cancel(principal.client(), conversation_id).await.map_err(|e| at(e.into()))?;
    json(&Cancelled::new(conversation_id))
}

pub(super) async fn redeliver_conversation(id: String, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULER);
    let principal = call.authorize(Scope::Write).await.map_err(at)?;
    let scheduler = &call.api.scheduler;
    let id: ConversationId = id.parse().map_err(|_| at(Problem::no_such_conversation()))?;
    let conversation = scheduler.redeliver(principal.client(), id).await.map_err(|e| at(e.into()))?;
    json(&Redelivering::new(&conversation, scheduler.now()))
}

pub(super) async fn list_conversations(query: &str, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULER);
    let principal = call.authorize(Scope::Read).await.map_err(at)?;
    let scheduler = &call.api.scheduler;
    let ListQuery { status, limit, cursor } =
        ListQuery::parse(query).map_err(|error| at(Problem::invalid(vec![error])))?;
    let page = scheduler.list(principal.client(), status, limit, cursor).await.map_err(|e| at(e.into()))?;
    json(&Page::new(&page, scheduler.now()))
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
