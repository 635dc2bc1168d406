//! `mcp`: a message of the Model Context Protocol.

use std::sync::Arc;

use warp::reply::Response;

use super::{Call, Problem, origin};
use crate::auth::Resource;

const PATH: &str = "/mcp";

pub(super) async fn mcp(mut call: Call) -> Result<Response, Problem> {
    let api = Arc::clone(&call.api);
    let origin = origin(&api, &call.headers);
    let at = |problem: Problem| problem.at(PATH).resource_metadata(&origin.resource_metadata(Resource::Mcp));
    let principal = call.authenticate().await.map_err(|error| at(error.into()))?;
    let body = call.json_bytes().await.map_err(at)?;
    let answer = api.mcp.answer(principal, call.headers, body).await.map_err(at)?;
    Ok(answer.map(Into::into))
}
