//! The operations on conversations: the part that is particular to REST.

use warp::reply::Response;

use crate::api::{
    self, CancelResponse, ConversationResponse, ListViewRequest, ListViewResponse, Parsed, Problem, RawContent,
    RedeliverResponse, ScheduleRequest, ShownEndpoints, StatusRequest, UpdateRequest, WaitRequest, log_conversation,
};
use crate::auth::Principal;
use crate::domain::{Scope, Timestamp};
use crate::http::precondition::{if_match, with_tag};
use crate::http::{RequestContext, json};
use crate::scheduler::Found;

/// `scheduleConversation`
pub(in crate::http) async fn schedule_conversation(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let (request, key) = (context.json::<ScheduleRequest>().await, context.idempotency_key());
    let scheduler = &context.services().scheduler;
    let scheduled = async { api::schedule(scheduler, &caller, request?, key).await };
    // The error is often in the time of the request, so the problem has the server's time.
    let (id, response) = scheduled.await.map_err(|problem: Problem| problem.server_time(scheduler.now()))?;
    log_conversation(id);
    json(&response)
}

/// `getConversationStatus`
pub(in crate::http) async fn get_conversation_status(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let query = Parsed::<StatusRequest>::from_query(context.query());
    // Without this parameter, the query is not looked at: this operation had none when it was published.
    let of = if query.value().is_for_operator() {
        caller.require(Scope::Operator)?;
        query.validate(StatusRequest::validate)?
    } else {
        None
    };
    let found = scheduler.get(of.as_ref().unwrap_or(caller.client()), context.conversation_id()?).await?;
    show(&found, &caller, scheduler.now())
}

/// `waitForConversation`
pub(in crate::http) async fn wait_for_conversation(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let request = Parsed::<WaitRequest>::from_query(context.query()).validate(Ok)?;
    let found = scheduler.wait(caller.client(), context.conversation_id()?, request.longest()).await?;
    show(&found, &caller, scheduler.now())
}

/// `updateConversation`
pub(in crate::http) async fn update_conversation(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let id = context.conversation_id()?;
    let request = UpdateRequest::from_json(&context.merge_patch().await?)?;
    let (scheduler, is_expected) = (&context.services().scheduler, if_match(context.headers()));
    let updated = api::update(scheduler, caller.client(), id, &request, is_expected).await?;
    show(&updated, &caller, scheduler.now())
}

pub(super) fn show(found: &Found, caller: &Principal, now: Timestamp) -> Result<Response, Problem> {
    let Found { whole, entity_tag } = found;
    let response = json(&ConversationResponse::<RawContent>::new(whole, ShownEndpoints::to(caller), now))?;
    Ok(with_tag(response, entity_tag))
}

/// `cancelConversation`
pub(in crate::http) async fn cancel_conversation(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let id = context.conversation_id()?;
    let cancelled = context.services().scheduler.cancel(caller.client(), id).await?;
    json(&CancelResponse::new(id, cancelled))
}

/// `redeliverConversation`
pub(in crate::http) async fn redeliver_conversation(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let conversation = scheduler.redeliver(caller.client(), context.conversation_id()?).await?;
    json(&RedeliverResponse::new(&conversation, scheduler.now()))
}

/// `runConversation`
pub(in crate::http) async fn run_conversation(context: RequestContext, caller: Principal) -> Result<Response, Problem> {
    let (id, key) = (context.conversation_id()?, context.idempotency_key());
    let (_, response) = api::run(&context.services().scheduler, &caller, id, key).await?;
    json(&response)
}

/// `listConversations`
pub(in crate::http) async fn list_conversations(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let query = Parsed::<ListViewRequest>::from_query(context.query());
    if query.value().is_for_operator() {
        caller.require(Scope::Operator)?;
    }
    let (of, query) = query.validate(ListViewRequest::validate)?;
    let whose = of.clone().unwrap_or_else(|| caller.client().into());
    let page = scheduler.list_of(caller.client(), &whose, query).await?;
    json(&ListViewResponse::new(&page, of.is_some(), scheduler.now()))
}
