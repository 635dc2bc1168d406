//! `registerOauthClient`: gives a program an id (RFC 7591).

use http::StatusCode;
use warp::reply::Response;

use super::refusal::Refusal;
use crate::api::Problem;
use crate::http::{RequestContext, json};
use crate::login::{Registered, Registration};

/// The path of the registration endpoint.
pub(in crate::http) const PATH: &str = "/oauth/register";

pub(in crate::http) async fn register_oauth_client(mut context: RequestContext) -> Result<Response, Problem> {
    match register(&mut context).await {
        Ok(registered) => {
            let mut response = json(&registered)?;
            *response.status_mut() = StatusCode::CREATED;
            Ok(response)
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn register(context: &mut RequestContext) -> Result<Registered, Refusal> {
    context.services().authenticator.count_registration(context.source())?;
    let body = context.json_bytes().await?;
    Ok(context.services().logins.register(Registration::parse(&body)?)?)
}
