//! `revokeOauthToken`: ends what a login has allowed a program (RFC 7009).

use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use super::refusal::Refusal;
use super::token::read_form;
use crate::api::Problem;
use crate::http::{RequestContext, json};

/// The path of the revocation endpoint.
pub(in crate::http) const PATH: &str = "/oauth/revoke";

/// The form of a revocation, for the documentation.
#[derive(JsonSchema)]
#[schemars(rename = "OauthRevocation")]
#[allow(dead_code)] // only its schema is used
pub(in crate::http) struct RevocationForm {
    /// The refresh token.
    token: String,
    /// The id of the program.
    client_id: Option<String>,
}

/// The answer says nothing more than its status.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthRevoked")]
pub(in crate::http) struct Revoked {}

pub(in crate::http) async fn revoke_oauth_token(mut context: RequestContext) -> Result<Response, Problem> {
    match revoke(&mut context).await {
        Ok(()) => json(&Revoked {}),
        Err(refusal) => refusal.into_response(),
    }
}

async fn revoke(context: &mut RequestContext) -> Result<(), Refusal> {
    let form = read_form(context, &["token", "client_id"]).await?;
    let token = form.get("token").ok_or_else(|| Refusal::invalid_request("token is required."))?;
    // A JSON Web Token has dots, and a refresh token has none.
    if token.contains('.') {
        return Err(Refusal::UnsupportedTokenType);
    }
    let services = context.services();
    let revoked = services.logins.revoke(token, form.get("client_id")).await;
    revoked.map_err(|error| Refusal::of(error, services.authenticator.public_url()))
}
