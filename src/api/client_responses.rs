//! The responses of the operations on clients. The command line prints them, too.

use schemars::JsonSchema;
use serde::Serialize;

use super::client_limits::ClientLimitsResponse;
use crate::auth::{ClientPage, ClientRecord, NewKey};
use crate::domain::{ClientId, RedirectUri, Timestamp};
use crate::json::text;

/// A client.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientResponse {
    client_id: String,
    scopes: ScopeNames,
    /// The kinds of signature of its deliveries.
    signatures: Vec<&'static str>,
    /// The addresses to which a login by its id returns the browser.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    redirect_uris: Vec<String>,
    #[serde(flatten)]
    limits: ClientLimitsResponse,
    /// Whether it gets no token and its tokens are refused.
    disabled: bool,
    /// The number of API keys with which it can log in.
    keys: usize,
    /// Whether it is the first client, which the settings or the first start have made. No operation changes it.
    is_first: bool,
    /// The time at which it was added, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    created_time: Option<String>,
    /// The time at which it last got another key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    rotated_time: Option<String>,
}

/// The names of scopes.
type ScopeNames = Vec<&'static str>;

impl From<&ClientRecord> for ClientResponse {
    fn from(client: &ClientRecord) -> Self {
        let ClientRecord { id, scopes, signatures, redirect_uris, limits, disabled, keys, is_first, created, rotated } =
            client;
        let time = |time: &Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            client_id: id.to_string(),
            scopes: scopes.names(),
            signatures: signatures.names().to_vec(),
            redirect_uris: redirect_uris.iter().map(RedirectUri::to_string).collect(),
            limits: limits.into(),
            disabled: *disabled,
            keys: *keys,
            is_first: *is_first,
            created_time: time(created),
            rotated_time: time(rotated),
        }
    }
}

/// A client and its new API key. No response shows the key again.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientKeyResponse<'a> {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String")]
    client_id: &'a ClientId,
    /// The API key. The store has only a hash of it.
    api_key: &'a str,
    scopes: ScopeNames,
}

impl<'a> From<&'a NewKey> for ClientKeyResponse<'a> {
    fn from(NewKey { client, api_key }: &'a NewKey) -> Self {
        Self { client_id: &client.id, api_key: api_key.secret().expose(), scopes: client.scopes.names() }
    }
}

/// A page of clients.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListClientsResponse {
    /// The clients, in the order of their ids.
    clients: Vec<ClientResponse>,
    /// The cursor of the next page. `null` on the last page.
    next_cursor: Option<String>,
}

impl From<&ClientPage> for ListClientsResponse {
    fn from(ClientPage { clients, next }: &ClientPage) -> Self {
        Self {
            clients: clients.iter().map(ClientResponse::from).collect(),
            next_cursor: next.as_ref().map(ClientId::to_string),
        }
    }
}
