//! The row of a client.

use serde::{Deserialize, Serialize};

use crate::domain::{Budget, ClientId, ClientLimits, EndpointHost, RedirectUri, Scopes, Signatures, Timestamp};
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
    /// A row has these four if an operator has limited the client.
    #[serde(default, skip_serializing_if = "BudgetRow::is_none")]
    budget: BudgetRow,
    #[serde(default, skip_serializing_if = "BudgetRow::is_none")]
    thread_budget: BudgetRow,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    approved_hosts_only: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approved_hosts: Vec<String>,
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

/// A budget. A field that is not there is no limit.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BudgetRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deliveries_per_day: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live_conversations: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recurrences: Option<u32>,
}

impl BudgetRow {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Budget> for BudgetRow {
    fn from(Budget { deliveries_per_day, live_conversations, recurrences }: Budget) -> Self {
        Self { deliveries_per_day, live_conversations, recurrences }
    }
}

impl From<BudgetRow> for Budget {
    fn from(BudgetRow { deliveries_per_day, live_conversations, recurrences }: BudgetRow) -> Self {
        Self { deliveries_per_day, live_conversations, recurrences }
    }
}

impl From<&Client> for ClientRow {
    fn from(client: &Client) -> Self {
        let ClientLimits { budget, thread_budget, approved_hosts_only, approved_hosts } = &client.limits;
        Self {
            id: client.id.clone(),
            key_hashes: client.key_hashes.clone(),
            scopes: Some(client.scopes.to_string()),
            signatures: (client.signatures != Signatures::default()).then(|| client.signatures.names().join(" ")),
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            budget: (*budget).into(),
            thread_budget: (*thread_budget).into(),
            approved_hosts_only: *approved_hosts_only,
            approved_hosts: approved_hosts.iter().map(EndpointHost::to_string).collect(),
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
            limits: ClientLimits {
                budget: row.budget.into(),
                thread_budget: row.thread_budget.into(),
                approved_hosts_only: row.approved_hosts_only,
                approved_hosts: row.approved_hosts.iter().filter_map(|host| host.parse().ok()).collect(),
            },
            disabled: row.disabled,
            tokens_valid_from: row.tokens_valid_from.map(Timestamp::from_millis),
            created: row.created.map(Timestamp::from_millis),
            rotated: row.rotated.map(Timestamp::from_millis),
        }
    }
}
