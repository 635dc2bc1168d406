//! The operations on conversations.

use std::collections::HashSet;

use url::form_urlencoded;
use warp::reply::Response;

use super::{Call, Problem, json};
use crate::answers::{Accepted, Cancellation, Page, Redelivering, Verbatim, View};
use crate::domain::{ConversationId, FieldError, ListRequest, ScheduleRequest, Scope};

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
    json(&View::<Verbatim<'_>>::new(&conversation, scheduler.now()))
}

pub(super) async fn cancel_conversation(id: String, call: Call) -> Result<Response, Problem> {
    let at = |problem: Problem| problem.at(SCHEDULER);
    let principal = call.authorize(Scope::Write).await.map_err(at)?;
    let conversation_id: ConversationId = id.parse().map_err(|_| at(Problem::no_such_conversation()))?;
    call.api.scheduler.cancel(principal.client(), conversation_id).await.map_err(|e| at(e.into()))?;
    json(&Cancellation::new(conversation_id))
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
    let request = list_request(query).map_err(|error| at(Problem::invalid(vec![error])))?;
    let page = scheduler.list(principal.client(), request).await.map_err(|e| at(e.into()))?;
    json(&Page::new(&page, scheduler.now()))
}

/// The parameters of a query string, each at most once.
fn list_request(query: &str) -> Result<ListRequest, FieldError> {
    let mut request = ListRequest::default();
    let mut seen = HashSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong =
            |detail: String| FieldError { pointer: format!("/{}", name.replace('~', "~0").replace('/', "~1")), detail };
        if !seen.insert(name.clone()) {
            return Err(wrong("is there twice".to_owned()));
        }
        match &*name {
            "status" => request.status = Some(value.into_owned()),
            "limit" if value.is_empty() => {}
            "limit" => request.limit = Some(value.parse().map_err(|_| wrong(ListRequest::limits()))?),
            "cursor" => request.cursor = Some(value.into_owned()),
            _ => return Err(wrong("is not a parameter; status, limit and cursor are".to_owned())),
        }
    }
    Ok(request)
}
