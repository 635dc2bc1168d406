//! The row of a client.

use serde::{Deserialize, Serialize};

use crate::domain::{ClientId, RedirectUri, Scopes, Signatures, Timestamp};
use crate::json::text;
use crate::store::Client;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::store) struct ClientRow {
    #[serde(with = "text")]
    id: ClientId,
    key_hashes: Vec<String>,
    /// Rows that were written before scopes existed do not have this field. A scope that is newer than a row is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    /// A row has this field if the client has not all signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signatures: Option<String>,
    /// A row has this field if logins begin with the client's id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    redirect_uris: Vec<String>,
    #[serde(default)]
    disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens_valid_from: Option<i64>,
    /// Rows of releases before client administration have neither of these two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotated: Option<i64>,
}

impl From<&Client> for ClientRow {
    fn from(client: &Client) -> Self {
        Self {
            id: client.id.clone(),
            key_hashes: client.key_hashes.clone(),
            scopes: Some(client.scopes.to_string()),
            signatures: (client.signatures != Signatures::default()).then(|| client.signatures.names().join(" ")),
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            disabled: client.disabled,
            tokens_valid_from: client.tokens_valid_from.map(Timestamp::as_millis),
            created: client.created.map(Timestamp::as_millis),
            rotated: client.rotated.map(Timestamp::as_millis),
        }
    }
}

impl From<ClientRow> for Client {
    fn from(row: ClientRow) -> Self {
        Self {
            id: row.id,
            key_hashes: row.key_hashes,
            scopes: row.scopes.map_or_else(Scopes::on_conversations, |scopes| Scopes::known_in(&scopes)),
            // A newer release may know more signatures. One too many does no harm.
            signatures: row
                .signatures
                .and_then(|names| Signatures::named(&names.split(' ').collect::<Vec<_>>()))
                .unwrap_or_default(),
            // One that this release does not accept begins no login.
            redirect_uris: row.redirect_uris.iter().filter_map(|uri| uri.parse().ok()).collect(),
            disabled: row.disabled,
            tokens_valid_from: row.tokens_valid_from.map(Timestamp::from_millis),
            created: row.created.map(Timestamp::from_millis),
            rotated: row.rotated.map(Timestamp::from_millis),
        }
    }
}
