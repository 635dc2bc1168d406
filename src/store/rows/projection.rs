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
use super::{SealedSecrets, conversation_key, due, encode_conversation, inbox, index, retention};
use crate::domain::{Conversation, Payload, WholeConversation};
use crate::store::{Etag, Operation, Sealer, StoreError};

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
///
/// Inbox rows need no version of their own: no conversation that an earlier release wrote is in an inbox. So processes of
/// two releases can run side by side, and each reads the conversations that both know.
const ROW_KINDS: [RowKind; 4] = [
    RowKind { since: 1, project: due::project },
    RowKind { since: 1, project: inbox::project },
    RowKind { since: index::INDEXED_SINCE, project: index::project },
    RowKind { since: retention::RETAINED_SINCE, project: retention::project },
];

/// The first version of the projection whose main rows and payload rows have an encrypted part.
const SEALED_SINCE: u32 = 5;

/// The version of the projection of this release.
pub(super) const CURRENT: u32 = SEALED_SINCE;

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

/// What is known of the rows of a conversation besides the conversation itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct StoredRows {
    pub(in crate::store) secondary_rows: SecondaryRows,
    pub(in crate::store) payload: StoredPayload,
    /// The encrypted part of the main row. None if an earlier release wrote the row.
    pub(in crate::store) secrets: Option<SealedSecrets>,
}

/// The change from one state of a conversation to the next.
pub(in crate::store) struct Replacement {
    /// The first operation replaces the main row.
    pub(in crate::store) operations: Vec<Operation>,
    /// The rows after the change.
    pub(in crate::store) rows: StoredRows,
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
    pub(in crate::store) fn insert(
        &self,
        new: &WholeConversation,
        sealer: &Sealer,
    ) -> Result<Vec<Operation>, StoreError> {
        let WholeConversation { conversation, payload } = new;
        let in_main_row = (!needs_own_row(payload)).then_some(payload);
        let secrets = SealedSecrets::seal(sealer, conversation, in_main_row)?;
        let key = conversation_key(conversation.client(), conversation.id());
        let value = encode_conversation(conversation, in_main_row, &secrets, self.version)?;
        let mut operations = vec![Operation::Insert { key, value }];
        if in_main_row.is_none() {
            let (key, value) = payload_row(conversation, payload, sealer)?;
            operations.push(Operation::Insert { key, value });
        }
        let rows = self.secondary_rows(conversation, self.version)?;
        operations.extend(rows.into_iter().map(|(key, value)| Operation::Insert { key, value }));
        Ok(operations)
    }

    /// The operations that turn the rows of one state of a conversation into those of the next. The first one replaces
    /// the main row, if it still has the etag of `read`. Secondary rows change only together with the main row, so the
    /// other operations need no etag.
    ///
    /// Without `new_payload` the payload stays as it is. A large payload that an older version has left in the main row
    /// moves into its own row. A payload row stays, also for a payload that has become small: whoever has read the main
    /// row before finds it.
    pub(in crate::store) fn replace(
        &self,
        etag: Etag,
        before: StoredRows,
        new_payload: Option<&Payload>,
        next: &Conversation,
        sealer: &Sealer,
    ) -> Result<Replacement, StoreError> {
        let StoredRows { secondary_rows: mut old, payload: before, secrets } = before;
        let has_payload_row = before == StoredPayload::InOwnRow;
        let written = new_payload.or(before.in_main_row());
        let in_main_row = written.filter(|payload| !has_payload_row && !needs_own_row(payload));
        let is_kept = new_payload.is_none() && in_main_row.is_none() == has_payload_row;
        // Before the payload row: if the keys change meanwhile, the main row has the older one, and its next change
        // encrypts both again.
        let secrets = match secrets.filter(|secrets| is_kept && secrets.fits(next, sealer)) {
            Some(secrets) => secrets,
            None => SealedSecrets::seal(sealer, next, in_main_row)?,
        };
        let key = conversation_key(next.client(), next.id());
        let value = encode_conversation(next, in_main_row, &secrets, self.version)?;
        let mut operations = vec![Operation::Replace { key, value, if_match: Some(etag) }];
        if let (Some(payload), None) = (written, in_main_row) {
            let (key, value) = payload_row(next, payload, sealer)?;
            operations.push(if has_payload_row {
                Operation::Replace { key, value, if_match: None }
            } else {
                Operation::Insert { key, value }
            });
        }
        let payload = match (in_main_row, new_payload) {
            (None, _) => StoredPayload::InOwnRow,
            (Some(_), None) => before,
            (Some(_), Some(payload)) => StoredPayload::InMainRow(Box::new(payload.clone())),
        };
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
        Ok(Replacement { operations, rows: StoredRows { secondary_rows: new, payload, secrets: Some(secrets) } })
    }
}

/// Whether a payload is too large for the main row.
fn needs_own_row(payload: &Payload) -> bool {
    payload.bytes() > payload::MAX_IN_MAIN_ROW
}

/// The key and the value of the payload row.
fn payload_row(of: &Conversation, payload: &Payload, sealer: &Sealer) -> Result<(String, String), StoreError> {
    Ok((payload::payload_key(of.client(), of.id()), payload::encode_payload(of, payload, sealer)?))
}
