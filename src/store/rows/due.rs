//! The due row. It exists exactly while [`Conversation::next_wake_at`] has a value, so the sweep finds all outstanding
//! conversations by time.

use serde::{Deserialize, Serialize};

use super::conversation::is_zero;
use super::{decode, due_key, encode};
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp};
use crate::store::{Etag, Row, StoreError};

/// A due row as the sweep reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// The time at which the conversation needs a worker.
    pub at: Timestamp,
    /// The owner of the conversation.
    pub client: ClientId,
    /// The id of the conversation.
    pub id: ConversationId,
    /// The record of the wake-ups for this time.
    pub note: DueNote,
    pub(in crate::store) etag: Etag,
}

/// The value of a due row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueNote {
    /// The conversation's generation.
    pub generation: u32,
    /// The time at which a wake-up was last enqueued. `None` if none was.
    pub enqueued_at: Option<Timestamp>,
    /// The number of times that the sweep has enqueued a wake-up because the conversation was overdue.
    pub re_enqueued: u32,
    /// Whether the time of the row is the end of a lease.
    pub leased: bool,
}

/// The stored form of [`DueNote`]. The field names are those of the first release.
#[derive(Serialize, Deserialize)]
struct DueNoteRow {
    generation: u32,
    #[serde(rename = "hinted", default, skip_serializing_if = "Option::is_none")]
    enqueued_at: Option<i64>,
    #[serde(rename = "rehints", default, skip_serializing_if = "is_zero")]
    re_enqueued: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leased: bool,
}

/// The key and the value of a conversation's due row. `None` if the conversation is final.
pub(super) fn project(
    conversation: &Conversation,
    enqueued_at: Option<Timestamp>,
) -> Result<Option<(String, String)>, StoreError> {
    let Some(at) = conversation.next_wake_at() else { return Ok(None) };
    let leased = conversation.in_flight().is_some();
    let note = DueNote { generation: conversation.generation(), enqueued_at, re_enqueued: 0, leased };
    Ok(Some((due_key(at, conversation.client(), conversation.id()), encode_note(&note)?)))
}

pub(in crate::store) fn encode_note(note: &DueNote) -> Result<String, StoreError> {
    encode(&DueNoteRow {
        generation: note.generation,
        enqueued_at: note.enqueued_at.map(Timestamp::as_millis),
        re_enqueued: note.re_enqueued,
        leased: note.leased,
    })
}

pub(in crate::store) fn decode_due(row: &Row) -> Result<DueRow, StoreError> {
    let corrupt =
        || StoreError::Corrupt { key: row.key.clone(), reason: "the key is not that of a due row".to_owned() };
    let mut parts = row.key.split('~').skip(1);
    let (Some(at), Some(client), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(corrupt());
    };
    let note: DueNoteRow = decode(row)?;
    Ok(DueRow {
        at: Timestamp::from_millis(at.parse().map_err(|_| corrupt())?),
        client: client.parse().map_err(|_| corrupt())?,
        id: id.parse().map_err(|_| corrupt())?,
        note: DueNote {
            generation: note.generation,
            enqueued_at: note.enqueued_at.map(Timestamp::from_millis),
            re_enqueued: note.re_enqueued,
            leased: note.leased,
        },
        etag: row.etag.clone(),
    })
}
