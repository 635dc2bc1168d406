//! What the rows of the conversations table are called and what is in them.
//!
//! | key | exists |
//! |---|---|
//! | `m~{client}~{id, inverted}` | always: the conversation |
//! | `d~{wake-up, 14 digits}~{client}~{id}` | exactly while the conversation has a wake-up |
//!
//! Both lie in the partition that the id's last digit names. Values are JSON; a value with a higher
//! `v` than [`VERSION`] was written by newer code and is left to it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Etag, KeyRange, Partition, Row, StoreError};
use crate::domain::{ClientId, ConversationId, Timestamp};

/// The version of the rows that this code writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;

const PARTITIONS: [Partition; 16] = {
    const NAMES: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
    let mut partitions = [Partition::new("0"); 16];
    let mut i = 0;
    #[allow(clippy::indexing_slicing)] // a constant: evaluated by the compiler
    while i < 16 {
        partitions[i] = Partition::new(NAMES[i]);
        i += 1;
    }
    partitions
};

/// All partitions that conversations live in.
pub(super) fn partitions() -> impl Iterator<Item = Partition> {
    PARTITIONS.into_iter()
}

/// The partition of a conversation.
pub(super) fn partition(id: ConversationId) -> Partition {
    PARTITIONS.get(usize::from(id.partition())).copied().unwrap_or(Partition::new("0"))
}

pub(super) fn conversation_key(client: &ClientId, id: ConversationId) -> String {
    format!("m~{client}~{}", id.inverted())
}

/// The keys of a client's conversations, newest first.
pub(super) fn conversations_of(client: &ClientId) -> KeyRange {
    KeyRange::prefix(&format!("m~{client}~"))
}

pub(super) fn due_key(at: Timestamp, client: &ClientId, id: ConversationId) -> String {
    format!("d~{:014}~{client}~{id}", at.as_millis())
}

/// The keys of what has its wake-up before an instant.
pub(super) fn due_before(end: Timestamp) -> KeyRange {
    KeyRange { from: "d~".to_owned(), to: format!("d~{:014}", end.as_millis()) }
}

/// The form of every value: its version beside it.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    row: T,
}

pub(super) fn encode<T: Serialize>(row: &T) -> Result<String, StoreError> {
    serde_json::to_string(&Envelope { v: VERSION, row }).map_err(|e| StoreError::Refused(e.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(row: &Row) -> Result<T, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt { key: row.key.clone(), reason };
    match serde_json::from_str::<Envelope<T>>(&row.value) {
        Ok(envelope) if envelope.v <= VERSION => Ok(envelope.row),
        result => match serde_json::from_str::<Envelope<serde::de::IgnoredAny>>(&row.value) {
            Ok(newer) if newer.v > VERSION => {
                Err(corrupt(format!("it has version {} and this program reads up to {VERSION}", newer.v)))
            }
            // Only where it broke: the message itself may quote the row.
            _ => Err(corrupt(format!(
                "not a row of version {VERSION}, at column {}",
                result.err().map_or(0, |e| e.column())
            ))),
        },
    }
}

/// What the sweep needs to know of an outstanding conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// When it needs a worker.
    pub at: Timestamp,
    /// Its owner.
    pub client: ClientId,
    /// Which one.
    pub id: ConversationId,
    /// What a wake-up for it carries, and when one was last put.
    pub note: DueNote,
    pub(super) etag: Etag,
}

/// The value of a due row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueNote {
    /// The conversation's generation.
    pub generation: u32,
    /// When a wake-up was last put; never, if there is none.
    #[serde(rename = "hinted", default, skip_serializing_if = "Option::is_none")]
    pub enqueued_at: Option<Timestamp>,
    /// How often the sweep has put a wake-up because the conversation was overdue.
    #[serde(rename = "rehints", default, skip_serializing_if = "is_zero")]
    pub re_enqueued: u32,
    /// Whether the row stands at the end of a lease.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leased: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

pub(super) fn decode_due(row: &Row) -> Result<DueRow, StoreError> {
    let corrupt = || StoreError::Corrupt { key: row.key.clone(), reason: "not the key of a due row".to_owned() };
    let mut parts = row.key.split('~').skip(1);
    let (Some(at), Some(client), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(corrupt());
    };
    Ok(DueRow {
        at: Timestamp::from_millis(at.parse().map_err(|_| corrupt())?),
        client: client.parse().map_err(|_| corrupt())?,
        id: id.parse().map_err(|_| corrupt())?,
        note: decode(row)?,
        etag: row.etag.clone(),
    })
}

/// The id in the key of a conversation's row.
pub(super) fn id_of(row: &Row) -> Result<ConversationId, StoreError> {
    let inverted = row.key.rsplit('~').next().unwrap_or_default();
    ConversationId::from_inverted(inverted)
        .map_err(|e| StoreError::Corrupt { key: row.key.clone(), reason: e.to_string() })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
