//! The operations about time: the part that is particular to REST.

use warp::reply::Response;

use crate::api::{CurrentTimeRequest, CurrentTimeResponse, Parsed, PreviewRequest, PreviewResponse, Problem};
use crate::auth::Principal;
use crate::http::{RequestContext, json};

/// `previewTime`
pub(in crate::http) async fn preview_time(
    mut context: RequestContext,
    _caller: Principal,
) -> Result<Response, Problem> {
    let request = context.json::<PreviewRequest>().await;
    let now = context.services().scheduler.now();
    let due = request.and_then(|request| request.validate(|request| request.validate(now)));
    json(&PreviewResponse::new(&due.map_err(|problem| problem.server_time(now))?, now))
}

/// `getCurrentTime`
pub(in crate::http) fn get_current_time(context: &RequestContext) -> Result<Response, Problem> {
    let zone = Parsed::<CurrentTimeRequest>::from_query(context.query()).validate(CurrentTimeRequest::validate)?;
    json(&CurrentTimeResponse::new(zone, context.services().scheduler.now()))
}
