//! `mcp`: one message of the Model Context Protocol.

use http::HeaderValue;
use http::header::HOST;
use warp::reply::Response;

use crate::api::Problem;
use crate::auth::Principal;
use crate::http::RequestContext;

pub(in crate::http) async fn mcp(mut context: RequestContext, caller: Principal) -> Result<Response, Problem> {
    let body = context.json_bytes().await?;
    let services = context.services().clone();
    // The protocol's check of `Host` is about the name by which the client called.
    let host = context.client_host().and_then(|host| HeaderValue::from_str(host).ok());
    let mut headers = context.headers;
    headers.remove(HOST);
    headers.extend(host.map(|host| (HOST, host)));
    let response = services.mcp.respond(caller, headers, body).await?;
    Ok(response.map(Into::into))
}
