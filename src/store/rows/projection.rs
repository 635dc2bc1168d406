//! The rows of a conversation, computed from it.
//!
//! A conversation has one main row, which holds the conversation itself, and further rows by which it is found: each
//! kind of row is one entry of [`ROW_KINDS`]. A change commits the difference of two projections, fenced by the etag of
//! the main row (docs/decisions/0005-rows-are-a-projection.md).

use std::collections::BTreeMap;

use super::{conversation_key, due, encode_conversation};
use crate::domain::{Conversation, Timestamp};
use crate::store::{Etag, Operation, StoreError};

/// A kind of row beside the main row.
#[derive(Clone, Copy, Debug)]
pub struct RowKind {
    /// The version of the projection that first wrote this kind.
    pub since: u32,
    /// The row's key and value, while the conversation has this row. The second argument says when a wake-up for this
    /// state of the conversation was enqueued.
    pub project: ProjectRow,
}

/// Computes one row of a conversation.
pub type ProjectRow = fn(&Conversation, Option<Timestamp>) -> Result<Option<(String, String)>, StoreError>;

/// All kinds of rows beside the main row.
const ROW_KINDS: [RowKind; 1] = [RowKind { since: 1, project: due::project }];

/// The kinds of rows that a store writes, and their version.
///
/// The main row records the version it was written under. Rows of a kind that came later were not written for it: the
/// next change inserts them, and never deletes them blindly.
#[derive(Clone, Debug)]
pub struct Projection {
    version: u32,
    kinds: Vec<RowKind>,
}

/// Key and value of each row beside the main row, as the projection had them when the conversation was read.
pub(in crate::store) type SecondaryRows = BTreeMap<String, String>;

impl Default for Projection {
    fn default() -> Self {
        Self { version: 1, kinds: ROW_KINDS.to_vec() }
    }
}

impl Projection {
    /// This projection with one more kind of row, which makes it a newer version.
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

    /// The rows beside the main row that a conversation of this version has.
    pub(in crate::store) fn secondary_rows(
        &self,
        conversation: &Conversation,
        version: u32,
        enqueued_at: Option<Timestamp>,
    ) -> Result<SecondaryRows, StoreError> {
        let kinds = self.kinds.iter().filter(|kind| kind.since <= version);
        kinds.filter_map(|kind| (kind.project)(conversation, enqueued_at).transpose()).collect()
    }

    /// The operations that insert a new conversation. The first one is that of the main row.
    pub(in crate::store) fn insert(
        &self,
        new: &Conversation,
        enqueued_at: Option<Timestamp>,
    ) -> Result<Vec<Operation>, StoreError> {
        let key = conversation_key(new.client(), new.id());
        let main = Operation::Insert { key, value: encode_conversation(new, self.version)? };
        let rows = self.secondary_rows(new, self.version, enqueued_at)?;
        let inserts = rows.into_iter().map(|(key, value)| Operation::Insert { key, value });
        Ok(std::iter::once(main).chain(inserts).collect())
    }

    /// The operations that turn one state of a conversation into the next: the difference of their rows. The first one
    /// is that of the main row. Its etag fences the others, so they need no condition beyond existence.
    pub(in crate::store) fn replace(
        &self,
        etag: Etag,
        mut old: SecondaryRows,
        next: &Conversation,
        enqueued_at: Option<Timestamp>,
    ) -> Result<(Vec<Operation>, SecondaryRows), StoreError> {
        let key = conversation_key(next.client(), next.id());
        let value = encode_conversation(next, self.version)?;
        let mut operations = vec![Operation::Replace { key, value, if_match: Some(etag) }];
        let new = self.secondary_rows(next, self.version, enqueued_at)?;
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
        Ok((operations, new))
    }
}
