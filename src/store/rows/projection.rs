//! The projection: all rows of a conversation, computed from the conversation.
//!
//! A conversation has one main row, which contains the conversation itself, and secondary rows, by which it is found.
//! Each kind of secondary row is one entry of [`ROW_KINDS`]. A change commits the difference of two projections, on the
//! condition that the main row is unchanged (docs/decisions/0005-rows-are-a-projection.md).
//!
//! The payload row is no entry of [`ROW_KINDS`], because it is not computed from the conversation, which does not contain
//! the payload. It exists from version 2 on. The main row says where the payload is.

use std::collections::BTreeMap;

use super::payload::{self, StoredPayload};
use super::{conversation_key, due, encode_conversation, index, retention};
use crate::domain::{Conversation, Payload, WholeConversation};
use crate::store::{Etag, Operation, StoreError};

/// A kind of secondary row.
#[derive(Clone, Copy, Debug)]
pub struct RowKind {
    /// The first version of the projection that has this kind.
    pub since: u32,
    /// Computes the row.
    pub project: ProjectRow,
}

/// Computes the key and the value of a secondary row, or `None` if the conversation does not have this row.
pub type ProjectRow = fn(&Conversation) -> Result<Option<(String, String)>, StoreError>;

/// All kinds of secondary rows.
const ROW_KINDS: [RowKind; 3] = [
    RowKind { since: 1, project: due::project },
    RowKind { since: index::INDEXED_SINCE, project: index::project },
    RowKind { since: retention::RETAINED_SINCE, project: retention::project },
];

/// The version of the projection of this release.
pub(super) const CURRENT: u32 = retention::RETAINED_SINCE;

/// The kinds of secondary rows that a store writes, and the version of this set.
///
/// The main row records the version under which it was written. A conversation has no rows of a kind that was added
/// later, so its next change inserts them and never deletes them.
#[derive(Clone, Debug)]
pub struct Projection {
    version: u32,
    kinds: Vec<RowKind>,
}

/// The key and the value of each secondary row, as the projection computed them when the conversation was read.
pub(in crate::store) type SecondaryRows = BTreeMap<String, String>;

/// The change from one state of a conversation to the next.
pub(in crate::store) struct Replacement {
    /// The first operation replaces the main row.
    pub(in crate::store) operations: Vec<Operation>,
    /// The secondary rows after the change.
    pub(in crate::store) secondary_rows: SecondaryRows,
    /// The place of the payload after the change.
    pub(in crate::store) payload: StoredPayload,
}

impl Default for Projection {
    fn default() -> Self {
        Self { version: CURRENT, kinds: ROW_KINDS.to_vec() }
    }
}

impl Projection {
    /// Adds a kind of row, and so makes a newer version of the projection.
    #[must_use]
    pub fn with(mut self, project: ProjectRow) -> Self {
        self.version += 1;
        self.kinds.push(RowKind { since: self.version, project });
        self
    }

    /// The version that the main row records.
    pub(in crate::store) const fn version(&self) -> u32 {
        self.version
    }

    /// The secondary rows of a conversation whose main row records this version.
    pub(in crate::store) fn secondary_rows(
        &self,
        conversation: &Conversation,
        version: u32,
    ) -> Result<SecondaryRows, StoreError> {
        let kinds = self.kinds.iter().filter(|kind| kind.since <= version);
        kinds.filter_map(|kind| (kind.project)(conversation).transpose()).collect()
    }

    /// The operations that insert a new conversation. The first one inserts the main row.
    pub(in crate::store) fn insert(&self, new: &WholeConversation) -> Result<Vec<Operation>, StoreError> {
        let WholeConversation { conversation, payload } = new;
        let payload_row = payload_row(conversation, payload)?;
        let key = conversation_key(conversation.client(), conversation.id());
        let in_main_row = payload_row.is_none().then_some(payload);
        let main = Operation::Insert { key, value: encode_conversation(conversation, in_main_row, self.version)? };
        let rows = self.secondary_rows(conversation, self.version)?;
        let inserts = rows.into_iter().map(|(key, value)| Operation::Insert { key, value });
        Ok(std::iter::once(main).chain(payload_row).chain(inserts).collect())
    }

    /// The operations that turn the rows of one state of a conversation into those of the next. The first one replaces
    /// the main row, if it still has `etag`. Secondary rows change only together with the main row, so the other
    /// operations need no etag.
    ///
    /// Without `new_payload` the payload stays as it is.
    pub(in crate::store) fn replace(
        &self,
        etag: Etag,
        mut old: SecondaryRows,
        payload: StoredPayload,
        new_payload: Option<&Payload>,
        next: &Conversation,
    ) -> Result<Replacement, StoreError> {
        let (payload, payload_row) = place_payload(payload, new_payload, next)?;
        let key = conversation_key(next.client(), next.id());
        let value = encode_conversation(next, payload.in_main_row(), self.version)?;
        let mut operations = vec![Operation::Replace { key, value, if_match: Some(etag) }];
        operations.extend(payload_row);
        let new = self.secondary_rows(next, self.version)?;
        for (key, value) in &new {
            let (key, value) = (key.clone(), value.clone());
            match old.remove(&key) {
                None => operations.push(Operation::Insert { key, value }),
                Some(before) if before != value => {
                    operations.push(Operation::Replace { key, value, if_match: None });
                }
                Some(_) => {}
            }
        }
        operations.extend(old.into_keys().map(|key| Operation::Delete { key, if_match: None }));
        Ok(Replacement { operations, secondary_rows: new, payload })
    }
}

/// The place of the payload after a change, and the operation that puts it there. A large payload that an older version has
/// left in the main row moves into its own row.
///
/// A payload row stays, also for a payload that has become small: whoever has read the main row before finds it.
fn place_payload(
    before: StoredPayload,
    new: Option<&Payload>,
    next: &Conversation,
) -> Result<(StoredPayload, Option<Operation>), StoreError> {
    let Some(payload) = new.or(before.in_main_row()) else { return Ok((before, None)) };
    if before == StoredPayload::InOwnRow {
        let key = payload::payload_key(next.client(), next.id());
        let replace = Operation::Replace { key, value: payload::encode_payload(payload)?, if_match: None };
        return Ok((before, Some(replace)));
    }
    Ok(match payload_row(next, payload)? {
        Some(insert) => (StoredPayload::InOwnRow, Some(insert)),
        None if new.is_none() => (before, None),
        None => (StoredPayload::InMainRow(Box::new(payload.clone())), None),
    })
}

/// The operation that inserts the payload row, if the payload is too large for the main row.
fn payload_row(conversation: &Conversation, payload: &Payload) -> Result<Option<Operation>, StoreError> {
    if payload.bytes() <= payload::MAX_IN_MAIN_ROW {
        return Ok(None);
    }
    let key = payload::payload_key(conversation.client(), conversation.id());
    Ok(Some(Operation::Insert { key, value: payload::encode_payload(payload)? }))
}
