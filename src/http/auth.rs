//! `issueToken`: an API key for a token.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::{Call, Problem, json};
use crate::auth::Grant;
use crate::domain::{FieldError, Secret};

const PATH: &str = "/api/auth/token";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenRequest {
    client_id: Option<String>,
    api_key: Option<Secret<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenResponse<'a> {
    token: &'a str,
    token_type: &'static str,
    expires_in: u32,
}

pub(super) async fn issue_token(mut call: Call) -> Result<Response, Problem> {
    let request: TokenRequest = call.json().await.map_err(|p| p.at(PATH))?;
    let (client, key) = check(request).map_err(|errors| Problem::invalid(errors).at(PATH))?;
    let (api, source) = (Arc::clone(&call.api), call.source());
    let issued = api.authenticator.issue(&client, &key, Grant::default(), source, &*api.entropy).await;
    let issued = issued.map_err(|e| call.refuse(e).at(PATH))?;
    json(&TokenResponse { token: issued.token.expose(), token_type: "Bearer", expires_in: issued.expires_in })
}

fn check(request: TokenRequest) -> Result<(String, Secret<String>), Vec<FieldError>> {
    let (client, key) =
        (request.client_id.unwrap_or_default(), request.api_key.unwrap_or_else(|| Secret::new(String::new())));
    let missing = |pointer: &str, text: &str| {
        text.is_empty().then(|| FieldError { pointer: pointer.to_owned(), detail: "is required".to_owned() })
    };
    let errors: Vec<_> = missing("/clientId", &client).into_iter().chain(missing("/apiKey", key.expose())).collect();
    if errors.is_empty() { Ok((client, key)) } else { Err(errors) }
}
