//! What a receiver verifies deliveries with: the request of `webhookKeys`, and the responses of it and of `getSigningKeys`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ErrorDetail, FromObject, ObjectReader, Synonyms};
use crate::delivery::{ClientKeys, PublicKey};
use crate::domain::{ClientId, InvalidClientId, Secret};
use crate::json::{secret, text};

/// The client whose public keys are requested.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WebhookKeysRequest {
    /// The id of the client whose deliveries are to be verified. Without it: the first client of the service.
    #[schemars(length(max = ClientId::MAX))]
    client: Option<String>,
}

impl FromObject for WebhookKeysRequest {
    const SYNONYMS: Synonyms = &[("client", &["clientid", "id", "name", "sub", "tenant"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { client: object.string("client") }
    }
}

impl WebhookKeysRequest {
    /// Checks the id. Without one, this is the first client.
    pub(crate) fn client(self, first: &ClientId) -> Result<ClientId, Vec<ErrorDetail>> {
        let Some(client) = self.client.filter(|client| !client.is_empty()) else { return Ok(first.clone()) };
        client.parse().map_err(|error: InvalidClientId| {
            vec![ErrorDetail { pointer: "/client".to_owned(), detail: error.to_string() }]
        })
    }
}

/// The public keys with which receivers verify the signatures v1a of one client: a JSON Web Key Set (RFC 7517).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookKeys")]
pub(crate) struct WebhookKeysResponse {
    keys: Vec<PublicKey>,
}

impl WebhookKeysResponse {
    pub(crate) const fn new(keys: Vec<PublicKey>) -> Self {
        Self { keys }
    }
}

/// What the receivers of a client verify its deliveries with. Each delivery is signed with all of them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SigningKeys")]
pub(crate) struct SigningKeysResponse<'a> {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String")]
    client_id: &'a ClientId,
    /// The secrets for the signatures v1, the newest first. Everybody who knows one can sign deliveries to the receivers of
    /// this client.
    #[serde(serialize_with = "secret::list::serialize")]
    #[schemars(with = "Vec<String>")]
    secrets: Vec<Secret<String>>,
    /// The public keys for the signatures v1a, in the same order.
    public_keys: Vec<PublicKey>,
    /// The address of the public keys for receivers. It needs no token.
    #[schemars(extend("format" = "uri"))]
    public_keys_url: String,
}

impl<'a> SigningKeysResponse<'a> {
    pub(crate) fn new(client_id: &'a ClientId, keys: &ClientKeys, public_keys_url: String) -> Self {
        Self { client_id, secrets: keys.secrets(), public_keys: keys.public_keys(), public_keys_url }
    }
}
