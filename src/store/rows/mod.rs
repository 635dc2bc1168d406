//! The keys and values of rows.
//!
//! | key | exists |
//! |---|---|
//! | `m~{client}~{id, inverted}` (the main row) | always |
//! | `d~{next_wake_at, 14 digits}~{client}~{id}` (the due row) | exactly while the conversation has a `next_wake_at` |
//! | `i~{client}~{receivable_at, 14 digits}~{id}` (the inbox row) | exactly while the conversation waits in an inbox |
//! | `p~{client}~{id}` (the payload row) | always, if the payload is larger than 4 KiB |
//! | `x~{client}~live~{due, 14 digits}~{id}` (the index row) | exactly while the conversation is not final |
//! | `x~{client}~{Completed, Failed or Cancelled}~{end, inverted, 14 digits}~{id}` (the index row) | once it is final |
//! | `r~{end, 14 digits}~{client}~{id}` (the retention row) | once it is final |
//! | `x` in the first partition (the mark of the index) | since the first process that writes index and retention rows |
//! | `k~{client}~{SHA-256 of an idempotency key}` (the key row) | for 24 hours after the request, until maintenance removes it |
//! | `e~{time, 14 digits}~{key of a key row}` (the expiry row) | as long as that key row |
//! | `n~{client}~{name}` (the name row) | while the name leads to a conversation that is kept |
//! | `w` in the first partition (the watermark) | since the first sweep |
//!
//! The others are in the partition that the last digit of the id names, or the last digit of the hash of the key
//! or name. The id of a conversation with an idempotency key or a name has the same last digit as that hash. Values are JSON.
//! The main row and the payload row have an encrypted part.
//!
//! A value whose `v` is higher than [`VERSION`] was written by a newer version of this program; it is neither read nor
//! changed.

mod callback;
mod client;
mod conversation;
mod destination;
mod due;
mod exported;
mod idempotency;
mod inbox;
mod index;
mod index_mark;
mod login;
mod name;
mod payload;
mod projection;
mod retention;
mod scheduled_by;
mod secrets;
mod series;
mod subscription;
mod watermark;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::conversation::{ConversationRow, InvalidField};
use super::{KeyRange, Partition, Row, Sealer, StoreError};
use crate::domain::{ClientId, Conversation, ConversationId, Payload, Sha256};

pub(super) use self::client::ClientRow;
pub(super) use self::due::decode_due;
pub use self::due::{DueBound, DueKey, DueRow, InvalidDueKey};
pub(super) use self::exported::{ConversationLine, ExportLine, Imported, KeyLine, RowValue, decode_line, reveal};
pub(super) use self::idempotency::{
    KeyRow, decode_key_row, encode_expiry_row, encode_key_row, expired_key_row, expired_rows, expiry_key, key_row_key,
};
pub(super) use self::inbox::{InboxKey, inbox_rows};
pub(super) use self::index::{
    IndexGroup, Indexed, index_key, index_prefix, index_rows, indexed, indexed_bytes, indexed_id, listed_at,
};
pub use self::index_mark::IndexMark;
pub(super) use self::index_mark::{INDEX_MARK, decode_index_mark, encode_index_mark};
pub(super) use self::login::{
    confirmed_host_key, confirmed_hosts, decode_confirmed_host, decode_grant, encode_confirmed_host, encode_grant,
    expired_login, expired_logins, grant_key, login_expiry,
};
pub(super) use self::name::{decode_name_row, encode_name_row, name_key, name_partition};
pub(super) use self::payload::{StoredPayload, decode_payload, payload_key};
pub use self::projection::{ProjectRow, Projection, RowKind};
pub(super) use self::projection::{Replacement, SecondaryRows, StoredRows};
pub(super) use self::retention::{ended_before, retained};
pub(super) use self::secrets::SealedSecrets;
pub(super) use self::subscription::{
    decode_subscription, encode_subscription, may_want, open_subscriber, subscription_key, subscription_partition,
    subscriptions_of,
};
pub use self::watermark::Watermark;
pub(super) use self::watermark::{WATERMARK, decode_watermark, encode_watermark};

/// The newest version of the form of rows that this code reads. Rows with an encrypted part have it.
pub(super) const VERSION: u32 = 2;

/// The version of rows without an encrypted part.
const PLAIN: u32 = 1;

/// The version of the projection of rows that do not say it: those of the first release, and those for which it does not
/// matter.
const FIRST_PROJECTION: u32 = 1;

const PARTITIONS: [Partition; 16] = {
    const NAMES: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
    let mut partitions = [Partition::new("0"); 16];
    let mut i = 0;
    #[allow(clippy::indexing_slicing)] // the compiler evaluates this, so an index out of range is a compile error
    while i < 16 {
        partitions[i] = Partition::new(NAMES[i]);
        i += 1;
    }
    partitions
};

/// All partitions that contain conversations.
pub(super) fn partitions() -> impl Iterator<Item = Partition> {
    PARTITIONS.into_iter()
}

/// The partition of a conversation.
pub(super) fn partition(id: ConversationId) -> Partition {
    numbered(id.partition())
}

/// The partition of an idempotency key.
pub(super) fn key_partition(key: Sha256) -> Partition {
    numbered(key.partition())
}

/// The partition with this number.
pub(super) fn numbered(number: u8) -> Partition {
    PARTITIONS.get(usize::from(number)).copied().unwrap_or(Partition::new("0"))
}

/// The beginning of the keys of all idempotency keys.
pub(super) const KEY_ROWS: &str = "k~";

/// The beginning of the keys of all payload rows.
pub(super) const PAYLOAD_ROWS: &str = "p~";

/// The beginning of the keys of all main rows.
pub(super) const MAIN_ROWS: &str = "m~";

pub(super) fn conversation_key(client: &ClientId, id: ConversationId) -> String {
    conversations_prefix(client) + &id.inverted()
}

/// The keys of a client's conversations, newest first.
pub(super) fn conversations_of(client: &ClientId) -> KeyRange {
    KeyRange::prefix(&conversations_prefix(client))
}

/// The part of the key that the main rows of a client share.
pub(super) fn conversations_prefix(client: &ClientId) -> String {
    [MAIN_ROWS, client.as_str(), "~"].concat()
}

/// The keys of the due rows between two places.
pub(super) fn due_rows(begin: &DueBound, end: &DueBound) -> KeyRange {
    KeyRange::between(&begin.to_string(), &end.to_string())
}

/// The form of every value: the row and its versions.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    /// See [`VERSION`].
    v: u32,
    /// In a main row, the version of the projection under which the row was written. The first release did not write
    /// it.
    #[serde(rename = "p", default = "first_projection", skip_serializing_if = "is_first_projection")]
    projection: u32,
    row: T,
}

const fn first_projection() -> u32 {
    FIRST_PROJECTION
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
const fn is_first_projection(projection: &u32) -> bool {
    *projection == FIRST_PROJECTION
}

pub(super) fn encode<T: Serialize>(row: &T) -> Result<String, StoreError> {
    encode_envelope(&Envelope { v: PLAIN, projection: FIRST_PROJECTION, row })
}

/// The value of a row with an encrypted part.
fn encode_sealed<T: Serialize>(row: &T, projection: u32) -> Result<String, StoreError> {
    encode_envelope(&Envelope { v: VERSION, projection, row })
}

fn encode_envelope<T: Serialize>(envelope: &Envelope<T>) -> Result<String, StoreError> {
    serde_json::to_string(envelope).map_err(|e| StoreError::Refused(e.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(row: &Row) -> Result<T, StoreError> {
    decode_envelope(row).map(|envelope| envelope.row)
}

fn decode_envelope<T: DeserializeOwned>(row: &Row) -> Result<Envelope<T>, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt { key: row.key.clone(), reason };
    match serde_json::from_str::<Envelope<T>>(&row.value) {
        Ok(envelope) if envelope.v <= VERSION => Ok(envelope),
        result => match serde_json::from_str::<Envelope<serde::de::IgnoredAny>>(&row.value) {
            Ok(newer) if newer.v > VERSION => {
                Err(corrupt(format!("it has version {} and this program reads up to {VERSION}", newer.v)))
            }
            // The error of serde is not used, because it may quote the row.
            _ => Err(corrupt(format!(
                "it does not have the form of version {VERSION} at column {}",
                result.err().map_or(0, |e| e.column())
            ))),
        },
    }
}

/// The value of a conversation's main row, which records a version of the projection. Without `payload`, the payload has
/// a row of its own.
pub(super) fn encode_conversation(
    conversation: &Conversation,
    payload: Option<&Payload>,
    secrets: &SealedSecrets,
    projection: u32,
) -> Result<String, StoreError> {
    let row = ConversationRow::new(conversation, payload, secrets).map_err(|e| StoreError::Refused(e.to_string()))?;
    encode_sealed(&row, projection)
}

/// A main row that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MainRow {
    pub(super) conversation: Conversation,
    pub(super) payload: StoredPayload,
    /// None if the row has none: an earlier release wrote it.
    pub(super) secrets: Option<SealedSecrets>,
    /// The version of the projection under which the row was written.
    pub(super) projection: u32,
}

pub(super) fn decode_conversation(row: &Row, sealer: &Sealer) -> Result<MainRow, StoreError> {
    let Envelope { row: stored, projection, .. } = decode_envelope::<ConversationRow<'static>>(row)?;
    let opened = stored.sealed().map(|sealed| sealer.open(sealed, &row.key)).transpose()?;
    let (conversation, payload, secrets) = stored.read(opened).map_err(|error| invalid(row, &error))?;
    Ok(MainRow { conversation, payload, secrets, projection })
}

/// A main row that was read without its encrypted part, for which no key is needed.
pub(super) struct Outline {
    /// Its endpoint is the origin alone.
    pub(super) conversation: Conversation,
    pub(super) has_payload_row: bool,
    /// Whether the row has an encrypted part.
    pub(super) is_sealed: bool,
    pub(super) projection: u32,
}

pub(super) fn decode_outline(row: &Row) -> Result<Outline, StoreError> {
    let Envelope { row: stored, projection, .. } = decode_envelope::<ConversationRow<'static>>(row)?;
    let outline = stored.outline();
    let is_sealed = outline.is_some();
    let (conversation, payload, _) = stored.read(outline).map_err(|error| invalid(row, &error))?;
    Ok(Outline { conversation, has_payload_row: payload == StoredPayload::InOwnRow, is_sealed, projection })
}

fn invalid(row: &Row, error: &InvalidField) -> StoreError {
    StoreError::Corrupt { key: row.key.clone(), reason: error.to_string() }
}

/// The conversation in a main row of any version of the projection.
#[cfg(feature = "testing")]
pub(crate) fn read_conversation(row: &Row, sealer: &Sealer) -> Result<Conversation, StoreError> {
    decode_conversation(row, sealer).map(|read| read.conversation)
}

#[cfg(test)]
use crate::testing::sealer;

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
