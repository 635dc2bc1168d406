//! `mcp`: one message of the Model Context Protocol.

use warp::reply::Response;

use crate::api::Problem;
use crate::auth::Principal;
use crate::http::RequestContext;

pub(in crate::http) async fn answer(mut context: RequestContext, principal: Principal) -> Result<Response, Problem> {
    let body = context.json_bytes().await?;
    let response = context.services.mcp.answer(principal, context.headers, body).await?;
    Ok(response.map(Into::into))
}
