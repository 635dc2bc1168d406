//! The name row: which conversation has a name.
//!
//! It is inserted or replaced in the commit that inserts the conversation, and is in its partition. It stays until the
//! name goes to another conversation, or its conversation is removed.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{decode, encode};
use crate::domain::{ClientId, ConversationId, ConversationName, Named, Sha256};
use crate::json::text;
use crate::store::{Row, StoreError};

#[derive(Serialize, Deserialize)]
struct NameRow {
    #[serde(with = "text")]
    id: ConversationId,
}

/// The part of a main row that only a conversation with a name has.
#[derive(Serialize, Deserialize)]
pub(super) struct NamedRow<'a> {
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    definition: Option<Sha256>,
}

impl<'a> From<&'a Named> for NamedRow<'a> {
    fn from(Named { name, definition }: &'a Named) -> Self {
        Self { name: name.as_str().into(), definition: *definition }
    }
}

impl From<NamedRow<'_>> for Named {
    fn from(NamedRow { name, definition }: NamedRow<'_>) -> Self {
        Self { name: ConversationName::from_stored(name.into_owned()), definition }
    }
}

/// The number of the partition that belongs to a name, 0 to 15: the last hex digit of its SHA-256 hash.
pub(in crate::store) fn name_partition(name: &ConversationName) -> u8 {
    digest(&SHA256, name.as_str().as_bytes()).as_ref().last().copied().unwrap_or_default() & 0x0f
}

pub(in crate::store) fn name_key(client: &ClientId, name: &ConversationName) -> String {
    format!("n~{client}~{name}")
}

pub(in crate::store) fn encode_name_row(id: ConversationId) -> Result<String, StoreError> {
    encode(&NameRow { id })
}

pub(in crate::store) fn decode_name_row(row: &Row) -> Result<ConversationId, StoreError> {
    decode::<NameRow>(row).map(|row| row.id)
}
