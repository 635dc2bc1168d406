//! The operations on many conversations: the part that is particular to REST.

use warp::reply::Response;

use crate::api::{
    BatchRequest, BatchResponse, BulkCancelResponse, BulkRedeliverResponse, BulkRequest, Cancelling, Problem,
    Redelivering, schedule_batch as schedule_all,
};
use crate::auth::Principal;
use crate::http::{RequestContext, json};

/// `scheduleBatch`
pub(in crate::http) async fn schedule_batch(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let (request, key) = (context.json::<BatchRequest>().await?, context.idempotency_key());
    let scheduler = &context.services().scheduler;
    let results = schedule_all(scheduler, &caller, request, key).await?;
    json(&BatchResponse::new(results, scheduler.now()))
}

/// `cancelConversations`
pub(in crate::http) async fn cancel_conversations(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let query = context.json::<BulkRequest<Cancelling>>().await?.validate(BulkRequest::validate)?;
    let result = context.services().scheduler.cancel_listed(caller.client(), query).await?;
    json(&BulkCancelResponse::from(result))
}

/// `redeliverConversations`
pub(in crate::http) async fn redeliver_conversations(
    mut context: RequestContext,
    caller: Principal,
) -> Result<Response, Problem> {
    let query = context.json::<BulkRequest<Redelivering>>().await?.validate(BulkRequest::validate)?;
    let result = context.services().scheduler.redeliver_listed(caller.client(), query).await?;
    json(&BulkRedeliverResponse::from(result))
}
