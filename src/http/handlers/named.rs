//! The operations on conversations with a name: the part that is particular to REST.

use warp::reply::Response;

use super::conversations::show;
use crate::api::{self, CancelResponse, Problem, ScheduleRequest};
use crate::auth::Principal;
use crate::http::{RequestContext, json};

/// `scheduleNamedConversation`
pub(in crate::http) async fn schedule_named_conversation(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let (request, name) = (context.json::<ScheduleRequest>().await, context.parameter().to_owned());
    let scheduler = &context.services().scheduler;
    let scheduled = async { api::schedule_named(scheduler, &caller, &name, request?).await };
    // The error is often in the time of the request, so the problem has the server's time.
    json(&scheduled.await.map_err(|problem: Problem| problem.server_time(scheduler.now()))?)
}

/// `getNamedConversation`
pub(in crate::http) async fn get_named_conversation(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let id = api::named_id(scheduler, caller.client(), context.parameter()).await?;
    show(&scheduler.get(caller.client(), id).await?, scheduler.now())
}

/// `cancelNamedConversation`
pub(in crate::http) async fn cancel_named_conversation(
    context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    let id = api::named_id(scheduler, caller.client(), context.parameter()).await?;
    json(&CancelResponse::new(id, scheduler.cancel(caller.client(), id).await?))
}
