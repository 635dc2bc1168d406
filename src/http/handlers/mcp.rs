//! `mcp`: one message of the Model Context Protocol.

use warp::reply::Response;

use crate::api::Problem;
use crate::auth::Principal;
use crate::http::RequestContext;
use crate::http::body::MAX_CONVERSATION;

pub(in crate::http) async fn mcp(mut context: RequestContext, caller: Principal) -> Result<Response, Problem> {
    let body = context.json_bytes(MAX_CONVERSATION).await?;
    let services = context.services().clone();
    let response = services.mcp.respond(caller, context.headers, body).await?;
    Ok(response.map(Into::into))
}
