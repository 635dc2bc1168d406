//! `issueToken`: exchanges an API key for a token.

use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use crate::api::{ErrorDetail, FromObject, ObjectReader, Problem, Synonyms};
use crate::auth::TokenGrant;
use crate::domain::Secret;
use crate::http::{RequestContext, json};

/// The id and the API key of a client.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct TokenRequest {
    /// The id of the client.
    #[schemars(required, length(min = 1))]
    client_id: Option<String>,
    /// The API key of the client.
    #[schemars(required, with = "String", length(min = 1))]
    api_key: Option<Secret<String>>,
}

impl FromObject for TokenRequest {
    const SYNONYMS: Synonyms = &[
        ("clientId", &["client", "id", "username", "user", "name"]),
        ("apiKey", &["key", "secret", "clientsecret", "password", "token"]),
    ];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { client_id: object.string("clientId"), api_key: object.string("apiKey").map(Secret::new) }
    }
}

/// A token for the header Authorization.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Token")]
pub(in crate::http) struct TokenResponse<'a> {
    token: &'a str,
    token_type: &'static str,
    /// The seconds until it expires.
    expires_in: u32,
}

pub(in crate::http) async fn issue_token(mut context: RequestContext) -> Result<Response, Problem> {
    let (client, key) = context.json::<TokenRequest>().await?.validate(check)?;
    let (services, source) = (context.services(), context.source());
    let grant = TokenGrant::default();
    let issued = services.authenticator.issue(&client, &key, grant, source, &*services.entropy).await?;
    json(&TokenResponse { token: issued.token.expose(), token_type: "Bearer", expires_in: issued.expires_in })
}

fn check(request: TokenRequest) -> Result<(String, Secret<String>), Vec<ErrorDetail>> {
    let (client, key) =
        (request.client_id.unwrap_or_default(), request.api_key.unwrap_or_else(|| Secret::new(String::new())));
    let missing = |pointer: &str, text: &str| {
        text.is_empty().then(|| ErrorDetail {
            pointer: pointer.to_owned(),
            detail: "is required and must not be empty".to_owned(),
        })
    };
    let errors: Vec<_> = missing("/clientId", &client).into_iter().chain(missing("/apiKey", key.expose())).collect();
    if errors.is_empty() { Ok((client, key)) } else { Err(errors) }
}
