//! The due row. It exists exactly while [`Conversation::next_wake_at`] has a value, so all outstanding conversations are
//! found by time.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{decode, encode, partition};
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp};
use crate::store::{Partition, Row, StoreError};

/// The key of a due row: `d~{next_wake_at, 14 digits}~{client}~{id}`. Keys are ordered as the store orders them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DueKey {
    /// The time at which the conversation needs a worker.
    pub at: Timestamp,
    /// The owner of the conversation.
    pub client: ClientId,
    /// The id of the conversation.
    pub id: ConversationId,
}

impl DueKey {
    /// The partition of the row.
    #[must_use]
    pub fn partition(&self) -> Partition {
        partition(self.id)
    }

    /// The client as it is in the key: `~` ends it, which sorts behind every character of a client.
    fn client_bytes(&self) -> impl Iterator<Item = u8> {
        self.client.as_str().bytes().chain([b'~'])
    }
}

impl Ord for DueKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let clients = || self.client_bytes().cmp(other.client_bytes());
        self.at.cmp(&other.at).then_with(clients).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for DueKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for DueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, client, id } = self;
        write!(f, "d~{:014}~{client}~{id}", at.as_millis())
    }
}

/// The text is not the key of a due row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is not that of a due row")]
pub struct InvalidDueKey;

impl FromStr for DueKey {
    type Err = InvalidDueKey;

    fn from_str(text: &str) -> Result<Self, InvalidDueKey> {
        let mut parts = text.split('~');
        let (Some("d"), Some(at), Some(client), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidDueKey);
        };
        let key = Self {
            at: Timestamp::from_millis(at.parse().map_err(|_| InvalidDueKey)?),
            client: client.parse().map_err(|_| InvalidDueKey)?,
            id: id.parse().map_err(|_| InvalidDueKey)?,
        };
        if key.to_string() == text { Ok(key) } else { Err(InvalidDueKey) }
    }
}

/// A place in the order of due rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueBound {
    /// Before all rows that are due at this time.
    Time(Timestamp),
    /// Behind a row.
    Row(DueKey),
}

impl DueBound {
    /// Whether a row is behind this place.
    #[must_use]
    pub fn is_before(&self, key: &DueKey) -> bool {
        match self {
            Self::Time(at) => *at <= key.at,
            Self::Row(row) => row < key,
        }
    }
}

impl From<Timestamp> for DueBound {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}

impl fmt::Display for DueBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => write!(f, "d~{:014}", at.as_millis()),
            Self::Row(key) => key.fmt(f),
        }
    }
}

impl FromStr for DueBound {
    type Err = InvalidDueKey;

    fn from_str(text: &str) -> Result<Self, InvalidDueKey> {
        let Some(time) = text.strip_prefix("d~").filter(|rest| !rest.contains('~')) else {
            return text.parse().map(Self::Row);
        };
        let bound = Self::Time(Timestamp::from_millis(time.parse().map_err(|_| InvalidDueKey)?));
        if bound.to_string() == text { Ok(bound) } else { Err(InvalidDueKey) }
    }
}

/// A due row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// Its key, which says which conversation is due, and when.
    pub key: DueKey,
    /// Whether its time is the end of a lease.
    pub leased: bool,
    /// Whether its time is the end of a pause before the next attempt.
    pub retry: bool,
}

/// The value of a due row. The first release also wrote a generation and notes of the sweep. They have no meaning any
/// more.
#[derive(Serialize, Deserialize)]
struct DueValue {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leased: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retry: bool,
}

/// The key and the value of a conversation's due row. `None` if the conversation is final.
pub(super) fn project(conversation: &Conversation) -> Result<Option<(String, String)>, StoreError> {
    let Some(at) = conversation.next_wake_at() else { return Ok(None) };
    let key = DueKey { at, client: conversation.client().clone(), id: conversation.id() };
    let leased = conversation.in_flight().is_some();
    let value = encode(&DueValue { leased, retry: !leased && at != conversation.due() })?;
    Ok(Some((key.to_string(), value)))
}

pub(in crate::store) fn decode_due(row: &Row) -> Result<DueRow, StoreError> {
    let corrupt = |error: InvalidDueKey| StoreError::Corrupt { key: row.key.clone(), reason: error.to_string() };
    let DueValue { leased, retry } = decode(row)?;
    Ok(DueRow { key: row.key.parse().map_err(corrupt)?, leased, retry })
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
