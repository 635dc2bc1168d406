//! The rows of an idempotency key: the key row, and the expiry row by which maintenance finds it when its time is over.
//!
//! Both are inserted in the commit that inserts the conversation, and are in its partition. They are no secondary rows of
//! the conversation: they change without it.

use serde::{Deserialize, Serialize};

use super::{KEY_ROWS, decode, encode};
use crate::domain::{ClientId, ConversationId, IdempotentRequest, Sha256, Timestamp};
use crate::json::text;
use crate::store::{KeyRange, Row, StoreError};

/// The first part of the keys of expiry rows.
const EXPIRY: &str = "e~";

/// The value of a key row: what the first request with this key led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct KeyRow {
    /// The conversation that was scheduled.
    #[serde(with = "text")]
    pub(in crate::store) id: ConversationId,
    /// The fingerprint of the request.
    #[serde(with = "text")]
    pub(in crate::store) fingerprint: Sha256,
    accepted: i64,
    due: i64,
}

impl KeyRow {
    pub(in crate::store) const fn new(
        id: ConversationId,
        fingerprint: Sha256,
        accepted: Timestamp,
        due: Timestamp,
    ) -> Self {
        Self { id, fingerprint, accepted: accepted.as_millis(), due: due.as_millis() }
    }

    /// The due time that was accepted.
    pub(in crate::store) const fn due(&self) -> Timestamp {
        Timestamp::from_millis(self.due)
    }

    /// The time from which the key is free again.
    pub(in crate::store) fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.accepted) + IdempotentRequest::KEPT
    }
}

pub(in crate::store) fn key_row_key(client: &ClientId, key: Sha256) -> String {
    format!("{KEY_ROWS}{client}~{key}")
}

pub(in crate::store) fn encode_key_row(row: &KeyRow) -> Result<String, StoreError> {
    encode(row)
}

pub(in crate::store) fn decode_key_row(row: &Row) -> Result<KeyRow, StoreError> {
    decode(row)
}

/// The value of an expiry row. Its key says everything.
#[derive(Serialize, Deserialize)]
struct ExpiryValue {}

/// The key of the expiry row of the key row with this key.
pub(in crate::store) fn expiry_key(expires: Timestamp, key_row: &str) -> String {
    format!("{EXPIRY}{:014}~{key_row}", expires.as_millis())
}

pub(in crate::store) fn encode_expiry_row() -> Result<String, StoreError> {
    encode(&ExpiryValue {})
}

/// The keys of the expiry rows whose time has come.
pub(in crate::store) fn expired_rows(now: Timestamp) -> KeyRange {
    let end = now.as_millis().saturating_add(1);
    KeyRange { from: EXPIRY.to_owned(), to: format!("{EXPIRY}{end:014}") }
}

/// The key of the key row that an expiry row names. `None` if it names another kind of row, or if this program cannot
/// read the expiry row: a newer version may have written it, and removes it.
pub(in crate::store) fn expired_key_row(row: &Row) -> Option<&str> {
    let (_, named) = row.key.strip_prefix(EXPIRY)?.split_once('~')?;
    let is_readable = decode::<ExpiryValue>(row).is_ok();
    (named.starts_with(KEY_ROWS) && is_readable).then_some(named)
}
