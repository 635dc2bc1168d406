//! What receivers verify deliveries with: `getSigningKeys` and `webhookKeys`.

use std::time::Duration;

use warp::reply::Response;

use crate::api::{Parsed, Problem, SigningKeysResponse, WebhookKeysRequest, WebhookKeysResponse};
use crate::auth::Principal;
use crate::http::server::Caching;
use crate::http::{RequestContext, json};

/// The path of `webhookKeys`.
pub(in crate::http) const PATH: &str = "/.well-known/webhook-keys.json";
/// A receiver learns of another key within this time, and trusts a key this long after it was taken off the list.
const CACHING: Caching = Caching::For(Duration::from_mins(5));

/// `getSigningKeys`
pub(in crate::http) fn get_signing_keys(context: &RequestContext, caller: &Principal) -> Result<Response, Problem> {
    let client = caller.client();
    let keys = context.services().signer.keys(client);
    let url = format!("{}{PATH}?client={client}", context.origin().as_str());
    json(&SigningKeysResponse::new(client, &keys, url))
}

/// `webhookKeys`. The keys are derived for every id, so the answer does not tell which clients exist.
pub(in crate::http) fn webhook_keys(context: &RequestContext) -> Result<Response, Problem> {
    let services = context.services();
    let request = Parsed::<WebhookKeysRequest>::from_query(context.query());
    let client = request.validate(|request| request.client(&services.first_client.get()))?;
    let mut response = json(&WebhookKeysResponse::new(services.signer.public_keys(&client)))?;
    response.extensions_mut().insert(CACHING);
    Ok(response)
}
