//! The rows of logins, in a partition of the table of clients.
//!
//! | key | exists |
//! |---|---|
//! | `grant~{id}` | from the exchange of the code of a login until its grant is too old |
//! | `host~{client}~{hash of the host}` | from the confirmation of a host by a person until it is too old |
//! | `e~{time, 14 digits}~{key}` (the expiry row) | as long as the row with that key |

use serde::{Deserialize, Serialize};

use super::{decode, encode};
use crate::domain::{ClientId, EndpointHost, Grant, GrantId, Sha256, Timestamp};
use crate::store::{KeyRange, Row, StoreError};

const EXPIRY: &str = "e~";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrantRow {
    /// None if the grant is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    since: i64,
}

#[derive(Serialize, Deserialize)]
struct HostRow {
    /// The key has only its hash, because a host may have characters that no key has. People read it here.
    host: String,
    until: i64,
}

#[derive(Serialize, Deserialize)]
struct ExpiryValue {}

pub(in crate::store) fn grant_key(id: GrantId) -> String {
    format!("grant~{id}")
}

pub(in crate::store) fn encode_grant(grant: Grant) -> Result<String, StoreError> {
    let (number, since) = match grant {
        Grant::Live { number, since } => (Some(number), since.as_millis()),
        Grant::Revoked => (None, 0),
    };
    encode(&GrantRow { number, since })
}

pub(in crate::store) fn decode_grant(row: &Row) -> Result<Grant, StoreError> {
    let GrantRow { number, since } = decode(row)?;
    Ok(number.map_or(Grant::Revoked, |number| Grant::issued(number, Timestamp::from_millis(since))))
}

/// The keys of the hosts that are confirmed for a client.
pub(in crate::store) fn confirmed_hosts(client: &ClientId) -> KeyRange {
    KeyRange::prefix(&format!("host~{client}~"))
}

pub(in crate::store) fn confirmed_host_key(client: &ClientId, host: &EndpointHost) -> String {
    format!("host~{client}~{}", Sha256::of(host.as_str().as_bytes()))
}

pub(in crate::store) fn encode_confirmed_host(host: &EndpointHost, until: Timestamp) -> Result<String, StoreError> {
    encode(&HostRow { host: host.to_string(), until: until.as_millis() })
}

/// The time until which a host is confirmed.
pub(in crate::store) fn decode_confirmed_host(row: &Row) -> Result<Timestamp, StoreError> {
    decode(row).map(|HostRow { until, .. }| Timestamp::from_millis(until))
}

/// The key and the value of the row by which maintenance finds another row at its time.
pub(in crate::store) fn login_expiry(expires: Timestamp, key: &str) -> Result<(String, String), StoreError> {
    Ok((format!("{EXPIRY}{:014}~{key}", expires.as_millis()), encode(&ExpiryValue {})?))
}

/// The keys of the expiry rows whose time has come.
pub(in crate::store) fn expired_logins(now: Timestamp) -> KeyRange {
    let end = now.as_millis().saturating_add(1);
    KeyRange { from: EXPIRY.to_owned(), to: format!("{EXPIRY}{end:014}") }
}

/// The key of the row that an expiry row names. `None` if this program cannot read the expiry row.
pub(in crate::store) fn expired_login(row: &Row) -> Option<&str> {
    let (_, named) = row.key.strip_prefix(EXPIRY)?.split_once('~')?;
    decode::<ExpiryValue>(row).is_ok().then_some(named)
}
