//! The operations on conversations: the part that is particular to REST.

use std::collections::HashSet;

use url::form_urlencoded;
use warp::reply::Response;

use crate::api::{
    CancelResponse, ConversationResponse, ErrorDetail, ListRequest, ListResponse, Problem, RawContent,
    RedeliverResponse, ScheduleRequest, ScheduleResponse,
};
use crate::auth::Principal;
use crate::http::{RequestContext, json};

/// `scheduleConversation`
pub(in crate::http) async fn schedule_conversation(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let request = context.json::<ScheduleRequest>().await;
    let scheduler = &context.services().scheduler;
    let scheduled = async {
        let new = request?.validate(scheduler.now(), scheduler.endpoint_policy())?;
        Ok(scheduler.schedule(caller.client(), new).await?)
    };
    // The error is often in the time of the request, so the problem has the server's time.
    let conversation = scheduled.await.map_err(|problem: Problem| problem.server_time(scheduler.now()))?;
    json(&ScheduleResponse::new(&conversation, scheduler.now()))
}

/// `getConversationStatus`
pub(in crate::http) async fn get_conversation_status(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let conversation = scheduler.get(caller.client(), context.conversation_id()?).await?;
    json(&ConversationResponse::<RawContent<'_>>::new(&conversation, scheduler.now()))
}

/// `cancelConversation`
pub(in crate::http) async fn cancel_conversation(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let id = context.conversation_id()?;
    context.services().scheduler.cancel(caller.client(), id).await?;
    json(&CancelResponse::new(id))
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

/// `listConversations`
pub(in crate::http) async fn list_conversations(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let request = list_request(context.query()).map_err(|error| Problem::invalid(vec![error]))?;
    let page = scheduler.list(caller.client(), request.validate()?).await?;
    json(&ListResponse::<RawContent<'_>>::new(&page, scheduler.now()))
}

/// Reads the parameters of a query string. Each may be given at most once.
fn list_request(query: &str) -> Result<ListRequest, ErrorDetail> {
    let mut request = ListRequest::default();
    let mut seen = HashSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let error = |detail: String| {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            ErrorDetail { pointer, detail }
        };
        if !seen.insert(name.clone()) {
            return Err(error("is given twice".to_owned()));
        }
        match &*name {
            "status" => request.status = Some(value.into_owned()),
            "limit" if value.is_empty() => {}
            "limit" => request.limit = Some(value.parse().map_err(|_| error(ListRequest::limits()))?),
            "cursor" => request.cursor = Some(value.into_owned()),
            _ => return Err(error("is not a parameter; the parameters are status, limit and cursor".to_owned())),
        }
    }
    Ok(request)
}
